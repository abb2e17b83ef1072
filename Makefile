# `make help` lists what there is; `make` alone is `make all`.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# faiss-gpu where an NVIDIA driver answers, else faiss-cpu
HARDWARE := $(shell nvidia-smi -L >/dev/null 2>&1 && echo cuda || echo cpu)
INSTALLED := $(VENV)/installed-$(HARDWARE)
WORKERS := --numprocesses auto --dist loadfile  # tests of a file share what is costly

.PHONY: all check test test-quick test-isa fuzz lint bench environment help

all: $(INSTALLED)  ## the environment, then the whole embedded study: tables and figures in results/
	$(BIN)/snakemake --cores all --logger lines
	@echo
	@sed -n '3,/^$$/p' results/report.md
	@echo "Tables:  results/tables/"
	@echo "Figures: results/figures/"
	@echo "Open:    results/report.html"

check: $(INSTALLED)  ## compare the numbers of the last run with the shipped ones of the same training seeds
	$(BIN)/python -m guidance_study check

test: $(INSTALLED)  ## the environment, then all tests, the numeric ones also as older processors would run them
	$(BIN)/pytest $(WORKERS)
	$(BIN)/python tests/instruction_sets.py

test-isa: $(INSTALLED)  ## the numeric tests once with each library's instruction set cut down
	$(BIN)/python tests/instruction_sets.py

test-quick: $(INSTALLED)  ## all tests but the end-to-end runs, once
	$(BIN)/pytest $(WORKERS) -m "not slow"

MINUTES ?= 30

fuzz: $(INSTALLED)  ## tries at random for MINUTES=30: configurations, whole small runs, damaged stores
	GUIDANCE_STUDY_FUZZ_MINUTES=$(MINUTES) $(BIN)/pytest -m fuzz

lint: $(INSTALLED)  ## ruff, the order of rooms, types, snakefmt, snakemake --lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

bench: $(INSTALLED)  ## speed comparisons, as ratios within one run
	$(BIN)/python benchmarks/blas_neighbours.py
	$(BIN)/python benchmarks/training_steps.py
	$(BIN)/python benchmarks/frechet.py
	$(BIN)/python benchmarks/plan_size.py --dry-run
	$(BIN)/python -m pip install --quiet --no-deps --target $(VENV)/torchcfm torchcfm
	PYTHONPATH=$(VENV)/torchcfm $(BIN)/python benchmarks/network_steps.py

environment: $(INSTALLED)  ## the environment alone, in .venv

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(INSTALLED): envs/pins.txt envs/$(HARDWARE).txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip uninstall --quiet --yes $(if $(filter cuda,$(HARDWARE)),faiss-cpu,faiss-gpu) 2>/dev/null || true
	$(BIN)/python -m pip install --quiet --requirement envs/$(HARDWARE).txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@
