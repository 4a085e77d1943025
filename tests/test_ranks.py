"""Several processes: gradients are their mean, counts their sum; one alone is left as it is."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import torch

from latexocr.training import ranks


def meet(number: int, port: int, folder: Path) -> None:
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
                   "MASTER_PORT": str(port)}
    ranks.join("cpu")
    layer = torch.nn.Linear(1, 1, bias=False)
    model = ranks.together(layer, "cpu")
    model(torch.tensor([[number + 1.0]])).sum().backward()
    found = [layer.weight.grad.item(), layer.weight.item(), *ranks.total(number + 1, 10)]
    (folder / f"{number}.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


def test_two_processes_share_gradients_weights_and_counts(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(meet, (port, tmp_path), nprocs=2)
    first, second = (json.loads((tmp_path / f"{number}.json").read_text()) for number in range(2))
    assert first == second and first[0] == 1.5 and first[2:] == [3.0, 20.0]


def test_one_alone_meets_nobody():
    layer = torch.nn.Linear(1, 1)
    ranks.join("cpu")
    assert ranks.together(layer, "cpu") is layer and ranks.total(2.0, 3) == [2.0, 3.0]
    assert (ranks.rank(), ranks.count()) == (0, 1)
