"""Several processes that train one model, as torchrun starts them: which one this is, and what all of them agree on.

Without torchrun there is one, and every function here does next to nothing. Knows nothing of models or data.
"""

from __future__ import annotations

import os


def rank() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def count() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def join(device: str) -> None:
    """Meet the other processes; on GPUs, take the one of this process as the current one."""
    if count() == 1:
        return
    import torch

    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo")


def together(model, device: str):
    """The module, its gradients the mean of those of all processes."""
    if count() == 1:
        return model
    from torch.nn.parallel import DistributedDataParallel

    ids = [int(os.environ["LOCAL_RANK"])] if device == "cuda" else None
    return DistributedDataParallel(model, device_ids=ids, gradient_as_bucket_view=True)


def total(*values: float) -> list[float]:
    """Each value summed over all processes, the same in every one. It goes through the host: no GPU waits for it."""
    if count() == 1:
        return list(values)
    import torch

    sums = torch.tensor(values, dtype=torch.float64)
    torch.distributed.all_reduce(sums)
    return sums.tolist()
