"""A model folder on the hub: its card, written from what is known of it, and the upload.

Takes the folder that an export wrote, and the folder of a benchmark. Knows nothing of weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from latexocr.errors import UserError
from latexocr.provenance import write_text
from latexocr.reading.inputs import BUILTIN

CARD = "README.md"
USE = """## Use

```sh
latexocr transcribe pictures/ --model {name} --download
vllm serve {name} --generation-config vllm --limit-mm-per-prompt '{{"image": 1, "video": 0}}'
```
"""


def write_card(folder: Path, name: str, report: Path | None) -> None:
    """Write the card of a model folder: how it was made (run.json, export.json) and, from a benchmark, its scores.

    `report`: a folder that `latexocr bench` wrote; its card.md carries scores with n, interval and signature.
    Raises UserError where that holds no card.
    """
    from huggingface_hub import ModelCard, ModelCardData

    scores, results = "", None
    if report is not None:
        if not (report / "card.md").is_file():
            raise UserError(f"{report}: no card.md in it. Give the folder that `latexocr bench` wrote.")
        measured = ModelCard.load(report / "card.md", ignore_metadata_errors=True)
        results = measured.data.eval_results
        scores = "\n## Results\n\n" + measured.text.strip().partition("\n")[2].strip() + "\n"
    run, checked = _record(folder / "run.json"), _record(folder / "export.json")
    base = run.get("settings", {}).get("model", "")
    data = ModelCardData(base_model=base if "/" in base and not Path(base).is_dir() else None, eval_results=results,
                         model_name=name, library_name="transformers", pipeline_tag="image-text-to-text",
                         tags=["latex", "ocr", "mathematics", "latexocr"])
    text = f"---\n{data.to_yaml()}\n---\n\n# {name}\n\n{_made(run, checked)}\n{USE.format(name=name)}{scores}"
    write_text(folder / CARD, text)


def _record(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _made(run: dict[str, Any], checked: dict[str, Any]) -> str:
    """In words, from the records alone."""
    lines = ["Reads a picture of a formula and writes its LaTeX."]
    if settings := run.get("settings"):
        base = "the model embedded in latexocr" if settings["model"] == BUILTIN else f"`{settings['model']}`"
        lines += ["", f"LoRA of {base}, rank {settings['rank']}, on {run.get('n', '?')} pictures of "
                  f"`{settings['data'] or 'samples in memory'}` (sha256 {settings['data_sha256'][:12]}), "
                  f"{run.get('steps', '?')} steps of {settings['batch'] * settings['accumulation']} pictures, learning "
                  f"rate {settings['learning_rate']:g}, seed {settings['seed']}, through {run.get('backend', '?')}. "
                  "All settings, versions and times: `run.json`."]
    if checked:
        lines += ["", f"Merged and rounded to {checked['dtype']}: on {checked['pictures']} pictures the same answers "
                  f"as with the adapter; merging moved no logit by more than "
                  f"{checked['largest_logit_difference']:.2g}."]
    return "\n".join([*lines, ""])


def push(folder: Path, name: str) -> str:
    """Upload a model folder to the hub, privately unless the repository is there already; its address.

    The token is that of `hf auth login` or HF_TOKEN. Raises UserError where the hub refuses or cannot be reached.
    """
    from httpx import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        address = HfApi().create_repo(name, private=True, exist_ok=True)
        HfApi().upload_folder(repo_id=name, folder_path=folder, commit_message="Written by latexocr export")
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, HTTPError, OSError) as e:
        reason = (str(e).strip() or type(e).__name__).splitlines()[0]
        raise UserError(f"{name}: not uploaded ({reason}). The model is in {folder}, complete.") from e
    return str(address)
