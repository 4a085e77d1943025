"""Where two ways of reading answered otherwise, and how close it was; `serving_speed.py` writes it into its record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from latexocr.model import LatexOCRModel
from latexocr.records import Prediction, Sample


def differences(model: str, samples: Sequence[Sample], base: Sequence[Prediction], other: Sequence[Prediction]
                ) -> list[dict[str, Any]]:
    """Where answers differ: the first token that does, and its log probabilities by transformers on both sides."""
    differing = [(s, a, b) for s, a, b in zip(samples, base, other, strict=True)
                 if (a.reply, a.stop, a.tokens) != (b.reply, b.stop, b.tokens)]
    if not differing:
        return []
    reader = LatexOCRModel.load(model).reader
    return [explained(reader, *row) for row in differing]


def explained(reader: Any, sample: Sample, base: Prediction, other: Prediction) -> dict[str, Any]:
    """The last token of the common beginning is followed by one token on each side; an end is one too."""
    import torch

    from latexocr.reading.conversation import conversation
    from latexocr.reading.images import prepare
    from latexocr.reading.inputs import encode, render

    tokenizer, picture = reader.processor.tokenizer, prepare(sample.image)
    sides = [[*tokenizer(p.reply, add_special_tokens=False)["input_ids"], min(reader.ends)] for p in (base, other)]
    place = next((i for i, (a, b) in enumerate(zip(*sides)) if a != b), min(map(len, sides)) - 1)
    said = tokenizer.decode(sides[0][:place], clean_up_tokenization_spaces=False)
    text = render(reader.processor, conversation(picture, prompt=reader.prompt), ask=True) + said
    with torch.inference_mode():
        inputs = encode(reader.processor, [text], [picture], side="left").to(reader.model.device, reader.model.dtype)
        logs = reader.model(**inputs).logits[0, -1].float().log_softmax(-1)
    tokens = [side[place] for side in sides]
    return {"id": sample.id, "stops": [base.stop, other.stop], "token": place,
            "tokens": [tokenizer.decode([token]) for token in tokens],
            "log_probabilities": [round(float(logs[token]), 5) for token in tokens],
            "replies": [base.reply, other.reply]}
