"""Where ways of reading answered otherwise, and how close it was.

    python benchmarks/serving_answers.py --data SPEC --model FOLDER --out RECORD.json WAY=a.jsonl WAY=b.jsonl ...

Answers as `serving_speed.py --keep` and `latexocr bench` write them; a picture is known by the last part of its id. The
record has how many answers differ between every two ways, of how many that both have. Where the second differs from the
first, it has the first token that does, and what transformers, with the model in FOLDER, gives as the log probabilities
of both: two numbers that are close are a tie that rounding decides. `serving_speed.py` writes those into its record.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from latexocr import provenance
from latexocr.model import LatexOCRModel
from latexocr.records import Prediction, Sample, read_predictions

EXPLAINED = 100
"""Differences of which it is looked how close they were: more are no ties."""


def differences(model: str, samples: Sequence[Sample], base: Mapping[str, Prediction], other: Mapping[str, Prediction]
                ) -> list[dict[str, Any]]:
    """Where answers differ: the first token that does, and its log probabilities by transformers on both sides.

    Of the first `EXPLAINED` of them; of others both answers alone. Raises KeyError where one is missing.
    """
    differing = [(s, a, b) for s in samples if said(a := base[name(s.id)]) != said(b := other[name(s.id)])]
    if not differing:
        return []
    reader = LatexOCRModel.load(model, device="cpu", dtype="float32").reader
    return [*(explained(reader, *row) for row in differing[:EXPLAINED]),
            *({"id": s.id, "replies": [a.reply, b.reply]} for s, a, b in differing[EXPLAINED:])]


def named(path: Path) -> dict[str, Prediction]:
    """Answers by the names of their pictures."""
    return {name(prediction.id): prediction for prediction in read_predictions(path)}


def said(prediction: Prediction) -> tuple[str, str, int]:
    """What makes two answers the same."""
    return prediction.reply, prediction.stop, prediction.tokens


def explained(reader: Any, sample: Sample, base: Prediction, other: Prediction) -> dict[str, Any]:
    """The last token of the common beginning is followed by one token on each side; an end is one too."""
    import torch

    from latexocr.reading.conversation import conversation
    from latexocr.reading.images import prepare
    from latexocr.reading.inputs import encode, render

    tokenizer, picture = reader.processor.tokenizer, prepare(sample.image)
    sides = [[*tokenizer(p.reply, add_special_tokens=False)["input_ids"], min(reader.ends)] for p in (base, other)]
    place = next((i for i, (a, b) in enumerate(zip(*sides)) if a != b), min(map(len, sides)) - 1)
    begun = tokenizer.decode(sides[0][:place], clean_up_tokenization_spaces=False)
    text = render(reader.processor, conversation(picture, prompt=reader.prompt), ask=True) + begun
    with torch.inference_mode():
        inputs = encode(reader.processor, [text], [picture], side="left").to(reader.model.device, reader.model.dtype)
        logs = reader.model(**inputs).logits[0, -1].float().log_softmax(-1)
    tokens = [side[place] for side in sides]
    return {"id": sample.id, "stops": [base.stop, other.stop], "token": place,
            "tokens": [tokenizer.decode([token]) for token in tokens],
            "log_probabilities": [round(float(logs[token]), 5) for token in tokens],
            "replies": [base.reply, other.reply]}


def name(identity: str) -> str:
    """What a picture is called in every folder."""
    return identity.rpartition("/")[2]


def counted(answers: Mapping[str, Mapping[str, Prediction]]) -> list[dict[str, Any]]:
    """How many answers differ between every two ways, of how many."""
    return [{"ways": [one, two], "n": len(both := answers[one].keys() & answers[two].keys()),
             "differ": sum(said(answers[one][key]) != said(answers[two][key]) for key in both)}
            for one, two in combinations(answers, 2)]


def main() -> None:
    from latexocr.data.sources import load

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("answers", nargs="+", metavar="WAY=ANSWERS.jsonl")
    parser.add_argument("--data", required=True, metavar="SPEC")
    parser.add_argument("--model", default="builtin", metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="RECORD.json")
    options = parser.parse_args()
    if len(options.answers) < 2 or not all("=" in given for given in options.answers):
        parser.error(f"found {' '.join(options.answers)}, expected two or more of WAY=ANSWERS.jsonl")
    answers = {}
    for given in options.answers:
        way, _, path = given.partition("=")
        answers[way] = named(Path(path))
    base, other = list(answers.values())[:2]
    samples = [sample for sample in load(options.data) if name(sample.id) in base.keys() & other.keys()]
    if not samples:
        parser.error(f"no picture of {options.data} is in both {' and '.join(list(answers)[:2])}")
    found = differences(options.model, samples, base, other)
    margins = [abs(one - two) for one, two in (row["log_probabilities"] for row in found[:EXPLAINED])]
    record = {**provenance.start(), "counts": counted(answers), "between": list(answers)[:2],
              "margin_median_and_largest": [statistics.median(margins), max(margins)] if margins else None,
              "differences": found}
    provenance.write_text(options.out, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    print(*(f"{' and '.join(row['ways'])}: {row['differ']} of {row['n']} differ" for row in record["counts"]), sep="\n")


if __name__ == "__main__":
    main()
