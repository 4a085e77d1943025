#!/usr/bin/env bash
# What a second GPU brings, in training and in serving: two_gpus.sh DATA FOLDER [train] [serve] [record]
#
# DATA is a SPEC with formulas (crohme:train), FOLDER takes models, adapters, logs and records. PYTHON trains,
# SERVE_PYTHON has vLLM. What needs one GPU runs beside what needs one other, each with half of the cores; what needs
# both has all cores. `record` puts what was found into FOLDER/two_gpus.json. A step has BATCH pictures on one GPU or
# two, in passes of half as many: the one makes two after each other, the two make one each. To be set: STEPS (20
# or more) of BATCH for the embedded model, BIG_STEPS and BIG_BATCH for the one of 3 B, LIMIT and BIG_LIMIT pictures to
# serve for LASTING seconds, IN_FLIGHT requests; FLAGS for every vLLM; CORES, FIRST_CORE, FIRST_GPU; UNTIL, the second
# (date +%s) at which all has to end. A server that has its record in FOLDER is not measured again. REHEARSE=1 goes
# through it on a CPU, with tiny models.
set -euo pipefail
[ $# -ge 3 ] ||
    { echo "two_gpus.sh: found ${*:-nothing}, expected DATA FOLDER and train, serve or record" >&2 && exit 2; }
data=$1 out=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-python3} SERVE_PYTHON=${SERVE_PYTHON:-$PYTHON}
STEPS=${STEPS:-40} BIG_STEPS=${BIG_STEPS:-30} BATCH=${BATCH:-1024} BIG_BATCH=${BIG_BATCH:-512} LIMIT=${LIMIT:-1198}
BIG_LIMIT=${BIG_LIMIT:-200} cores=${CORES:-$(getconf _NPROCESSORS_ONLN)} core=${FIRST_CORE:-0} gpu=${FIRST_GPU:-0}
big=qwen2_5_vl_3b served=ernie_28b size=() launch=(--mixed_precision no) brief=()
long=(--limit "$BIG_LIMIT" --max-tokens 256)
# What each takes of a GPU's memory is said, so that two servers can share it.
dummy="--load-format dummy --trust-remote-code --gpu-memory-utilization 0.4 --kv-cache-memory-bytes 6000000000"
small="--gpu-memory-utilization 0.1 --kv-cache-memory-bytes 4000000000"
# Multicast over NVLink can put GPUs out of service that others share.
export NCCL_NVLS_ENABLE=0 TORCH_SYMM_MEM_DISABLE_MULTICAST=1 NVSHMEM_DISABLE_NVLS=1 HF_HUB_OFFLINE=1
if [ -n "${REHEARSE:-}" ]; then
    BATCH=4 BIG_BATCH=4 size=(--tiny) launch+=(--cpu) brief=(--max-tokens 8)
fi
mkdir -p "$out"

on() { # FIRST LAST COMMAND...: with these GPUs, and their share of the cores, while there is time
    local first=$1 last=$2 seconds=$((${UNTIL:-9999999999} - $(date +%s)))
    shift 2
    [ "$seconds" -gt 30 ] || { echo "no time for ${*:1:9} ..." >&2 && return 1; }
    CUDA_VISIBLE_DEVICES=$(seq -s, $((gpu + first)) $((gpu + last))) timeout -k 15 "$seconds" \
        taskset -c $((core + first * cores / 2))-$((core + (last + 1) * cores / 2 - 1)) "$@"
}

learn() { # MODEL NAME STEPS BATCH FIRST LAST [OPTION]; a worker holds four batches of up to 250 MB each in /dev/shm
    local gpus=$(($6 - $5 + 1))
    on "$5" "$6" "$PYTHON" -m accelerate.commands.launch "${launch[@]}" --num_machines 1 --num_processes "$gpus" \
        --main_process_port "$((29500 + $5))" $([ "$gpus" -gt 1 ] && [ -z "${REHEARSE:-}" ] && echo --multi_gpu) \
        -m latexocr.cli train --data "$data" --model "$1" --out "$out/train-$2-$gpus" --steps "$3" \
        --batch $(($4 / 2)) --accumulation $((2 / gpus)) --backend peft --rank 16 --seed 1 --held-out 0 --log-to none \
        --workers 5 --save-steps 100000 ${7:-} > "$out/train-$2-$gpus.log" 2>&1 ||
        echo "training $2 on $gpus failed: $out/train-$2-$gpus.log" >&2
    echo "$2 on $gpus: $(tail -qn 1 "$out/train-$2-$gpus.log" | cut -c1-90)"
}

speed() { # MODEL NAME FIRST LAST FLAGS [OPTION...]
    [ ! -e "$out/serve-$2.json" ] || return 0
    on "$3" "$4" "$PYTHON" "$here/serving_speed.py" --data "$data" --model "$1" --alone 5 --warm 64 --patience 120 \
        --seconds "${LASTING:-10}" --in-flight ${IN_FLIGHT:-256 512} --serve-python "$SERVE_PYTHON" \
        --turn "$out/turn" --flags="$5 ${FLAGS:-}" --contenders served requests --keep "$out/answers/$2" \
        --out "$out/serve-$2.json" "${@:6}" "${brief[@]}" \
        > "$out/serve-$2.log" 2>&1 || echo "serving $2 failed: $out/serve-$2.log" >&2
    grep -h "pictures/s" "$out/serve-$2.log" | cut -c1-40 | sed "s/^/$2 /"
}

shape() { # SHAPE [OPTION]: makes its folder
    [ -d "$out/$1" ] || on 0 0 "$PYTHON" "$here/random_model.py" "$1" "$out/$1" "${@:2}" "${size[@]}"
}

for part in "$@"; do
    case $part in
    train)
        learn builtin embedded "$STEPS" "$BATCH" 0 0 &
        shape "$big" --weights
        learn "$out/$big" "$big" "$BIG_STEPS" "$BIG_BATCH" 1 1 --gradient-checkpointing &
        wait
        learn builtin embedded "$STEPS" "$BATCH" 0 1
        learn "$out/$big" "$big" "$BIG_STEPS" "$BIG_BATCH" 0 1 --gradient-checkpointing
        ;;
    serve) # Both start at once, and measure in turns.
        shape "$served"
        speed "$out/$served" "$served-2" 0 1 "$dummy --tensor-parallel-size 2" "${long[@]}" &
        speed builtin embedded-2 0 1 "$small --data-parallel-size 2 --api-server-count 8" --limit "$LIMIT" &
        wait
        speed builtin embedded-1 0 0 "$small --api-server-count 4" --limit "$LIMIT" &
        speed "$out/$served" "$served-1" 1 1 "$dummy" "${long[@]}" &
        wait
        ;;
    record) on 0 1 "$PYTHON" "$here/two_gpus.py" "$out" ;;
    *) echo "two_gpus.sh: found $part, expected train, serve or record" >&2 && exit 2 ;;
    esac
done
