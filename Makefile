# Everything runs from .venv, which is built from python3 (3.10 or newer) with pip alone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SET_UP := $(VENV)/.set-up
ARGS ?=
# Tests that share an expensive fixture name a group, and go to one worker.
PYTEST := $(BIN)/python -m pytest --numprocesses=2 --dist=loadgroup --durations=15

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-all lint format docs bench clean

help: ## List the targets
	@echo "make TARGET [ARGS=...] [PYTHON=python3.12]"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-10s %s\n", $$1, $$2 }'

setup: $(SET_UP) ## Build .venv (the other targets do this by themselves)

demo: $(SET_UP) ## Sandbox -> Meltano -> PostgreSQL, twice; the second time only the changes
	$(BIN)/python -m demo $(ARGS)

test: $(SET_UP) ## Run the tests that take minutes; ARGS="-k paging" selects some
	$(PYTEST) -m "not slow" $(ARGS)

test-all: test ## Run all tests: those of `make test`, then the long proofs
	$(PYTEST) -m slow $(ARGS)

lint: $(SET_UP) ## Check style, types and workflows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/zizmor --offline --quiet .github

format: $(SET_UP) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(SET_UP) ## Generate README.md's settings, meltano.yml, .env.example and catalog.example.json
	$(BIN)/python -m demo.documents

bench: $(SET_UP) ## Measure the tap against a stock SDK tap and against the limit
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## Remove everything that was built here
	rm -rf $(VENV) .meltano .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment of another Python than the one asked for is built again.
$(SET_UP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "Python 3.10 or newer is needed as '$(PYTHON)'; name another one: make PYTHON=/path/to/python3" >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
		echo "'$(PYTHON)' comes without venv or ensurepip; on Debian and Ubuntu: apt install python3-venv" >&2; \
		exit 1; }
	@version='import sys; print(*sys.version_info[:2])'; \
		test "$$($(BIN)/python -c "$$version" 2>/dev/null)" = "$$($(PYTHON) -c "$$version")" \
		|| $(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[sandbox]" --group dev
	@touch $@
