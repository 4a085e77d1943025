"""What is seen of a training while it runs: callbacks of transformers' trainer.

Takes what the trainer reports. Knows nothing of models or batches.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def loss_log(path: Path) -> Any:
    """A callback that keeps what the trainer logs, one JSON line a report; a continued run's file has no line twice."""
    from transformers import TrainerCallback

    class LossLog(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            path.write_text("".join(json.dumps(entry) + "\n" for entry in state.log_history), encoding="utf-8")

    return LossLog()
