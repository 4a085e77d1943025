#!/usr/bin/env bash
# What a second GPU brings, in training and in serving: two_gpus.sh DATA FOLDER
#
# DATA is a SPEC with formulas (crohme:train), FOLDER takes models, adapters, logs and records. PYTHON is the environment
# that trains, SERVE_PYTHON the one that has vLLM. GPUS=2, STEPS=100 (of 64 pictures each, on however many GPUs) and
# LIMIT=1198 pictures can be set. REHEARSE=1 goes through all of it on a CPU, with tiny models.
set -euo pipefail
data=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-python3} SERVE_PYTHON=${SERVE_PYTHON:-$PYTHON} GPUS=${GPUS:-2} STEPS=${STEPS:-100} LIMIT=${LIMIT:-1198}
batch=64 trained=qwen2_5_vl_3b served=ernie_28b size=() launch=(--mixed_precision no) most=64
# Multicast over NVLink can put GPUs out of service that others share.
export NCCL_NVLS_ENABLE=0 TORCH_SYMM_MEM_DISABLE_MULTICAST=1 NVSHMEM_DISABLE_NVLS=1 HF_HUB_OFFLINE=1
if [ -n "${REHEARSE:-}" ]; then
    batch=4 size=(--tiny) launch+=(--cpu) most=8
fi
dummy="--load-format dummy --trust-remote-code"
mkdir -p "$out"

train() { # MODEL NAME PROCESSES
    "$PYTHON" -m accelerate.commands.launch "${launch[@]}" --num_machines 1 --num_processes "$3" \
        $([ "$3" -gt 1 ] && [ -z "${REHEARSE:-}" ] && echo --multi_gpu) -m latexocr.cli \
        train --data "$data" --model "$1" --out "$out/train-$2-$3" --steps "$STEPS" --batch $((batch / $3)) \
        --backend peft --rank 16 --seed 1 2>&1 | tee "$out/train-$2-$3.log" | tail -n 3
    "$PYTHON" - "$out/train-$2-$3" $((STEPS * batch)) << 'END'
import json, sys
from pathlib import Path
run = json.loads(Path(sys.argv[1], "run.json").read_text())
print(f"{sys.argv[1]}: {int(sys.argv[2]) / run['seconds']:.1f} pictures/s, last loss {run['last_loss']:.4f}")
END
}

speed() { # MODEL NAME FLAGS
    "$PYTHON" "$here/serving_speed.py" --data "$data" --limit "$LIMIT" --model "$1" --max-tokens "$most" --alone 5 \
        --serve-python "$SERVE_PYTHON" --contenders served requests --flags="$3" --out "$out/serve-$2.json"
}

[ -d "$out/$trained" ] || "$PYTHON" "$here/random_model.py" "$trained" "$out/$trained" --weights "${size[@]}"
[ -d "$out/$served" ] || "$PYTHON" "$here/random_model.py" "$served" "$out/$served" "${size[@]}"
for model in builtin "$out/$trained"; do
    train "$model" "$(basename "$model")" 1
    train "$model" "$(basename "$model")" "$GPUS"
done
speed builtin builtin-1 ""
speed builtin "builtin-data-parallel-$GPUS" "--data-parallel-size $GPUS"
speed "$out/$served" "$served-1" "$dummy"
speed "$out/$served" "$served-tensor-parallel-$GPUS" "$dummy --tensor-parallel-size $GPUS"
