# The one door: `make` lists what there is.
# Needs python3 (3.11 or newer, with venv), make and git.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
QUICKSTART := quickstart
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: faults help setup quickstart test test-system check format docs bench lock clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv and install the pinned packages, where they have changed

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": make setup PYTHON=python3.12")'
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

quickstart: setup ## Run a small search, or go on with it, and score its best generator
	@if $(BIN)/synrep-search status $(QUICKSTART) --home searches >/dev/null 2>&1; \
	then $(BIN)/synrep-search resume $(QUICKSTART) --home searches; \
	else $(BIN)/synrep-search launch search_spaces/$(QUICKSTART).yaml --yes --home searches; fi
	@echo; echo "its errors on people that no training has seen:"
	@$(BIN)/synrep evaluate searches/$(QUICKSTART)/best
	@echo; echo "the best generator, with a README: searches/$(QUICKSTART)/best"
	@echo "compare the trials in MLflow:      $(BIN)/synrep-search ui $(QUICKSTART) --home searches"

test: setup ## Run the tests that need no servers and no cluster; ARGS="-k lift" passes options to pytest
	$(BIN)/pytest -m "not system" --numprocesses logical --maxprocesses 8 --dist worksteal $(ARGS)

test-system: setup ## Run the tests that need servers, a cluster or a browser
	$(BIN)/pytest -m system --numprocesses 2 --dist loadfile $(ARGS)

check: setup ## Lint, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: setup ## Format the code and mend what the linter can
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

docs: setup ## Write docs/reference from the docstrings of the configuration models
	$(BIN)/python docs/generate.py

bench: setup ## Run every script in benchmarks/; leave the machine alone meanwhile
	@set -e; for script in $(sort $(wildcard benchmarks/[a-z]*.py)); do echo "# $$script"; $(BIN)/python $$script; done

faults: setup ## Inject faults into searches, and prove that nothing is lost; goes on where it was interrupted
	$(BIN)/python -m faults --out docs/reliability.json $(ARGS)

lock: ## Pin what .venv holds now in requirements.lock
	@echo "# Every package of the environment, exactly; 'make lock' writes this file." > requirements.lock.tmp
	@$(BIN)/pip freeze --all --exclude pip --exclude-editable | sed 's/+[a-z0-9.]*$$//' >> requirements.lock.tmp
	@mv requirements.lock.tmp requirements.lock && touch $(STAMP)

clean: ## Remove .venv, caches and build output; searches and exports stay
	rm -rf $(VENV) build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
