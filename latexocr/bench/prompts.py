"""With which of its declared prompts an untuned base reads best: found on pictures that are not those it is scored on.

Takes a base and pictures with references, has it read them once with each prompt, and gives the prompt of the least
edit distance. What was read is kept in `prompts/` of the run's folder, and continues as any reading. Knows nothing of
how a model is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from latexocr.bench.readings import Column, read
from latexocr.bench.run import draw
from latexocr.data.overlap import overlap
from latexocr.errors import UserError
from latexocr.reading.conversation import prompt_names
from latexocr.reading.inputs import model_type, resolve, tuned_with
from latexocr.records import Sample
from latexocr.scoring.assess import score
from latexocr.scoring.metrics import Score

READ = 200
"""Pictures on which prompts are compared, at most."""
BY = "edit_distance"
"""What decides: it tells two apart also where few answers are wholly right."""
FOLDER = "prompts"


@dataclass(frozen=True)
class Choice:
    """The prompt that a base reads best with, and how well it read with each."""

    prompt: str
    scores: dict[str, Score]
    """By prompt, in the order in which they are declared; the first of equal ones is chosen."""

    def sentence(self) -> str:
        """What was found, in words."""
        told = [f"`{name}` {100 * one.value:.1f} % [{100 * one.low:.1f}, {100 * one.high:.1f}]"
                for name, one in self.scores.items()]
        n = next(iter(self.scores.values())).n
        return f"asked with the prompt `{self.prompt}`; edit distance on {n} other pictures: {', '.join(told)}"


def candidates(model: str, *, download: bool = False) -> tuple[str, ...]:
    """The declared prompts of an untuned base among which there is a choice; none of what was tuned with one, of a
    server or of a file."""
    if "://" in model or model.endswith(".jsonl"):
        return ()
    folder = resolve(model, download=download)
    if tuned_with(folder) or not (folder / "config.json").is_file():  # An adapter remembers its prompt.
        return ()
    names = prompt_names(model_type(folder))
    return names if len(names) > 1 else ()


def apart(samples: Sequence[Sample], scored: Sequence[Sample]) -> list[Sample]:
    """At most READ of the samples with a reference, drawn at random but always alike, without those that are among the
    scored ones as a picture or a formula. Raises UserError where none is left."""
    few = draw([sample for sample in samples if (sample.latex or "").strip()], READ)
    seen = overlap(few, scored).seen
    if left := [sample for sample in few if sample.id not in seen]:
        return left
    raise UserError("No picture is left to choose a prompt on: all are among those that are scored, or have no "
                    "formula. Give others: --choose-prompt-on SPEC.")


def choose(prompts: Sequence[str], column: Callable[[str], Column], samples: Sequence[Sample], folder: Path) -> Choice:
    """Read the samples once with each prompt, `column` giving the column for it, and choose.

    Raises UserError if `prompts/` in the folder of the run is another run's.
    """
    scores = {}
    for prompt in prompts:
        answers = read(column(prompt), samples, folder / FOLDER).all
        scores[prompt] = score(answers, [sample.latex or "" for sample in samples], names=[BY])[BY]
    return Choice(min(scores, key=lambda prompt: scores[prompt].value), scores)
