"""The conversation a model sees, in training and in use, and the formula inside its reply.

Takes a picture and a formula, gives messages in the chat form of transformers, TRL and Unsloth.
Knows nothing of any model's template.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from latexocr.errors import UserError
from latexocr.latex.tokens import unwrap

if TYPE_CHECKING:
    from PIL.Image import Image

PROMPTS = {
    "instruction": "Write the LaTeX representation for this image.",  # Unsloth's LaTeX-OCR recipes
    "task": "Formula Recognition:",  # the model cards of PaddleOCR-VL and GLM-OCR
}
"""Every prompt there is, by name. The picture comes before it, in training and in use alike."""
PROMPT = PROMPTS["instruction"]
BASE_PROMPTS = {"paddleocr_vl": ("task", "instruction"), "glm_ocr": ("task", "instruction")}
"""By model type, the prompts to which an untuned base answers with a formula, the first of them that which its authors
name; the others know the instruction alone. Which a base reads best with on the pictures at hand is measured by `bench
--choose-prompt-on SPEC`."""


def prompt_names(model_type: str) -> tuple[str, ...]:
    """The declared prompts of a base model, by its `model_type`; the first is used unless another is named or found."""
    return BASE_PROMPTS.get(model_type, ("instruction",))


def prompt_text(name: str) -> str:
    """The words of a prompt. Raises UserError where there is none of that name."""
    if name not in PROMPTS:
        raise UserError(f"No prompt is named '{name}'. There are: {', '.join(PROMPTS)}.")
    return PROMPTS[name]


def conversation(image: Image, latex: str | None = None, prompt: str = PROMPT) -> list[dict[str, Any]]:
    """The messages of one sample: picture, then prompt; with `latex`, also the answer to learn."""
    question = {"role": "user", "content": [{"type": "image", "image": image}, {"type": "text", "text": prompt}]}
    if latex is None:
        return [question]
    return [question, {"role": "assistant", "content": [{"type": "text", "text": latex}]}]


def formula(reply: str) -> str:
    """The formula inside a reply, without white space, `$`, `\\[ \\]`, code fence or empty thinking part around it."""
    return unwrap(reply)
