#!/usr/bin/env bash
# What a second GPU brings, in training and in serving: two_gpus.sh DATA FOLDER [train] [serve] [record]
#
# DATA is a SPEC with formulas (crohme:train), FOLDER takes models, adapters, logs and records. PYTHON trains,
# SERVE_PYTHON has vLLM. What needs one GPU runs beside what needs one other, each with half of the cores; then each has
# both GPUs and all cores. `record` puts what was found into FOLDER/two_gpus.json. To be set: STEPS (of BATCH pictures,
# on one GPU or two; more than 20) for the embedded model, BIG_STEPS and BIG_BATCH for the one of 3 B, LIMIT and
# BIG_LIMIT pictures to serve; FLAGS for every vLLM; CORES, FIRST_CORE, FIRST_GPU. REHEARSE=1 goes through it on a CPU,
# with tiny models.
set -euo pipefail
data=$1 out=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-python3} SERVE_PYTHON=${SERVE_PYTHON:-$PYTHON}
STEPS=${STEPS:-60} BIG_STEPS=${BIG_STEPS:-25} BATCH=${BATCH:-512} BIG_BATCH=${BIG_BATCH:-64} LIMIT=${LIMIT:-1198}
BIG_LIMIT=${BIG_LIMIT:-200} cores=${CORES:-$(getconf _NPROCESSORS_ONLN)} core=${FIRST_CORE:-0} gpu=${FIRST_GPU:-0}
big=qwen2_5_vl_3b served=ernie_28b size=() launch=(--mixed_precision no) most=256
dummy="--load-format dummy --trust-remote-code"
# Multicast over NVLink can put GPUs out of service that others share.
export NCCL_NVLS_ENABLE=0 TORCH_SYMM_MEM_DISABLE_MULTICAST=1 NVSHMEM_DISABLE_NVLS=1 HF_HUB_OFFLINE=1
if [ -n "${REHEARSE:-}" ]; then
    BATCH=4 BIG_BATCH=4 size=(--tiny) launch+=(--cpu) most=8
fi
mkdir -p "$out"

on() { # FIRST LAST COMMAND...: with these GPUs, and their share of the cores
    local first=$1 last=$2
    shift 2
    CUDA_VISIBLE_DEVICES=$(seq -s, $((gpu + first)) $((gpu + last))) \
        taskset -c $((core + first * cores / 2))-$((core + (last + 1) * cores / 2 - 1)) "$@"
}

learn() { # MODEL NAME STEPS BATCH FIRST LAST [OPTION]
    local gpus=$(($6 - $5 + 1))
    on "$5" "$6" "$PYTHON" -m accelerate.commands.launch "${launch[@]}" --num_machines 1 --num_processes "$gpus" \
        --main_process_port "$((29500 + $5))" $([ "$gpus" -gt 1 ] && [ -z "${REHEARSE:-}" ] && echo --multi_gpu) \
        -m latexocr.cli train --data "$data" --model "$1" --out "$out/train-$2-$gpus" --steps "$3" \
        --batch $(($4 / gpus)) --backend peft --rank 16 --seed 1 --held-out 0 --log-to none --save-steps 100000 \
        ${7:-} > "$out/train-$2-$gpus.log" 2>&1 || echo "training $2 on $gpus failed: $out/train-$2-$gpus.log" >&2
}

speed() { # MODEL NAME PICTURES FIRST LAST FLAGS
    local model=$1 name=$2 limit=$3 flags=$6
    on "$4" "$5" "$PYTHON" "$here/serving_speed.py" --data "$data" --limit "$limit" --model "$model" \
        --max-tokens "$most" --alone 5 --warm 64 --seconds 10 --patience 120 --in-flight 256 512 \
        --serve-python "$SERVE_PYTHON" --contenders served requests --flags="$flags ${FLAGS:-}" \
        --keep "$out/answers/$name" --out "$out/serve-$name.json" > "$out/serve-$name.log" 2>&1 ||
        echo "serving $name failed: $out/serve-$name.log" >&2
}

[ -d "$out/$big" ] || "$PYTHON" "$here/random_model.py" "$big" "$out/$big" --weights "${size[@]}"
[ -d "$out/$served" ] || "$PYTHON" "$here/random_model.py" "$served" "$out/$served" "${size[@]}"
for part in "$@"; do
    case $part in
    train)
        learn builtin embedded "$STEPS" "$BATCH" 0 0 &
        learn "$out/$big" "$big" "$BIG_STEPS" "$BIG_BATCH" 1 1 --gradient-checkpointing &
        wait
        learn builtin embedded "$STEPS" "$BATCH" 0 1
        learn "$out/$big" "$big" "$BIG_STEPS" "$BIG_BATCH" 0 1 --gradient-checkpointing
        ;;
    serve)
        speed builtin embedded-1 "$LIMIT" 0 0 "--api-server-count 4" &
        speed "$out/$served" "$served-1" "$BIG_LIMIT" 1 1 "$dummy" &
        wait
        speed builtin embedded-2 "$LIMIT" 0 1 "--data-parallel-size 2 --api-server-count 8"
        speed "$out/$served" "$served-2" "$BIG_LIMIT" 0 1 "$dummy --tensor-parallel-size 2"
        ;;
    record) "$PYTHON" "$here/two_gpus.py" "$out" ;;
    *) echo "two_gpus.sh: found $part, expected train, serve or record" >&2 && exit 2 ;;
    esac
done
