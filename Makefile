# Sets up what is missing, then does one job. Everything real is in the Snakefile, dvc.yaml and tests/.

VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
READY := $(VENV)/.ready
PYTHON ?= python3
UV ?= $(shell command -v uv || echo .uv/bin/uv)
CORES ?= all
SCALE ?= $(shell sed -n 's/^  - scale: //p' dvc.yaml)
export PATH := $(BIN):$(PATH)

.PHONY: demo test test-cluster check report plan restore prune benchmark lock setup clean help

demo: setup  ## the core tables of both papers, on data that ships in packages
	snakemake --cores $(CORES)

test: setup  ## the tests
	pytest -n auto --maxprocesses 4

test-cluster: setup  ## the tests on a real SLURM, which is installed where it is missing (Debian, as root)
	tests/cluster/slurm.sh install
	pytest -m cluster tests/cluster

check: setup  ## style, types and workflow lint
	ruff check . && ruff format --check . && snakefmt --check Snakefile workflow/rules
	mypy workflow/plan workflow/scripts tests
	snakemake --lint

report: demo  ## report.html: every table and figure, to open in a browser
	snakemake --report report.html

restore: setup  ## results that others have pushed; says what of them is not fresh
	dvc pull --allow-missing
	dvc status
	snakemake -n --configfile config/$(SCALE).yaml

prune: setup  ## list results that no scale uses any more; REMOVE=yes removes them
	python workflow/commands/prune.py $(if $(filter yes,$(REMOVE)),--remove)

plan: setup  ## what a scale will take: jobs, hours, queries and disk, by table: make plan SCALE=demo
	@PYTHONPATH=workflow python -m plan config/$(SCALE).yaml

benchmark: setup  ## how fast queries are chosen, beside one image at a time, and how good the copies are
	@python workflow/commands/benchmark.py

lock: setup  ## resolve the environment anew
	$(UV) pip compile pyproject.toml --group dev --universal --generate-hashes --python-version 3.11 \
	  --no-annotate --no-header --upgrade --quiet --output-file requirements.lock

setup: $(READY)  ## the environment, from the lock, every file checked by its hash

$(READY): requirements.lock
	@test -x $(UV) || $(MAKE) --no-print-directory .uv/bin/uv
	test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) $(VENV)
	$(UV) pip sync --quiet --compile-bytecode --require-hashes --python $(BIN)/python requirements.lock
	touch $@

.uv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "error: Python 3.11 to 3.13 is needed: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv .uv || { echo "error: no venv module: install python3-venv, or uv" >&2; rm -rf .uv; exit 1; }
	.uv/bin/pip install --quiet uv

clean:  ## everything that was made, but for tables and figures
	rm -rf .snakemake logs report.html results/[!tf]*

help:
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' Makefile
