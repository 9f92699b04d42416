# One command each; `make` alone lists them. Everything lands in $(VENV), nothing is installed outside it.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
export PIP_ROOT_USER_ACTION := ignore

# What is in the environment, as empty files beside it: remade when pyproject.toml changes.
READY := $(VENV)/.ready
READY_TEST := $(VENV)/.ready-test
READY_LINT := $(VENV)/.ready-lint
READY_GENERATE := $(VENV)/.ready-generate

.PHONY: help demo test test-long clients storm lint bless generate docs bench clean

help:
	@echo "make demo        start a server, draw a map with 51 jobs, show how they ran (leaves nothing running)"
	@echo "make test        the tests"
	@echo "make test-long   the long ones: storms, soaks, kills by the hundred"
	@echo "make clients     environments of the real clients that test-long runs (Metaflow, redun, Snakemake, ...)"
	@echo "make storm       storms by seed: make storm SEEDS=0:300"
	@echo "make lint        ruff: rules and formatting"
	@echo "make bless       keep what the commands print now as what they should print (tests/golden)"
	@echo "make generate    write wire/shapes.py anew from botocore's model of the API"
	@echo "make docs        write the pages of docs/ that are made from the code"
	@echo "make bench       measure speed beside its baselines and compare with bench/budgets.toml (three minutes)"
	@echo "make clean       remove $(VENV) and caches"

demo: $(READY)
	@$(BIN)/python -P -m batchyard demo

# -rs lists at the end what was skipped, and why: the reason names the package that would enable it.
test: $(READY_TEST)
	@$(BIN)/python -m pytest -rs -m "not long" $(ARGS)

# pytest ends with 5 when no test is marked long: that is not a failure.
test-long: $(READY_TEST) clients
	@$(BIN)/python -m pytest -rs -m long $(ARGS) || [ $$? -eq 5 ]

clients: $(READY_TEST)
	@$(BIN)/python -m tests.clients.environments

SEEDS ?= 0:300
storm: $(READY_TEST)
	@$(BIN)/python -W ignore -m tests.storm $(SEEDS)

lint: $(READY_LINT)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

bless: $(READY_TEST)
	@BLESS=1 $(BIN)/python -m pytest tests/golden && git diff --stat -- tests/golden

generate: $(READY_GENERATE)
	@$(BIN)/python tools/generate_shapes.py

docs: $(READY)
	@$(BIN)/python tools/generate_docs.py

clean:
	rm -rf $(VENV) .pytest_cache .hypothesis .ruff_cache build dist
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Batchyard needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "Python's venv module is missing. On Debian: apt-get install python3-venv"; exit 1; }
	@echo "Making the environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(READY): pyproject.toml | $(BIN)/python
	@echo "Installing Batchyard and what it needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(READY_TEST): pyproject.toml | $(BIN)/python
	@echo "Installing Batchyard and what its tests need into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --editable '.[test]'
	@touch $@ $(READY)

$(READY_LINT): pyproject.toml | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --editable '.[lint]'
	@touch $@ $(READY)

$(READY_GENERATE): pyproject.toml | $(BIN)/python
	@$(BIN)/python -m pip install --quiet --editable '.[generate,lint]'
	@touch $@ $(READY)

# ARGS: names of scenarios, and --write to note the results.
bench: $(READY)
	@$(BIN)/python -m bench.run $(ARGS)
