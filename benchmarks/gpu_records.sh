#!/usr/bin/env bash
# What two GPUs have to tell about training and serving, in one go: gpu_records.sh DATA OUT [right] [one] [two]
#
# DATA holds train/ with train.jsonl (CROHME) and im2latex_sample/; OUT gets records and logs. PYTHON trains and is the
# client, with the packages of TRAIN_PATH; SERVE_PYTHON has vLLM, and is started with those of SERVE_PATH alone.
#   right: which WAYS of starting vLLM answer as transformers does; OUT/way says the first that does (4 min)
#   one:   training on the first GPU, beside it serving on the second (13 min)
#   two:   what both do together, two_gpus.sh (8 min)
# What is served is started that WAY; where none is right nothing is served, and DIAGNOSE, if set, is run instead.
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

learn() { # GPU NAME SECONDS SCRIPT [OPTION...]: given up after so many seconds; records hold what was done by then
    lane "$1" "${TRAIN_PATH:-}" timeout "$3" "$PYTHON" "$here/$4" "$out/$2.json" "${@:5}" > "$out/$2.log" 2>&1
    say "$2 ended with $?"
}

# Prints how vLLM is told to start. All but `itself` want TORCH_COMPILE_DISABLE=1, and start in half the time.
flags() { # WAY
    case $1 in
    graphs) echo "--compilation-config '{\"mode\":0,\"cudagraph_mode\":\"FULL_DECODE_ONLY\"}'" ;;
    itself) ;;
    eager) echo "--enforce-eager" ;;
    plain) echo "--enforce-eager --attention-backend TRITON_ATTN --mm-encoder-attn-backend TORCH_SDPA" \
        "--compilation-config '{\"custom_ops\":[\"none\"]}'" ;;
    # One graph for mixed batches and for those that only go on: for heads of 64 numbers or less FlashAttention 3 lays
    # out its plan otherwise for the second than the graph was made with. It shows that a wrong way is seen.
    full) echo "--compilation-config '{\"mode\":0,\"cudagraph_mode\":\"FULL\"}'" ;;
    esac
}

serve() { # WAY GPU NAME FLAGS [OPTION...]: of a server started that way, with more flags
    local compile=1
    [ "$1" != itself ] || compile=0
    TORCH_COMPILE_DISABLE=$compile OMP_NUM_THREADS=1 lane "$2" "${SERVE_PATH:-}" timeout "${PATIENCE:-800}" "$PYTHON" \
        "$here/serving_speed.py" --data "$printed" --serve-python "$SERVE_PYTHON" --flags="$4 $(flags "$1")" \
        --keep "$out/answers/$3" --out "$out/$3.json" "${@:5}" > "$out/$3.log" 2>&1
    say "$3 ended with $?: $(grep -E 'differ|tokens|failed' "$out/$3.log" | tail -n 2 | tr '\n' ' ')"
}

few="--limit 24 --seconds 0 --alone 0"
right=$out/answers/transformers/transformers.jsonl

is_right() { # WAY GPU: 24 answers, of which at most two may differ from float32's
    PATIENCE=${PATIENCE:-150} serve "$1" "$2" "right_$1" "" $few --patience 60 --contenders served --against "$right"
    local differ
    differ=$(sed -n 's/^served: \([0-9]*\) of .*/\1/p' "$out/right_$1.log")
    [ "${differ:-24}" -le 2 ] && touch "$out/right_$1"
}

right() {
    rm -f "$out"/right_* "$out/way"
    CUDA_VISIBLE_DEVICES='' PYTHONPATH=$here/..:${SERVE_PATH:-} taskset -c $FIRST_CORE-$((FIRST_CORE + CORES - 1)) \
        "$PYTHON" "$here/serving_speed.py" --data "$printed" $few --dtype float32 --serve-python "$SERVE_PYTHON" \
        --contenders transformers --keep "${right%/*}" > "$out/transformers.log" 2>&1 &
    if is_right graphs 0; then is_right full 0; else is_right eager 0; fi &
    is_right itself 1 || is_right plain 1 &
    wait
    for way in graphs itself eager plain; do
        [ -e "$out/way" ] || [ ! -e "$out/right_$way" ] || echo "$way" > "$out/way"
    done
    say "way: $(way)"
    [ -n "$(way)" ] || [ -z "${DIAGNOSE:-}" ] ||
        lane 0 "${SERVE_PATH:-}" timeout 200 "$SERVE_PYTHON" "$DIAGNOSE" "$out/diagnosis.json" \
            > "$out/diagnosis.log" 2>&1
}

way() { cat "$out/way" 2> /dev/null; }

one() {
    (
        learn 0 speed 480 training_speed.py --data "$ink" --pictures 2560 --looks 10
        learn 0 engines_ernie 180 engines.py 20 ernie4_5_vl_moe
        learn 0 shapes_qwen 180 training_shapes.py --shapes qwen2_5_vl_3b
    ) &
    if [ -n "$(way)" ]; then
        serve "$(way)" 1 h100 "--api-server-count 8" --batch 64 --warm 64 --alone 20 --in-flight 64 256 512 \
            --seconds 10 --patience 240
        lane 1 "${TRAIN_PATH:-}" "$PYTHON" "$here/random_model.py" qwen2_5_vl_3b "$out/qwen2_5_vl_3b" --weights
        serve "$(way)" 1 qwen_3b "" --model "$out/qwen2_5_vl_3b" --limit 200 --max-tokens 256 --warm 64 --alone 5 \
            --in-flight 64 256 --seconds 10 --patience 200 --contenders served requests
    fi
    learn 1 shapes_ernie 180 training_shapes.py --shapes ernie_28b --bits 4
    wait
}

two() {
    mkdir -p "$out/two"
    [ ! -d "$out/qwen2_5_vl_3b" ] || ln -sfn "$(realpath "$out/qwen2_5_vl_3b")" "$out/two/qwen2_5_vl_3b"
    for part in train serve record; do
        local packages=${TRAIN_PATH:-} from=$ink compile=0
        if [ $part = serve ]; then
            [ -n "$(way)" ] || continue
            packages=${SERVE_PATH:-} from=$printed
            [ "$(way)" = itself ] || compile=1
        fi
        FLAGS=$(flags "$(way)") TORCH_COMPILE_DISABLE=$compile PYTHONPATH=$here/..:$packages \
            bash "$here/two_gpus.sh" "$from" "$out/two" $part > "$out/two_$part.log" 2>&1
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
