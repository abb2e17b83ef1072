# make         environment, then the whole embedded study: tables and figures in results/
# make test    environment, then all tests, the numeric ones (make test-isa) also as older processors would run them;
#              make test-quick leaves out the end-to-end runs
# make lint    ruff, snakefmt, snakemake --lint
# make bench   speed comparisons, as ratios within one run

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# faiss-gpu where an NVIDIA driver answers, else faiss-cpu
HARDWARE := $(shell nvidia-smi -L >/dev/null 2>&1 && echo cuda || echo cpu)
INSTALLED := $(VENV)/installed-$(HARDWARE)

.PHONY: all test test-quick test-isa lint bench environment

all: $(INSTALLED)
	$(BIN)/snakemake --cores all
	@echo
	@echo "Tables:  results/tables/   (open table_digits.html)"
	@echo "Figures: results/figures/  (open fig_digits_samples.png)"

test: $(INSTALLED)
	$(BIN)/pytest
	$(BIN)/python tests/instruction_sets.py

test-isa: $(INSTALLED)
	$(BIN)/python tests/instruction_sets.py

test-quick: $(INSTALLED)
	$(BIN)/pytest -m "not slow"

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint

bench: $(INSTALLED)
	$(BIN)/python benchmarks/blas_neighbours.py
	$(BIN)/python benchmarks/training_steps.py
	$(BIN)/python benchmarks/frechet.py
	$(BIN)/python benchmarks/plan_size.py --dry-run
	$(BIN)/python -m pip install --quiet --no-deps --target $(VENV)/torchcfm torchcfm
	PYTHONPATH=$(VENV)/torchcfm $(BIN)/python benchmarks/network_steps.py

environment: $(INSTALLED)

$(INSTALLED): envs/pins.txt envs/$(HARDWARE).txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip uninstall --quiet --yes $(if $(filter cuda,$(HARDWARE)),faiss-cpu,faiss-gpu) 2>/dev/null || true
	$(BIN)/python -m pip install --quiet --requirement envs/$(HARDWARE).txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@
