#!/usr/bin/env bash
# What two GPUs have to tell about serving and training, in one go: gpu_records.sh DATA OUT [one] [many] [two] [train]
#
# DATA holds train/ with train.jsonl (CROHME) and im2latex_sample/; OUT gets records and logs. PYTHON trains and is the
# client, with the packages of TRAIN_PATH; SERVE_PYTHON has vLLM, and is started with those of SERVE_PATH alone.
#   one:   a server, started in three ways; OUT/way says the fastest that answers as transformers does (7 min)
#   many:  several servers on one GPU, FEW (4) on the first and MANY (8) on the second; then the 3 B shape (6 min)
#   two:   what both GPUs do together, two_gpus.sh: serving, then training (12 min)
#   train: training on the first GPU, shapes on the second (13 min)
# Right are the published answers of transformers to im2latex_sample: the weights must be those that made them. What is
# served is started the WAY that was found; where none is right nothing is, and DIAGNOSE, if set, is run instead. PY_SPY,
# if set, is the program that looks into vLLM's engine under load. FIRST_GPU (0) is the first of the two; CORES (all) is
# how many cores they share, from FIRST_CORE (0) on.
set -uo pipefail
data=$1 out=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-python3} SERVE_PYTHON=${SERVE_PYTHON:-$PYTHON}
export CORES=${CORES:-$(getconf _NPROCESSORS_ONLN)} FIRST_CORE=${FIRST_CORE:-0} FIRST_GPU=${FIRST_GPU:-0}
printed=im2latex:$data/im2latex_sample ink=crohme:$data/train right=$here/results/im2latex_sample/predictions-base.jsonl
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

# Prints how vLLM is told to start. All but `itself` and `encoder` want TORCH_COMPILE_DISABLE=1.
flags() { # WAY
    case $1 in
    graphs) echo "--compilation-config '{\"mode\":0,\"cudagraph_mode\":\"FULL_DECODE_ONLY\"}'" ;;
    itself) ;;
    encoder) echo "--compilation-config '{\"cudagraph_mm_encoder\":true}'" ;;
    eager) echo "--enforce-eager" ;;
    # One graph for mixed batches and for those that only go on: for heads of 64 numbers or less FlashAttention 3 lays
    # out its plan otherwise for the second than the graph was made with. It shows that a wrong way is seen.
    full) echo "--compilation-config '{\"mode\":0,\"cudagraph_mode\":\"FULL\"}'" ;;
    esac
}

no_compiling() { [[ $1 == itself || $1 == encoder ]] && echo 0 || echo 1; }

serve() { # WAY GPU NAME FLAGS [OPTION...]: of a server started that way, with more flags
    TORCH_COMPILE_DISABLE=$(no_compiling "$1") OMP_NUM_THREADS=1 lane "$2" "${SERVE_PATH:-}" timeout "${PATIENCE:-500}" "$PYTHON" \
        "$here/serving_speed.py" --data "$printed" --serve-python "$SERVE_PYTHON" --flags="$4 $(flags "$1")" --warm 64 \
        --patience 100 --keep "$out/answers/$3" --out "$out/$3.json" "${@:5}" > "$out/$3.log" 2>&1
    say "$3 ended with $?: $(grep -E 'differ|pictures/s|failed' "$out/$3.log" | cut -c1-60 | tr '\n' ' ')"
}

# Of what stands in a log: answers that differ, all where nothing was read; pictures a second, 0 where there are none.
differ() { sed -n 's/^served: \([0-9]*\) of .*/\1/p' "$out/$1.log" | grep . || echo 1198; }
rate() { sed -n 's/^served fixed *\([0-9]*\)\..*/\1/p' "$out/$1.log" | grep . || echo 0; }
way() { cat "$out/way" 2> /dev/null; }

look() { # GPU NAME: where the engine spends six of its ten seconds with 256 requests in flight
    [ -n "${PY_SPY:-}" ] || return
    local from=$((FIRST_CORE + $1 * CORES / 2))
    until grep -q "requests: 256 in flight" "$out/$2.log" 2> /dev/null; do sleep 1; done
    sleep 3
    for pid in $(pgrep -f '^VLLM::EngineCore'); do
        taskset -pc "$pid" | grep -qE "list: $from(-|$)" || continue
        timeout 30 "$PY_SPY" record --pid "$pid" --duration 6 --rate 200 --nonblocking --threads --format raw \
            --output "$out/$2.engine" > "$out/$2.look" 2>&1
    done
}

