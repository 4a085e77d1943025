#!/bin/bash
# A lease of a GPU machine without a network, spent on the embedded model from its first to its last minute.
#
#     benchmarks/lease.sh pack FOLDER FILE...  # here: everything that has to travel, in pieces FOLDER/1, FOLDER/2 ...
#     benchmarks/lease.sh take FOLDER/1        # there, once a call: keeps what the call brought
#     benchmarks/lease.sh start [OPTION...]    # there: unpacks, and trains in the background, on the first GPUS (all)
#     benchmarks/lease.sh watch SECONDS        # there: waits so long, or until all has ended; what there is to $OUT
#
# FILEs: the parts of TeX (benchmarks/carry.py), corpus.jsonl.gz, hands.npz (benchmarks/hands.py), site.tar.xz (Python
# packages that the machine lacks, under site/), crohme_train_images.tar.gz. The code and the weights of builtin come
# along by themselves. OPTIONs go to latexocr.training.pretrain run; --minutes among them is the training's own clock.
# After the training its model reads the validation set, damaged pictures too, and LoRA tunes it on CROHME.
# benchmarks/pretraining.md has the commands of a lease with their times.
#
# While the calls are made, the weights of builtin must be out of the checkout (links to elsewhere): 64 MiB are little.
# To rehearse: ROOT=/tmp/r (for TeX) WORK=/tmp/w OUT=/tmp/o DEVICE=cpu PROCESSES=2 VALIDATION=9 ROBUST=1 STEPS=2
# WORKERS=1, and --no-compile --pixels-a-batch 1 for `start`.
set -eu
work=${WORK:-/tmp/lease} python=${PYTHON:-python3} device=${DEVICE:-cuda}
export PYTHONPATH=$work/code:$work/site HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 UNSLOTH_DISABLE_STATISTICS=1 \
    TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1 NCCL_NVLS_ENABLE=0 GLOO_SOCKET_IFNAME=lo \
    OMP_NUM_THREADS=1
gpus() { echo "${GPUS:-$(nvidia-smi -L 2> /dev/null | wc -l)}"; }
say() { echo "$(date +%T) $*" | tee -a "$work/times.log"; }

# A call carries the tracked files beside a piece, 64 MiB in all, and 1 MiB is kept free.
pack() {
    folder=$1
    shift
    rm -rf "$folder" && mkdir -p "$folder/all"
    cp "$@" "$folder/all"
    git archive --prefix=code/ HEAD | tar x -C "$folder/all"
    rest=$(git ls-files -z | grep -zv 'builtin/.*safetensors$' | xargs -0 du -cb | tail -1 | cut -f1)
    tar cf - -C "$folder/all" . | split -b $((63 * 1048576 - rest)) - "$folder/piece."
    rm -r "$folder/all"
    number=0
    for piece in "$folder"/piece.*; do
        number=$((number + 1))
        mkdir "$folder/$number" && mv "$piece" "$folder/$number/piece"
    done
    du -sb "$folder"/*
}

take() {
    mkdir -p "$work"
    cat "$1/piece" >> "$work/all.tar" && say "took $1"
}

start() {
    tar xf "$work/all.tar" -C "$work" && rm "$work/all.tar"
    for part in "$work"/tex-*.tar.xz; do
        [ ! -e "$part" ] || tar xJf "$part" -C "${ROOT:-/}" &
    done
    [ ! -e "$work/site.tar.xz" ] || tar xJf "$work/site.tar.xz" -C "$work"
    tar xzf "$work/crohme_train_images.tar.gz" -C "$work"
    wait
    say "unpacked"
    cd "$work/code"
    setsid nohup bash benchmarks/lease.sh everything "$@" > "$work/everything.log" 2>&1 &
}

everything() {
    base=$work/code/latexocr/reading/builtin run=$work/run
    nice "$python" -m latexocr.training.pretrain validation "$work/validation" --corpus "$work/corpus.jsonl.gz" \
        --model "$base" --longest 200 --count "${VALIDATION:-2000}" --seed 1 --fonts palatino px \
        > "$work/validation.log" 2>&1 &
    drawing=$!
    set -- -m latexocr.training.pretrain run --model "$base" --corpus "$work/corpus.jsonl.gz" --out "$run" \
        --hands "$work/hands.npz" --device "$device" --workers "${WORKERS:-15}" --short-seconds 0 "$@"
    if [ "${PROCESSES:-$(gpus)}" -gt 1 ]; then
        "$python" -m torch.distributed.run --standalone --nproc-per-node "${PROCESSES:-$(gpus)}" "$@" \
            > "$work/pretrain.log" 2>&1 || say "training together ended with $?"
    fi
    [ -e "$run/model" ] || "$python" "$@" >> "$work/pretrain.log" 2>&1 || say "training ended with $?"
    say "trained"
    wait $drawing && say "validation drawn"
    tune &
    measure &
    wait
    say "all ended"
}

measure() {
    CUDA_VISIBLE_DEVICES=$(on 1) "$python" -m latexocr.cli bench --data "$work/validation" --base "$work/run/model" \
        --out "$work/bench" --robust "${ROBUST:-30}" > "$work/bench.log" 2>&1 && say "measured" ||
        say "measuring ended with $?"
}

tune() {
    CUDA_VISIBLE_DEVICES=$(on 0) "$python" -m latexocr.cli train --data "crohme:$work/train" --model "$work/run/model" \
        --out "$work/crohme" --rank 32 --alpha 64 --learning-rate 1e-3 --batch 64 --steps "${STEPS:-960}" \
        --save-steps 300 --backend peft --log-to none > "$work/crohme.log" 2>&1 && say "tuned" ||
        say "tuning ended with $?"
}

on() { [ "$device" = cpu ] || echo $(($1 % $(gpus))); }

watch() {
    for _ in $(seq $(($1 / 5))); do
        grep -qs "all ended" "$work/times.log" && break
        sleep 5
    done
    cat "$work/times.log"
    nvidia-smi --query-gpu=index,memory.used,utilization.gpu --format=csv,noheader 2> /dev/null || true
    tail -qn 2 "$work"/*.log
    cd "$work"
    # Joined: cat model.tar.* | tar x. Until the training has ended the mean reads better; after it the model comes once.
    if grep -qs "trained" times.log; then
        [ -e brought ] || tar cf - run/model | split -b 15M - "$OUT/model.tar." && touch brought
    elif [ -e run/mean ]; then
        tar cf - run/mean | split -b 15M - "$OUT/mean.tar." || true
    fi
    tar cJf - --exclude='*.safetensors' --exclude=images ./*.log run bench validation 2> /dev/null |
        split -b 15M - "$OUT/records.tar.xz." || true
    [ ! -e crohme/adapter_config.json ] || tar cf "$OUT/crohme.tar" --exclude 'checkpoint*' crohme
    ls -l "$OUT"
}

case ${1:-} in
    pack | take | start | everything | watch) "$@" ;;
    *) echo "lease.sh: expected pack, take, start or watch" >&2 && exit 2 ;;
esac
