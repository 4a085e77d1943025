#!/usr/bin/env bash
# What GPUs have to tell about serving and training: gpu_records.sh DATA OUT "PART..." ["PART..." ["PART..."]]
#
# The first parts run on a GPU, the second on another beside it, the third on both after that. DATA holds train/ with
# train.jsonl (CROHME) and im2latex_sample/; OUT gets records and logs. PYTHON trains and is the client, with the
# packages of TRAIN_PATH; SERVE_PYTHON has vLLM, and is started with those of SERVE_PATH alone. Parts of one GPU:
#   one:     all ways of reading, a server started in three ways, the 3 B shape; OUT/way says the fastest way that
#            answers as transformers does (9 min)
#   many:    MANY (8) servers, then FEW (4; 0: none) (6 min)
#   speed, cudnn, notebook: of training by our recipe, with cuDNN's attention, by the notebook's recipe (4 min each)
#   engines: ERNIE, tiny, through PEFT and Unsloth (4 min);  shapes_ernie, shapes_qwen: full size (4 min each)
# and of both: two_train (4 min), two_serve (4 min), two_record, which two_gpus.sh tells of, and
#   wide:    MANY servers on the first with all cores (4 min)
# Right are the published answers of transformers to im2latex_sample: the weights must be those that made them. Where no
# way of serving is right none is used. PY_SPY, if set, is the program that looks into vLLM's engines under load. The GPUs
# are FIRST_GPU (0) and the next; they have CORES (all) from FIRST_CORE (0) on, the first SHARE (half) of them. After
# JOIN seconds nothing runs on one GPU any more, after END seconds nothing at all.
set -uo pipefail
alone="one many speed cudnn notebook engines shapes_ernie shapes_qwen"
both="two_train two_serve two_record wide"
refuse() {
    echo "gpu_records.sh: found $1, expected DATA OUT \"PART...\" [\"PART...\" [\"PART...\"]]; parts: $alone; $both" >&2
    exit 2
}
[ $# -ge 3 ] || refuse "${*:-nothing}"
data=$1 out=$2
shift 2
for part in $*; do
    [[ " $alone $both " == *" $part "* ]] || refuse "the part $part"
done
[ -d "$data/im2latex_sample" ] && [ -d "$data/train" ] || refuse "no im2latex_sample and train in $data"
here=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-python3} SERVE_PYTHON=${SERVE_PYTHON:-$PYTHON}
export CORES=${CORES:-$(getconf _NPROCESSORS_ONLN)} FIRST_CORE=${FIRST_CORE:-0} FIRST_GPU=${FIRST_GPU:-0}
share=${SHARE:-$((CORES / 2))} gpu=0 begun=$(date +%s)
export UNTIL=$((begun + ${JOIN:-3600}))
printed=im2latex:$data/im2latex_sample ink=crohme:$data/train right=$here/results/im2latex_sample/predictions-base.jsonl
export CUDA_VISIBLE_DEVICES=$FIRST_GPU,$((FIRST_GPU + 1))
export HF_HUB_OFFLINE=1 TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1
mkdir -p "$out/two"
say() { echo "$(date +%T) $(($(date +%s) - begun)) $*" | tee -a "$out/times.log"; }

lane() { # PACKAGES COMMAND...: on this GPU with its cores
    local from=$FIRST_CORE last=$((FIRST_CORE + share - 1))
    [ "$gpu" = 0 ] || from=$((FIRST_CORE + share)) last=$((FIRST_CORE + CORES - 1))
    CUDA_VISIBLE_DEVICES=$((FIRST_GPU + gpu)) PYTHONPATH=$here/..:$1 taskset -c "$from-$last" "${@:2}"
}

# Prints how long something may take, in seconds: not beyond the time at which this stage ends. False: not worth it.
within() { # SECONDS
    local left=$((UNTIL - $(date +%s)))
    [ "$1" -lt "$left" ] && left=$1
    echo "$left"
    [ "$left" -ge "${WORTH:-45}" ]
}

