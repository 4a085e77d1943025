"""pix2tex behind a pipe: pictures a line in, answers a line out. Runs in pix2tex's own environment (see peers.py).

    python benchmarks/pix2tex_worker.py weights.pth cached|shipped THREADS

In:  ["BASE64 OF A PNG", ...]
Out: [{"latex": "x^{2}", "tokens": 5, "stop": "end"}, {"error": "why"}, ...]

All is pix2tex's own code (cropping, padding, network, post-processing), but for two things. It answers greedily, where
pix2tex samples at temperature 0.2, so that a second run says the same. And with `cached` the pictures of a line are
decoded together and what earlier tokens left is kept, where pix2tex computes it again at each token; that changes the
time an answer takes, not the answer (`peers.py speed` counts those where it does). `shipped` decodes as pix2tex does.
"""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import warnings

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"  # it would look for a newer version of itself on the network
warnings.filterwarnings("ignore")

import torch  # noqa: E402
from munch import Munch  # noqa: E402
from PIL import Image  # noqa: E402
from pix2tex.cli import LatexOCR  # noqa: E402
from pix2tex.utils import post_process, token2str  # noqa: E402

GREEDY = 1e-8
"""A temperature at which the likeliest token is always drawn."""


class Pix2tex:
    """pix2tex with its checkpoint, on the CPU."""

    def __init__(self, weights: str, decoding: str) -> None:
        self.reader = LatexOCR(Munch(config="settings/config.yaml", checkpoint=weights, no_cuda=True, no_resize=True))
        self.model, self.args = self.reader.model, self.reader.args
        self.decode = cached if decoding == "cached" else shipped
        self.shipped = self.model.generate
        self.model.generate = self._keep

    def _keep(self, picture: torch.Tensor, temperature: float) -> torch.Tensor:
        self.picture = picture
        return torch.tensor([[self.args.eos_token]])

    def read(self, pngs: list[str]) -> list[dict[str, object]]:
        answers: list[dict[str, object]] = [{} for _ in pngs]
        pictures = {}
        for number, png in enumerate(pngs):
            try:
                self.reader(Image.open(io.BytesIO(base64.b64decode(png))))  # crops, pads, and hands it to `_keep`
                pictures[number] = self.picture
            except Exception as e:  # whatever pix2tex raises on a picture must not lose the others
                answers[number] = {"error": f"{type(e).__name__}: {e}"}
        for number, tokens in zip(pictures, self.decode(self, list(pictures.values()))):
            ended = tokens[-1] == self.args.eos_token
            latex = post_process(token2str(torch.tensor([tokens]), self.reader.tokenizer)[0])
            answers[number] = {"latex": latex, "tokens": len(tokens) - ended, "stop": "end" if ended else "length"}
        return answers


def shipped(peer: Pix2tex, pictures: list[torch.Tensor]) -> list[list[int]]:
    """The answer to each picture, its end token included, as pix2tex makes it."""
    return [peer.shipped(picture, temperature=GREEDY)[0].tolist() for picture in pictures]


@torch.no_grad()
def cached(peer: Pix2tex, pictures: list[torch.Tensor]) -> list[list[int]]:
    """The same, computed together and the newest token only; an answer that has ended leaves the batch."""
    args, net = peer.args, peer.model.decoder.net
    layers = list(enumerate(zip(net.attn_layers.layer_types, net.attn_layers.layers)))
    answers: list[list[int]] = [[args.bos_token] for _ in pictures]
    context, mask = encoded(peer, pictures)
    seen = {number: (heads(block, block.to_k(context)), heads(block, block.to_v(context)))
            for number, (kind, (_, block, _)) in layers if kind == "c"}  # keys and values, by layer
    open_ones = list(range(len(pictures)))
    for step in range(args.max_seq_len if pictures else 0):
        x = net.token_emb(torch.tensor([answers[i][-1:] for i in open_ones])) + net.pos_emb.emb.weight[step]
        for number, (kind, (norm, block, _)) in layers:
            x = x + advance(block, kind, norm(x), seen, number, mask)
        for i, token in zip(open_ones, net.to_logits(net.norm(x))[:, -1].argmax(dim=-1).tolist()):
            answers[i].append(token)
        kept = [place for place, i in enumerate(open_ones) if answers[i][-1] != args.eos_token]
        if not kept:
            break
        if len(kept) < len(open_ones):
            open_ones, mask = [open_ones[place] for place in kept], mask[kept]
            seen = {number: (keys[kept], values[kept]) for number, (keys, values) in seen.items()}
    return [answer[1:] for answer in answers]


def encoded(peer: Pix2tex, pictures: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """What the encoder makes of each, padded to (pictures, places, width); and which places are no padding."""
    found = [peer.model.encoder(picture)[0] for picture in pictures] or [torch.zeros(1, peer.args.dim)]
    context = torch.nn.utils.rnn.pad_sequence(found, batch_first=True)
    lengths = torch.tensor([len(places) for places in found])
    return context, (torch.arange(context.shape[1])[None] < lengths[:, None])[:, None, None]


def heads(block: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """(batch, places, width) -> (batch, heads, places, width of a head)."""
    return x.unflatten(-1, (block.heads, -1)).transpose(1, 2)


def advance(block: torch.nn.Module, kind: str, x: torch.Tensor, seen: dict, number: int, mask: torch.Tensor
            ) -> torch.Tensor:
    """What a layer adds to the newest token."""
    if kind == "f":
        return block(x)
    if kind == "a":
        newest = heads(block, block.to_k(x)), heads(block, block.to_v(x))
        seen[number] = tuple(torch.cat(pair, dim=2) for pair in zip(seen[number], newest)) if number in seen else newest
    found = torch.nn.functional.scaled_dot_product_attention(
        heads(block, block.to_q(x)), *seen[number], attn_mask=mask if kind == "c" else None)
    return block.to_out(found.transpose(1, 2).flatten(2))


def main(weights: str, decoding: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    answers, sys.stdout = sys.stdout, sys.stderr  # pix2tex and its packages print
    peer = Pix2tex(weights, decoding)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(peer.read(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[2] not in ("cached", "shipped"):
        sys.exit(f"pix2tex_worker.py: expected WEIGHTS cached|shipped THREADS.\n{__doc__}")
    main(os.path.abspath(sys.argv[1]), *sys.argv[2:])
