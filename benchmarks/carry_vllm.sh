#!/usr/bin/env bash
# vLLM's CUDA build for a GPU machine without a network, in parts of 58 MiB: carry_vllm.sh FOLDER
#
# For Python 3.12, CUDA 13, torch 2.11.0 and a Hopper GPU; needs a network and 3 GB of disk. There, once all parts are:
#   cat part.* | tar xz -C /root && python3 -m venv --system-site-packages /root/venv-serve &&
#   echo /root/site > $(/root/venv-serve/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/vllm.pth
# and VLLM_USE_FLASHINFER_SAMPLER=0 (flashinfer compiles while it runs), --python /root/venv-serve/bin/python.
# The import of vLLM from these parts has not been tried yet: what it misses is among SKIP or HAVE below.
set -euo pipefail
out=$1
mkdir -p "$out/wheels" "$out/site"
[ -d "$out/venv" ] || PYENV_VERSION=${PYENV_VERSION:-3.12.1} python3.12 -m venv "$out/venv"
pip() { "$out/venv/bin/python" -m pip "$@"; }
# What vllm 0.26.0 resolves to, without what the machine has, and without what serving pictures on such a GPU does not
# import (kernels of other GPUs, decoders of film, other compilers). numpy comes along: numba wants one below 2.5.
[ -f "$out/report.json" ] || pip install --quiet --dry-run --only-binary :all: --report "$out/report.json" vllm==0.26.0
"$out/venv/bin/python" - "$out/report.json" > "$out/wanted.txt" << 'END'
import json, sys
HAVE = set("""torch triton torchvision torchaudio transformers tokenizers accelerate sentencepiece protobuf psutil einops
pandas pyarrow xxhash requests rich typer tqdm pillow huggingface-hub safetensors tiktoken jinja2 filelock fsspec
networkx sympy mpmath typing-extensions setuptools regex pyyaml packaging certifi idna urllib3 charset-normalizer click
markdown-it-py mdurl pygments shellingham markupsafe hf-xet cuda-pathfinder cuda-bindings cuda-toolkit six""".split())
SKIP = set("""torchcodec opencv-python-headless pynvvideocodec fastapi-cloud-cli fastapi-cli sentry-sdk rignore fastar
rich-toolkit detect-installer agent-detector tokenspeed-triton tokenspeed-mla tilelang z3-solver
nvidia-cutlass-dsl-libs-cu12 nvidia-cutlass-dsl-libs-cu13 cuda-tile cuda-core cuda-python""".split())
KEPT = ("nvidia-cutlass-dsl", "nvidia-cudnn-frontend", "nvidia-ml-py")
for entry in json.load(open(sys.argv[1]))["install"]:
    name = entry["metadata"]["name"].lower().replace("_", "-")
    if name not in HAVE | SKIP and (not name.startswith("nvidia-") or name.startswith(KEPT)):
        print(f"{name}=={entry['metadata']['version']}")
END
[ -f "$out/wheels/done" ] ||
    pip download --quiet --no-deps --only-binary :all: -d "$out/wheels" -r "$out/wanted.txt"
touch "$out/wheels/done"
while IFS== read -r name _ version; do
    unzip -qo "$out/wheels/${name//-/_}-$version"-*.whl -d "$out/site" 2> /dev/null ||
        unzip -qo "$out"/wheels/"$(ls "$out/wheels" | grep -i "^${name//-/[-_.]}-$version-" | head -n 1)" -d "$out/site"
done < "$out/wanted.txt"
rm -rf "$out"/site/vllm/vllm-rs "$out"/site/vllm/vllm_flash_attn/_vllm_fa2_C* "$out"/site/vllm/third_party/fmha_sm100
tar cz -C "$out" site | split -b 58M -d - "$out/part."
du -sh "$out/site"
ls -l "$out"/part.*
