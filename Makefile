# `make help` lists the targets.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TRAINING_VENV ?= build/training-venv
PORT = unix
DEVICE = unix
NEWLIB := /usr/lib/arm-none-eabi/newlib/nano.specs

.PHONY: compare-models train-smoke test-training help setup demo test arm-tools check fix generate firmware mip encoders evaluate evaluate-captions bench-device bench-host scenes nets powercut fuzz soak clean data-cc3m data-coco data-flowers102 data-food101

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | column -t -s "$$(printf '\t')"

setup: $(STAMP) firmware ## make the virtual environment, install, build the simulated device

$(STAMP): pyproject.toml host_agent/moteye/__init__.py
	@PYTHON='$(PYTHON)' VENV='$(VENV)' scripts/venv

firmware: $(STAMP) ## build MicroPython with the C module `vision` (cached); PORT=unix|qemu-m7|qemu-m55
	@$(if $(filter qemu-%,$(PORT)),$(MAKE) --no-print-directory arm-tools)
	@$(MAKE) --no-print-directory -C device/ports/$(PORT)

mip: $(STAMP) ## the firmware as a package for MicroPython's mip, in build/mip (device/mip/README.md)
	@$(BIN)/python device/mip/make_package.py build/mip

arm-tools:
	@scripts/need arm-none-eabi-gcc=gcc-arm-none-eabi $(NEWLIB)=libnewlib-arm-none-eabi \
		qemu-system-arm=qemu-system-arm

demo: setup ## the main job: a plant arrives, one alert (ONCE=1 ends after it; DEVICE=qemu-m7: on an Arm core; CAPTIONS=1: in words, too)
	@$(if $(filter-out unix,$(DEVICE)),$(MAKE) --no-print-directory firmware PORT=$(DEVICE))
	@$(BIN)/python examples/demo/demo.py $(if $(ONCE),--once) $(if $(CAPTIONS),--captions) --device $(DEVICE)

test: setup arm-tools ## all tests
	@scripts/need mosquitto=mosquitto initdb=postgresql $(CLANG)
	@$(BIN)/python -m pytest $(ARGS)

nets: $(STAMP) arm-tools ## 600 random networks on each core and in uint8, byte for byte the reference's (NETS=…)
	@MOTEYE_NETS=$(or $(NETS),600) $(BIN)/python -m pytest -q --timeout 7200 \
		tests/unit/device/test_model_run.py tests/unit/device/test_cores.py \
		tests/unit/device/test_custom_operators.py

compare-models: $(STAMP) arm-tools ## every .tflite in MODELS, byte for byte the reference's, here and on the emulated cores
	@$(BIN)/python tests/bench/device/compare_files.py $(MODELS) $(ARGS)

powercut: $(STAMP) ## cut the power at every flash operation of a swap; prints the report
	@$(BIN)/python tests/power/powercut.py $(ARGS)
	@$(BIN)/python tests/bench/policy_to_confirmed.py

# clang's sanitizers are a package of their own, named after its version
CLANG := clang=clang clang=$(shell apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$$/libclang-rt-\1-dev/p')

fuzz: $(STAMP) ## fuzz what the device's C reads from outside, SECONDS each target; crashes are kept in build/fuzz
	@scripts/need $(CLANG)
	@$(BIN)/python tests/fuzz/fuzz.py --seconds $(or $(SECONDS),60) $(ARGS)

soak: $(STAMP) firmware ## the real firmware on a capped heap: 100,000 frames, 500 reconnects over TLS (ARGS="--frames N")
	@scripts/need mosquitto=mosquitto
	@$(BIN)/python tests/soak/soak.py $(ARGS)

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

evaluate: $(STAMP) ## reprint the model cards' figures from the committed weights
	@PYTHONPATH=training $(BIN)/python -m moteye_training evaluate --model accurate $(ARGS)
	@PYTHONPATH=training $(BIN)/python -m moteye_training evaluate --model fast --bench build/bench/encoder-fast.json $(ARGS)
	@$(BIN)/python tests/bench/promises.py

encoders: $(STAMP) arm-tools ## both encoders' packs, and device/models/points.md: what each costs beside how good it is
	@for model in accurate fast; do $(BIN)/moteye model compile device/models/$$model/encoder.tflite -o device/models/$$model/encoder.mpk || exit; done
	@PYTHONPATH=training $(BIN)/python -m moteye_training points

train-smoke: setup ## the whole training on a few photos: every step, no shipped file touched, its result checked (ARGS=--miniature: without photos and models)
	@TRAINING_VENV='$(TRAINING_VENV)' VENV='$(VENV)' scripts/training-venv
	@rm -rf build/train/smoke
	@time PYTHONPATH=training $(TRAINING_VENV)/bin/python -m moteye_training all --smoke $(ARGS)

test-training: setup ## what needs PyTorch and open_clip: students, int8 imitated, other teachers
	@TRAINING_VENV='$(TRAINING_VENV)' VENV='$(VENV)' scripts/training-venv
	@OMP_NUM_THREADS=1 $(TRAINING_VENV)/bin/python -m pytest training/tests $(ARGS)  # threads on small tensors: five times the time

evaluate-captions: $(STAMP) arm-tools ## the captioner on coco-eval, from the committed weights, and what it costs; needs Java; writes build/bench/captioner.json
	@PYTHONPATH=training $(BIN)/python -m moteye_training.captions evaluate $(ARGS)
	@$(BIN)/python tests/bench/device/caption_costs.py

bench-device: $(STAMP) ## instructions, arena and flash of the device engine under QEMU (ARGS="--models DIR --profile")
	@scripts/need arm-none-eabi-gcc=gcc-arm-none-eabi arm-none-eabi-gcc=libnewlib-arm-none-eabi qemu-system-arm=qemu-system-arm
	@$(BIN)/python tests/bench/device/bench_device.py $(ARGS)

data-cc3m data-coco data-flowers102 data-food101: ## fetch a public collection for training; DATA=folder (needs a network)
	@scripts/fetch-data $(@:data-%=%) "$(DATA)"

scenes: setup ## scripted scenes on the simulated device: alerts expected and given; writes docs/scenes.md
	@scripts/need mosquitto=mosquitto
	@$(BIN)/python tests/scenes/scenes.py $(ARGS)

bench-host: $(STAMP) ## what the agent costs, beside the targets (ARGS="--short --only ID …"); 200 kills take minutes
	@scripts/need mosquitto=mosquitto
	@$(BIN)/python tests/bench/host/bench_host.py $(ARGS)

clean: ## remove what was built; keeps the virtual environment
	rm -rf build
