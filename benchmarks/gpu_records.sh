#!/usr/bin/env bash
# What two GPUs have to tell about training and serving, in one go: gpu_records.sh DATA OUT [right] [one] [two]
#
# DATA holds train/ with train.jsonl (CROHME) and im2latex_sample/; OUT gets records and logs. PYTHON trains and is the
# client, with the packages of TRAIN_PATH; SERVE_PYTHON has vLLM, and is started with those of SERVE_PATH alone.
#   right: whether vLLM answers as transformers does, as it starts by itself, with graphs alone, with neither (3 min)
#   one:   training on the first GPU, beside it serving on the second (12 min)
#   two:   what both do together, two_gpus.sh (8 min)
# FIRST_GPU (0) is the first of the two; CORES (all) is how many cores they share, from FIRST_CORE (0) on.
set -uo pipefail
data=$1 out=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-python3} SERVE_PYTHON=${SERVE_PYTHON:-$PYTHON}
export CORES=${CORES:-$(getconf _NPROCESSORS_ONLN)} FIRST_CORE=${FIRST_CORE:-0} FIRST_GPU=${FIRST_GPU:-0}
printed=im2latex:$data/im2latex_sample ink=crohme:$data/train
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
mkdir -p "$out"
say() { echo "$(date +%T) $*" | tee -a "$out/times.log"; }

lane() { # NUMBER PACKAGES COMMAND...: on the first GPU (0) or the second (1), with half of the cores
    local from=$((FIRST_CORE + $1 * CORES / 2))
    CUDA_VISIBLE_DEVICES=$((FIRST_GPU + $1)) PYTHONPATH=$here/..:$2 taskset -c $from-$((from + CORES / 2 - 1)) "${@:3}"
}

learn() { # NAME SCRIPT [OPTION...]
    lane 0 "${TRAIN_PATH:-}" "$PYTHON" "$here/$2" "$out/$1.json" "${@:3}" > "$out/$1.log" 2>&1
    say "$1 ended with $?"
}

serve() { # NAME [OPTION...]
    lane 1 "${SERVE_PATH:-}" "$PYTHON" "$here/serving_speed.py" \
        --data "$printed" --serve-python "$SERVE_PYTHON" --out "$out/$1.json" "${@:2}" > "$out/$1.log" 2>&1
    say "$1 ended with $?: $(grep -E 'differ|tokens' "$out/$1.log" | tail -n 2 | tr '\n' ' ')"
}

right() {
    local few="--limit 24 --seconds 0 --alone 0 --in-flight 8 --patience 120 --contenders transformers served"
    serve right $few
    TORCH_COMPILE_DISABLE=1 serve right_graphs $few \
        --flags="--compilation-config '{\"mode\":0,\"cudagraph_mode\":\"FULL\"}'"
    TORCH_COMPILE_DISABLE=1 serve right_eager $few --flags="--enforce-eager --compilation-config '{\"mode\":0,\"cudagraph_mode\":\"NONE\"}'"
}

one() {
    (
        learn speed training_speed.py --data "$ink" --pictures 6400 --looks 16
        learn engines_ernie engines.py 20 ernie4_5_vl_moe
        learn shapes_qwen training_shapes.py --shapes qwen2_5_vl_3b
        learn shapes_ernie training_shapes.py --shapes ernie_28b --bits 4
    ) &
    serve h100 --batch 64 --warm 64 --alone 20 --in-flight 64 256 512 --seconds 10 --patience 240 \
        --flags="--api-server-count 8"
    lane 1 "${TRAIN_PATH:-}" "$PYTHON" "$here/random_model.py" qwen2_5_vl_3b "$out/qwen2_5_vl_3b" --weights
    serve qwen_3b --model "$out/qwen2_5_vl_3b" --limit 200 --max-tokens 256 --warm 64 --alone 5 --in-flight 64 256 \
        --seconds 10 --patience 200 --contenders served requests
    wait
}

two() {
    for part in train serve record; do
        local packages=${TRAIN_PATH:-} from=$ink
        [ $part = serve ] && packages=${SERVE_PATH:-} from=$printed
        PYTHONPATH=$here/..:$packages bash "$here/two_gpus.sh" "$from" "$out/two" $part > "$out/two_$part.log" 2>&1
        say "two $part ended with $?"
    done
}

for part in "$@"; do
    case $part in
    right | one | two) $part ;;
    *) echo "gpu_records.sh: found $part, expected right, one or two" >&2 && exit 2 ;;
    esac
done
say "all ended"
