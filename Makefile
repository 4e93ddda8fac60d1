# Two commands: `make demo` and `make test`.  Both set up what they need, and are safe to repeat
# and to interrupt: a stamp is written only after its step has finished.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

SOURCES := pyproject.toml constraints.txt hatch_build.py $(wildcard firmware/*/*.[ch] firmware/*/*/*.h)

WALKERS := halfcheetah-p hopper-p walker2d-p ant-p hopper-v

.PHONY: help demo test test-all lint bench boards emulators instructions wheels conformance models clean

help:
	@echo "make demo         set up, train a spiking policy, freeze it, play it, write out/demo/report.html"
	@echo "make test         set up, lint, type-check and run the tests (minutes)"
	@echo "make test-all     the tests that take long, too"
	@echo "make bench        host speed, side by side in one run"
	@echo "make emulators    QEMU, simavr and cross compilers through apt, for all emulated boards"
	@echo "make boards       shipped policies on every emulated board, over the link; one table"
	@echo "make instructions exact instructions of a step on bare processors"
	@echo "make wheels       wheels for Linux, Windows and macOS, into dist/"
	@echo "make conformance  every backend against the reference over 10^7 random steps"
	@echo "make models       train the policies in models/ again"

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 10) else "Python 3.10 or newer is needed; call make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(BIN)/python $(SOURCES)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[train,report,profile]'
	@touch $@

$(VENV)/.dev: $(BIN)/python $(SOURCES)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo
	$(BIN)/grsn-edge demo --out out/demo

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest -n auto

test-all: lint
	$(BIN)/python -m pytest -n auto -m "slow or not slow"

bench: $(VENV)/.dev
	$(BIN)/python tools/bench_host.py

emulators:
	tools/setup_emulators.sh

boards: $(VENV)/.dev
	$(BIN)/python tools/boards.py --emulators qemu simavr --out docs/boards.md

instructions: $(VENV)/.dev
	$(BIN)/python tools/count_instructions.py

wheels: $(VENV)/.dev
	$(BIN)/python tools/build_wheels.py

conformance: $(VENV)/.dev
	$(BIN)/python tools/conformance.py --steps 1e7

models: $(VENV)/.dev
	$(BIN)/python tools/bench_training.py --models models
	$(BIN)/grsn-edge scoreboard --suite paper --tasks $(WALKERS) --networks grsn gru --updates 60 --out out/models
	$(BIN)/grsn-edge scoreboard --suite paper --tasks lunarlander-p --networks grsn --out out/models
	$(BIN)/python tools/ship_models.py out/models --tasks $(WALKERS) lunarlander-p

clean:
	rm -rf $(VENV) out build dist .mypy_cache .pytest_cache .ruff_cache
