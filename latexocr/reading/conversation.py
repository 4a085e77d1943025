"""The conversation a model sees, in training and in use, and the formula inside its reply.

Takes a picture and a formula, gives messages in the chat form of transformers, TRL and Unsloth.
Knows nothing of any model's template.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from latexocr.latex.tokens import unwrap

if TYPE_CHECKING:
    from PIL.Image import Image

PROMPT = "Write the LaTeX representation for this image."
"""The instruction of Unsloth's LaTeX-OCR recipes. The picture comes before it, in training and in use alike."""


def conversation(image: Image, latex: str | None = None) -> list[dict[str, Any]]:
    """The messages of one sample: picture, then prompt; with `latex`, also the answer to learn."""
    question = {"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": PROMPT}]}
    if latex is None:
        return [question]
    return [question, {"role": "assistant", "content": [{"type": "text", "text": latex}]}]


def formula(reply: str) -> str:
    """The formula inside a reply, without white space, `$`, `\\[ \\]`, code fence or empty thinking part around it."""
    return unwrap(reply)
