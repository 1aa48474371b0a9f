# `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup demo test powercut check fix generate firmware evaluate train train-smoke clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | column -t -s "$$(printf '\t')"

setup: $(STAMP) firmware ## make the virtual environment, install, build the simulated device

$(STAMP): pyproject.toml host_agent/moteye/__init__.py
	@PYTHON='$(PYTHON)' VENV='$(VENV)' scripts/venv

firmware: $(STAMP) ## build MicroPython's unix port with the C module `vision` (cached)
	@$(MAKE) --no-print-directory -C device/ports/unix

demo: setup ## the main job: a plant arrives, one alert (ONCE=1 ends after it)
	@$(BIN)/python examples/demo/demo.py $(if $(ONCE),--once)

test: setup ## all tests
	@scripts/need mosquitto=mosquitto
	@$(BIN)/python -m pytest $(ARGS)

powercut: $(STAMP) ## cut the power at every flash operation of a swap; prints the report
	@$(BIN)/python tests/power/powercut.py $(ARGS)

check: $(STAMP) ## formatting, lints, types, generated files
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python protocol/generate.py --check
	@$(BIN)/python policies/generate_schema.py --check
	@$(BIN)/clang-format --dry-run --Werror $(C_FILES)

fix: $(STAMP) ## format everything
	@$(BIN)/ruff check --fix -q . || true
	@$(BIN)/ruff format -q .
	@$(BIN)/clang-format -i $(C_FILES)

C_FILES = $(shell git ls-files '*.c' '*.h' --cached --others --exclude-standard)

generate: $(STAMP) ## write what follows from protocol/wire.toml and the policy language
	@$(BIN)/python protocol/generate.py
	@$(BIN)/python policies/generate_schema.py

evaluate: $(STAMP) ## reprint the model card's figures from the committed weights
	@PYTHONPATH=training $(BIN)/python -m moteye_training evaluate $(ARGS)

clean: ## remove what was built; keeps the virtual environment
	rm -rf build
