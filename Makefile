# Every target sets up what it needs in .venv; `make help` lists them.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input install --quiet
CITEWELL_DATA ?= ../shared/data
export CITEWELL_DATA
# Where nothing may be kept compiled, each of the many processes that tests start compiles all that it imports.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help demo test test-long check format lint types layers bench bench-workflow eval eval-reading footprint lock model clean

help: ## Show this help
	@bold=; plain=; if [ -t 1 ] && [ -z "$$NO_COLOR" ]; then bold='\033[1m'; plain='\033[0m'; fi; \
	awk -v b="$$bold" -v p="$$plain" 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  " b "%-15s" p " %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Citewell needs Python 3.11 or newer; run make with PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

# The locked packages first, with their hashes; then our own three, from this folder, without asking anyone again.
$(VENV)/.run: requirements/run.lock pyproject.toml packages/citewell-minilm/pyproject.toml packages/citewell-ppocr/pyproject.toml | $(VENV)/bin/python
	$(PIP) --require-hashes -r requirements/run.lock
	$(PIP) --no-deps --no-build-isolation -e packages/citewell-minilm -e packages/citewell-ppocr -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.run
	$(PIP) --require-hashes -r requirements/dev.lock
	@touch $@

demo: $(VENV)/.run ## Ingest the sample handbook, ask its questions, show cited and checked answers
	$(BIN)/python examples/handbook/demo.py

test: $(VENV)/.dev ## Run the tests (under 10 minutes on 2 cores, no network)
	$(BIN)/python -m pytest -m "not long" -n 2 --dist worksteal

test-long: $(VENV)/.dev ## Run the long campaigns too
	CITEWELL_CASES=new $(BIN)/python -m pytest -n 2 --dist worksteal

check: lint types layers test ## Format, lint, types, layers and tests

format: $(VENV)/.dev ## Rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(VENV)/.dev ## Check format and lint rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev ## Check the types (mypy --strict)
	$(BIN)/mypy

layers: $(VENV)/.dev ## Check that imports only go down the layers
	$(BIN)/lint-imports

bench: $(VENV)/.dev ## Measure speed beside bare floors; figures in build/figures/bench.json
	$(BIN)/python bench/search.py

bench-workflow: $(VENV)/.dev ## Measure the workflow engine beside its peers; figures in build/figures/workflow.json
	$(BIN)/python bench/workflow.py

eval: $(VENV)/.dev ## Measure quality on the sets under CITEWELL_DATA; figures in build/figures/eval.json
	$(BIN)/python bench/eval.py

eval-reading: $(VENV)/.dev ## Measure reading: facts, tables, bad inputs, places, speed; build/figures/eval-reading.json
	$(BIN)/python bench/eval_reading.py

footprint: ## Count packages and megabytes of a default install
	$(PYTHON) bench/footprint.py

lock: $(VENV)/bin/python ## Resolve the locked versions anew (needs the package index)
	$(PIP) uv
	$(BIN)/python -m uv pip compile pyproject.toml --group build --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-emit-package citewell-minilm --no-emit-package citewell-ppocr --no-header --quiet --output-file requirements/run.lock $(LOCK)
	$(BIN)/python -m uv pip compile pyproject.toml --group build --group dev --extra remote --extra llm --extra ocr --extra code --extra otel --constraint requirements/run.lock --python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-emit-package citewell-minilm --no-emit-package citewell-ppocr --no-header --quiet --output-file requirements/dev.lock $(LOCK)

model: $(VENV)/.dev ## Rebuild the models from the published files
	cd packages/citewell-minilm && ../../$(BIN)/python build_model.py --fetch
	cd packages/citewell-ppocr && ../../$(BIN)/python build_model.py --fetch

clean: ## Remove everything that make made
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