learn() { # NAME SECONDS SCRIPT [OPTION...]: records hold what was done when time is up
    local seconds
    seconds=$(within "$2") || { say "$1 not begun" && return; }
    lane "${TRAIN_PATH:-}" timeout -k 10 "$seconds" "$PYTHON" "$here/$3" "$out/$1.json" "${@:4}" > "$out/$1.log" 2>&1
    say "$1 ended with $?: $(grep -E 'pictures/s|peak_gib|failed|losses differ' "$out/$1.log" | tail -n 3 | cut -c1-150 |
        tr '\n' ' ')"
}

# Prints how vLLM is told to start. All but `itself` want TORCH_COMPILE_DISABLE=1.
flags() { # WAY
    case $1 in
    graphs) echo "--compilation-config '{\"mode\":0,\"cudagraph_mode\":\"FULL_DECODE_ONLY\"}'" ;;
    itself) ;;
    eager) echo "--enforce-eager" ;;
    # One graph for mixed batches and for those that only go on: for heads of 64 numbers or less FlashAttention 3 lays
    # out its plan otherwise for the second than the graph was made with. It shows that a wrong way is seen.
    full) echo "--compilation-config '{\"mode\":0,\"cudagraph_mode\":\"FULL\"}'" ;;
    esac
}

no_compiling() { [ "$1" = itself ] && echo 0 || echo 1; }

# Prints how much of a GPU a server takes: so much for what it has in work, and it need not measure how much is free
# while others take theirs.
room() { # PART GB
    echo "--gpu-memory-utilization $1 --kv-cache-memory-bytes $2000000000"
}

serve() { # WAY NAME SECONDS FLAGS [OPTION...]: of a server started that way, with more flags
    local seconds
    seconds=$(within "$3") || { say "$2 not begun" && return; }
    TORCH_COMPILE_DISABLE=$(no_compiling "$1") OMP_NUM_THREADS=1 lane "${SERVE_PATH:-}" timeout -k 20 "$seconds" \
        "$PYTHON" "$here/serving_speed.py" --data "$printed" --serve-python "$SERVE_PYTHON" --flags="$4 $(flags "$1")" --warm 64 \
        --patience 100 --turn "$out/turn.$gpu" --keep "$out/answers/$2" --out "$out/$2.json" "${@:5}" \
        > "$out/$2.log" 2>&1
    say "$2 ended with $?: $(grep -E 'differ|pictures/s  |failed' "$out/$2.log" | cut -c1-60 | tr -s '\n ' ' ')"
}

# Of what stands in a log: answers that differ, all where nothing was read; pictures a second, 0 where there are none.
differ() { sed -n 's/^served: \([0-9]*\) of .*/\1/p' "$out/$1.log" 2> /dev/null | grep . || echo 1198; }
rate() { sed -n 's/^served fixed *\([0-9]*\)\..*/\1/p' "$out/$1.log" 2> /dev/null | grep . || echo 0; }
way() { cat "$out/way" 2> /dev/null; }

look() { # NAME: where vLLM's engines spend six of its ten seconds with 256 requests in flight
    [ -n "${PY_SPY:-}" ] || return
    until grep -q "requests: 256 in flight" "$out/$1.log" 2> /dev/null; do sleep 1; done
    sleep 3
    for pid in $(pgrep -f '^VLLM::EngineCore'); do
        timeout 30 "$PY_SPY" record --pid "$pid" --duration 6 --rate 200 --nonblocking --threads --format raw \
            --output "$out/$1.engine.$pid" > "$out/$1.look.$pid" 2>&1 &
    done
    wait
}

one() {
    rm -f "$out/way" "$out"/one_*.log
    local against="--against $right --alone 20" load="--in-flight 64 256 512 --seconds 10" small waited=()
    small="--api-server-count 8 $(room 0.2 10)"
    look one_graphs &
    local looking=$!
    # All start at once, and measure in turns.
    serve graphs one_readers 640 "$small" $against $load --batch 64 --patience 240 --contenders transformers vllm &
    waited+=($!)
    serve graphs one_graphs 640 "$small" $against $load --contenders served requests "vllm bench serve" "served fixed" &
    waited+=($!)
    serve itself one_itself 640 "$small" $against $load --contenders served requests "vllm bench serve" "served fixed" &
    waited+=($!)
    serve full one_full 500 "$(room 0.08 4)" $against --limit 24 --alone 0 --patience 60 --contenders served &
    waited+=($!)
    three &
    waited+=($!)
    wait "${waited[@]}"
    kill $looking 2> /dev/null
    choose
}