one() {
    rm -f "$out/way" "$out"/one_*.log
    local all="--against $right --alone 20 --in-flight 64 256 512 --seconds 10 --contenders served requests"
    {
        serve graphs 0 one_graphs "--api-server-count 8" $all "vllm bench serve" "served fixed"
        serve full 0 one_full "" --against "$right" --limit 24 --alone 0 --contenders served
    } &
    local first=$!
    look 0 one_graphs &
    local looking=$!
    serve itself 1 one_itself "--api-server-count 8" $all "vllm bench serve" "served fixed"
    serve encoder 1 one_encoder "--api-server-count 8" $all "served fixed"
    wait $first
    kill $looking 2> /dev/null
    local best=0
    for name in graphs itself encoder; do  # Of 1,198 answers some twenty are ties that bfloat16 decides otherwise.
        if [ "$(differ "one_$name")" -le 120 ] && [ "$(rate "one_$name")" -gt $best ]; then
            best=$(rate "one_$name")
            echo "$name" > "$out/way"
        fi
    done
    [ -n "$(way)" ] || serve eager 0 one_eager "" --against "$right" --limit 100 --alone 0 --contenders served
    [ -n "$(way)" ] || [ "$(differ one_eager)" -gt 10 ] || echo eager > "$out/way"
    say "way: $(way)"
    [ -n "$(way)" ] || [ -z "${DIAGNOSE:-}" ] ||
        lane 0 "${SERVE_PATH:-}" timeout 200 "$SERVE_PYTHON" "$DIAGNOSE" "$out/diagnosis.json" \
            > "$out/diagnosis.log" 2>&1
}

# Each server takes 4 GB for what it has in work, and need not measure how much is free while others take theirs.
several() { # GPU NUMBER: of servers on one GPU
    serve "$(way)" "$1" "many_$2" "--api-server-count 2 --gpu-memory-utilization 0.08 --kv-cache-memory-bytes 4000000000" \
        --servers "$2" --alone 5 --in-flight $((128 * $2)) $((256 * $2)) --seconds 10 \
        --contenders served requests "served fixed" --against "$right"
}

many() {
    [ -n "$(way)" ] || return
    {
        several 0 "${FEW:-4}"
        lane 0 "${TRAIN_PATH:-}" "$PYTHON" "$here/random_model.py" qwen2_5_vl_3b "$out/shape_3b"
        serve "$(way)" 0 qwen_3b "--api-server-count 4 --load-format dummy" --model "$out/shape_3b" --limit 200 \
            --max-tokens 256 --alone 5 --in-flight 64 256 --seconds 10 --contenders served requests
    } &
    several 1 "${MANY:-8}"
    wait
}

two() {
    mkdir -p "$out/two"
    for part in serve train record; do
        local packages=${TRAIN_PATH:-} from=$ink compile=0
        if [ $part = serve ]; then
            [ -n "$(way)" ] || continue
            packages=${SERVE_PATH:-} from=$printed
            compile=$(no_compiling "$(way)")
        fi
        FLAGS=$(flags "$(way)") TORCH_COMPILE_DISABLE=$compile PYTHONPATH=$here/..:$packages \
            bash "$here/two_gpus.sh" "$from" "$out/two" $part > "$out/two_$part.log" 2>&1
        say "two $part ended with $?"
    done
}

train() {
    (
        learn 1 shapes_ernie 320 training_shapes.py --shapes ernie_28b --bits 4 --batches 1 4
        learn 1 shapes_qwen 160 training_shapes.py --shapes qwen2_5_vl_3b --bits 16 --batches 1 4
    ) &
    # The rate that a run settles at, of steps 101 to 200; the same with cuDNN's attention; the notebook's.
    local settled="--pictures 12800 --warm 100 --looks 4"
    learn 0 speed 260 training_speed.py --data "$ink" $settled --recipes ours-peft ours-unsloth
    learn 0 speed_cudnn 130 training_speed.py --data "$ink" $settled --recipes ours-peft --cudnn
    learn 0 engines_ernie 100 engines.py 20 ernie4_5_vl_moe
    learn 0 speed_notebook 240 training_speed.py --data "$ink" --pictures 1200 --looks 6 --recipes notebook
    wait
}

for part in "$@"; do
    case $part in
    one | many | two | train) $part ;;
    *) echo "gpu_records.sh: found $part, expected one, many, two or train" >&2 && exit 2 ;;
    esac
done
say "all ended"
