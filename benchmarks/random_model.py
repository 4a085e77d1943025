"""The folder of a full-size model with random weights, for measuring speed: random_model.py SHAPE FOLDER [--weights]

Its shape is the published one but for the vocabulary, which is that of a tiny tokenizer (tests/families.py): a random
model would else say what no tokenizer of ours can spell. Without --weights there is only the configuration, and vLLM
fills it in (`--load-format dummy`). `--tiny` is for rehearsals. ERNIE comes as an export has it: `latexocr serve` takes
it as it is, `vllm serve` with --trust-remote-code.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from training_shapes import FAMILY, full_size, random_model

from latexocr.reading.ernie_vllm import write_processor
from latexocr.training.flat import for_vllm
from tests.families import FAMILIES


def make(shape: str, folder: Path, *, weights: bool, tiny: bool) -> None:
    """Write the folder; with `weights`, bfloat16 ones of seed 0."""
    import torch
    from transformers import AutoConfig

    folder.mkdir(parents=True)
    FAMILIES[FAMILY[shape]](folder)  # tokenizer, template, picture settings, and a tiny model
    config = AutoConfig.from_pretrained(folder)
    if not tiny:
        small, config = config, full_size(shape, config)
        config.text_config.vocab_size, config.architectures = small.text_config.vocab_size, small.architectures
    config.text_config.eos_token_id = config.text_config.bos_token_id = None  # the tokenizer's is used
    config.dtype = torch.bfloat16
    for path in folder.glob("*.safetensors"):
        path.unlink()
    if weights:
        torch.manual_seed(0)
        model = random_model(config, 16, "cuda" if torch.cuda.is_available() else "cpu").to(torch.bfloat16)
        model.save_pretrained(folder, max_shard_size="4GB")
    config.save_pretrained(folder)
    for_vllm(folder)
    write_processor(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=FAMILY)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", action="store_true")
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args()
    make(given.shape, given.folder, weights=given.weights, tiny=given.tiny)
