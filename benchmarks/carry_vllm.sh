#!/usr/bin/env bash
# vLLM's CUDA build for a Hopper GPU machine without a network, as small as it gets: carry_vllm.sh WORK FOLDER
#
# For Python 3.12, CUDA 13, torch 2.11.0 and transformers there. Here: a network, 3 GB in WORK, some minutes. FOLDER gets
# archives of equal size, parted over folders 1, 2, ... of at most 57 MiB (one call each), and unpack.sh, which is run
# there once all are there: unpack.sh FOLDER [PLACE]. It unpacks side by side into PLACE (/root), makes the interpreter
# PLACE/venv-serve/bin/python, and says how long vLLM takes to import. Serve with
#   TORCH_COMPILE_DISABLE=1 VLLM_USE_V2_MODEL_RUNNER=0 latexocr serve MODEL --python PLACE/venv-serve/bin/python \
#       -- --compilation-config '{"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY"}'  (CUDA graphs, and no compiler)
# Carried is what serving pictures in bfloat16 imports, seen with tracing of imports on a machine with stand-ins for the
# driver's libraries; what compiles kernels while it runs (flashinfer, DeepGEMM, CUTLASS' DSL, tilelang) stays behind, so
# that vLLM takes its own.
set -euo pipefail
work=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work/wheels"
[ -d "$work/venv" ] || PYENV_VERSION=${PYENV_VERSION:-3.12.1} python3.12 -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip "$@"; }
[ -f "$work/report.json" ] || pip install --quiet --dry-run --only-binary :all: --report "$work/report.json" vllm==0.26.0
"$work/venv/bin/python" - "$work/report.json" > "$work/wanted.txt" << 'END'
import json, sys
NEEDED = set("""aiohappyeyeballs aiohttp aiosignal annotated-doc annotated-types anyio apache-tvm-ffi attrs blake3
cachetools cbor2 cloudpickle compressed-tensors docstring-parser fastapi frozenlist h11 httpcore httpcore2 httpx httpx2
ijson jiter jmespath jsonschema jsonschema-specifications lark llguidance mistral-common
model-hosting-container-standards msgspec multidict nvidia-ml-py openai openai-harmony outlines-core partial-json-parser
prometheus-client prometheus-fastapi-instrumentator propcache py-cpuinfo pybase64 pycountry pydantic pydantic-core
pydantic-extra-types python-dotenv python-multipart pyzmq referencing rpds-py setproctitle sniffio starlette truststore
typing-inspection uvicorn uvloop vllm watchfiles websockets xgrammar yarl""".split())
for entry in json.load(open(sys.argv[1]))["install"]:
    name = entry["metadata"]["name"].lower().replace("_", "-")
    if name in NEEDED:
        print(f"{name}=={entry['metadata']['version']}")
END
pip download --quiet --no-deps --only-binary :all: -d "$work/wheels" -r "$work/wanted.txt"
rm -rf "$work/site"
pip install --quiet --no-deps --no-index --no-compile --find-links "$work/wheels" --target "$work/site" -r "$work/wanted.txt"
cd "$work/site"
rm -rf bin share include vllm/vllm-rs vllm/vllm_flash_attn/_vllm_fa2_C* vllm/_flashmla* vllm/_qutlass* \
    vllm/third_party/{fmha_sm100,deep_gemm,tml_fa4} mistral_common/data pycountry/locales tvm_ffi/3rdparty
"$work/venv/bin/python" "$here/hopper_only.py" vllm/*.so vllm/vllm_flash_attn/*.so
find . -name '*.so*' -type f -exec strip --strip-debug {} +
"$work/venv/bin/python" - "$out" << 'END'
import shutil, subprocess, sys, tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
out, bins = Path(sys.argv[1]), [[0, []] for _ in range(8)]
shutil.rmtree(out, ignore_errors=True)
out.mkdir(parents=True)
for path in sorted((p for p in Path(".").rglob("*") if p.is_file()), key=lambda p: -p.stat().st_size):
    least = min(bins)
    least[0] += path.stat().st_size
    least[1].append(path)

def pack(number):
    with tarfile.open(out / f"{number}.tar.xz", "w:xz", preset=9) as archive:
        for path in sorted(bins[number][1]):
            archive.add(path)
    return out / f"{number}.tar.xz"

with ThreadPoolExecutor(2) as pool:
    archives = sorted(pool.map(pack, range(len(bins))), key=lambda p: -p.stat().st_size)
loads = []
for archive in archives:
    size = archive.stat().st_size
    load = next((load for load in loads if load[0] + size <= 57 * 2**20), None)
    if load is None:
        loads.append(load := [0, out / str(len(loads) + 1)])
        load[1].mkdir()
    load[0] += size
    archive.rename(load[1] / archive.name)
for size, folder in loads:
    print(f"{folder}: {size / 2**20:.1f} MiB")
END
cat > "$out/unpack.sh" << 'END'
#!/usr/bin/env bash
# unpack.sh FOLDER [PLACE]: every archive below FOLDER, side by side, into PLACE/site; PYTHON is what has torch.
set -euo pipefail
place=${2:-/root} python=${PYTHON:-python3}
mkdir -p "$place/site"
find "$1" -name '*.tar.xz' -print0 | xargs -0 -n 1 -P 16 "$python" -c '
import os, sys, tarfile
with tarfile.open(sys.argv[2]) as archive:
    for path in {os.path.dirname(name) for name in archive.getnames()}:
        os.makedirs(os.path.join(sys.argv[1], path), exist_ok=True)  # Others make the same ones meanwhile.
    archive.extractall(sys.argv[1], filter="tar")' "$place/site"
"$python" -m venv --without-pip "$place/venv-serve"
# Of an interpreter that stands in an environment itself, --system-site-packages would give what lies below that one.
"$python" -c 'import sys, sysconfig; print(sys.argv[1], sysconfig.get_path("purelib"), sep="\n")' "$place/site" \
    > "$("$place/venv-serve/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/vllm.pth"
"$place/venv-serve/bin/python" - << 'TRY'
import time
begun = time.perf_counter()
import vllm.entrypoints.openai.api_server, vllm.v1.worker.gpu_model_runner, vllm.model_executor.models.qwen3_vl  # noqa
import vllm.vllm_flash_attn.flash_attn_interface as attention, vllm._custom_ops  # noqa
print(f"vllm {vllm.__version__}: {time.perf_counter() - begun:.0f} s to import; "
      f"FlashAttention 3: {attention.FA3_UNAVAILABLE_REASON or 'here'}", flush=True)
TRY
END
chmod +x "$out/unpack.sh"
