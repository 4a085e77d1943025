"""A model folder on the hub: its card, written from what is known of it, and the upload.

Takes the folder that an export wrote, and the folder of a benchmark. Knows nothing of weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from latexocr.errors import UserError
from latexocr.provenance import write_text
from latexocr.reading.inputs import BUILTIN

CARD = "README.md"
USE = """## Use

```sh
latexocr transcribe pictures/ --model {name} --download
vllm serve {name} --generation-config vllm --limit-mm-per-prompt '{{"image": 1, "video": 0}}'{trust}
```
"""


def refuse_odd(name: str, report: Path | None) -> None:
    """Raise UserError where an upload could not end well: before a merge, which may take an hour, is begun.

    The name has to be one, the card of the report there, the token that of `hf auth login` or HF_TOKEN and known.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.utils import validate_repo_id

    if report is not None:
        measured_card(report)
    with _explained(f"{name}: cannot be uploaded", "Nothing was merged."):
        validate_repo_id(name)
        HfApi().whoami()


def measured_card(report: Path) -> Path:
    """The card of the model among those that `latexocr bench` wrote into a folder; the file itself may be given.

    It is that of the column "tuned", or of the only one besides the base. Raises UserError where it is not clear which.
    """
    if report.is_file():
        return report
    cards = {path.stem.removeprefix("card-"): path for path in sorted(report.glob("card-*.md"))}
    if not cards:
        raise UserError(f"{report}: no card-NAME.md in it. Give the folder that `latexocr bench` wrote.")
    others = [path for name, path in cards.items() if name != "base"] or list(cards.values())
    if "tuned" not in cards and len(others) > 1:
        raise UserError(f"{report}: cards of {', '.join(cards)}. Give the one of this model: --report {others[0]}.")
    return cards.get("tuned", others[0])


def write_card(folder: Path, name: str, report: Path | None) -> None:
    """Write the card of a model folder: how it was made (run.json, export.json) and, from a benchmark, its scores.

    `report`: a folder that `latexocr bench` wrote, or one of its cards, which carry scores with n, interval and
    signature. Raises UserError where there is none.
    """
    from huggingface_hub import ModelCard, ModelCardData

    scores, results = "", None
    if report is not None:
        measured = ModelCard.load(measured_card(report), ignore_metadata_errors=True)
        results = measured.data.eval_results
        scores = "\n## Results\n\n" + measured.text.strip().partition("\n")[2].strip() + "\n"
    run, checked = _record(folder / "run.json"), _record(folder / "export.json")
    base = run.get("settings", {}).get("model", "")
    data = ModelCardData(base_model=base if "/" in base and not Path(base).is_dir() else None, eval_results=results,
                         model_name=name, library_name="transformers", pipeline_tag="image-text-to-text",
                         tags=["latex", "ocr", "mathematics", "latexocr"])
    text = f"---\n{data.to_yaml()}\n---\n\n# {name}\n\n{_made(run, checked)}\n{_use(folder, name)}{scores}"
    write_text(folder / CARD, text)


def _use(folder: Path, name: str) -> str:
    return USE.format(name=name, trust=" --trust-remote-code" if any(folder.glob("*.py")) else "")


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
    from huggingface_hub import HfApi

    again = f"The model is in {folder}, complete; to try again: hf upload {name} {folder} --private."
    with _explained(f"{name}: not uploaded", again):
        address = HfApi().create_repo(name, private=True, exist_ok=True)
        HfApi().upload_folder(repo_id=name, folder_path=folder, commit_message="Written by latexocr export")
    return str(address)


@contextmanager
def _explained(what: str, now: str) -> Iterator[None]:
    """What the hub's client raises, as one line: what failed, why, what to do."""
    # The errors of its HTTP library under the name that its own have for them: which library that is has changed.
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError, OfflineModeIsEnabled

    try:
        yield
    except (HTTPError, HFValidationError, OfflineModeIsEnabled, OSError, RuntimeError, ValueError) as e:
        # An upload in pieces says which piece failed, and only its cause says why.
        cause = e.__cause__ if isinstance(e, RuntimeError) and e.__cause__ else e
        status = cause.response.status_code if isinstance(cause, HfHubHTTPError) else None
        reason = (str(cause).strip() or type(cause).__name__).splitlines()[0].rstrip(".")
        refused = cause is e and status in (401, 403)
        token = " A token that may write is needed: hf auth login, or HF_TOKEN." if refused else ""
        raise UserError(f"{what} ({reason}).{token} {now}") from e
