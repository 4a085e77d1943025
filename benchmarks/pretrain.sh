#!/bin/sh
# How the embedded model is made, from formulas alone: pretrain.sh CORPUS OUT [OPTION...]
#
#     benchmarks/pretrain.sh formulas.jsonl.gz runs/pretrain
#     benchmarks/pretrain.sh formulas.jsonl.gz runs/trial --device cpu --no-compile --workers 1 --pixels-a-batch 200000
#
# Needs: `latex` and `dvipng` (the Debian packages are in .ci/run; for all the fonts also
# texlive-fonts-extra, lmodern and texlive-plain-generic), and a GPU with 16 cores: the cores draw what the GPU reads. The
# model that ships took 125 minutes of an H100 or H200, in five runs. With `--hands FILE`, made by benchmarks/hands.py, it
# learns handwriting too.
#
# CORPUS is a gzipped file of one JSON object a line:
#     {"latex": "\\frac{1}{2}", "source": "arxiv", "doc": 17}
# `doc` is the number of the document that the formula is from: one document in fifty is held out for validation.
# `source` is any name; crohme, mooculus and apex, which are not free for every use, are left out.
# Formulas are set in mathematics mode with amsmath, amssymb and some more; those that TeX refuses are passed over.
#
# OPTIONs go to the training (python -m latexocr.training.pretrain run --help). It ends on the clock, whatever it has
# read by then: fewer workers make another model. Where it was killed, give --model OUT/run/model --short-seconds 0 and
# the minutes that are left. The settings of the model that ships are in latexocr/reading/builtin/pretraining.json.
set -eu
if [ $# -lt 2 ]; then
    echo "pretrain.sh: expected CORPUS OUT [OPTION...]" >&2
    exit 2
fi
corpus=$1 out=$2
shift 2
python=${PYTHON:-python3}

# The shape, the chat template, and a tokenizer fitted to the corpus (its canonical spelling takes some minutes).
[ -e "$out/new/config.json" ] || "$python" -m latexocr.training.pretrain new "$out/new" --corpus "$corpus"

"$python" -m latexocr.training.pretrain run --model "$out/new" --corpus "$corpus" --out "$out/run" "$@"

# 2,000 formulas of held-out documents, in the fonts of the training and in two that it never drew.
[ -e "$out/validation/samples.jsonl" ] || "$python" -m latexocr.training.pretrain validation "$out/validation" \
    --corpus "$corpus" --model "$out/new"

# Against the model that ships: both read every picture, and the report says whether they differ.
"$python" -m latexocr.cli bench --data "$out/validation" --base builtin --tuned "$out/run/model" --out "$out/bench"
echo "pretrain.sh: the model is $out/run/model, the report $out/bench/report.html" >&2