three() { # The shape of Qwen2.5-VL 3 B, served
    lane "${TRAIN_PATH:-}" "$PYTHON" "$here/random_model.py" qwen2_5_vl_3b "$out/shape_3b" > "$out/shape_3b.log" 2>&1
    serve graphs qwen_3b 640 "--api-server-count 4 --load-format dummy $(room 0.25 10)" --model "$out/shape_3b" \
        --limit 200 --max-tokens 256 --alone 5 --in-flight 64 256 --seconds 10 --contenders served requests
}

choose() {
    local best=0
    cp "$out/one_graphs.json" "$out/two/serve-embedded-1.json"
    # Of 1,198 answers some twenty are ties that bfloat16 decides otherwise; a new crop changes more than a new way.
    for name in graphs itself; do
        if [ "$(differ "one_$name")" -le 240 ] && [ "$(rate "one_$name")" -gt $best ]; then
            best=$(rate "one_$name")
            echo "$name" > "$out/way"
        fi
    done
    [ -n "$(way)" ] || serve eager one_eager 200 "" --against "$right" --limit 100 --alone 0 --contenders served
    [ -n "$(way)" ] || [ "$(differ one_eager)" -gt 20 ] || echo eager > "$out/way"
    say "way: $(way)"
}

several() { # NAME NUMBER: of servers on one GPU
    [ -n "$(way)" ] || return
    serve "$(way)" "$1" 400 "--api-server-count 2 $(room 0.04 2)" --servers "$2" --alone 5 \
        --in-flight $((64 * $2)) $((128 * $2)) --seconds 10 --contenders served requests "served fixed" --against "$right"
}

many() {
    several "many_${MANY:-8}" "${MANY:-8}"
    [ "${FEW:-4}" = 0 ] || several "many_${FEW:-4}" "${FEW:-4}"
}

wide() { share=$CORES several wide "${MANY:-8}"; }

two() { # PART: of two_gpus.sh; served is what starts with graphs, as one_graphs does, or without any
    local packages=${TRAIN_PATH:-} from=$ink start=graphs
    [ "$1" != serve ] || packages=${SERVE_PATH:-} from=$printed
    [ "$(way)" != eager ] || start=eager
    FLAGS=$(flags $start) TORCH_COMPILE_DISABLE=$([ "$1" = serve ] && echo 1 || echo 0) PYTHONPATH=$here/..:$packages \
        bash "$here/two_gpus.sh" "$from" "$out/two" "$1" > "$out/two_$1.log" 2>&1
    say "two $1 ended with $?: $(tail -n 8 "$out/two_$1.log" | tr -s '\n ' ' ' | cut -c1-400)"
}

two_train() { two train; }
two_serve() { two serve; }
two_record() { two record; }

# The rate that a run settles at, of steps 101 to 200; the same with cuDNN's attention; the notebook's.
settled="--data $ink --pictures 12800 --warm 100 --looks 8 --recipes"
speed() { learn speed 440 training_speed.py $settled ours-unsloth ours-peft; }
cudnn() { learn speed_cudnn 200 training_speed.py $settled ours-peft --cudnn; }

engines() { learn engines_ernie 330 engines.py 20 ernie4_5_vl_moe; }
shapes_ernie() { learn shapes_ernie 260 training_shapes.py --shapes ernie_28b --bits 4 --batches 2 1 4; }
shapes_qwen() { learn shapes_qwen 240 training_shapes.py --shapes qwen2_5_vl_3b --bits 4 16 --batches 2 1 4; }

notebook() {
    learn speed_notebook 260 training_speed.py --data "$ink" --pictures 1200 --looks 6 --recipes notebook \
        --beside "$out/speed.json"
}

parts() { # "PART...": one after the other
    for part in $1; do
        $part
    done
}

parts "${1:-}" &
gpu=1 && parts "${2:-}" &
wait
gpu=0 UNTIL=$((begun + ${END:-7200}))
parts "${3:-}"
say "all ended"
