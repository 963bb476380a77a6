# Everything starts from a machine with Python 3.11 and nothing else prepared: each target sets up what it needs.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.set-up
SECONDS_OF_SOAK ?= 600
FUZZ_INPUTS ?= 1000000
KILLS ?= 200
RUNS ?= 1000
WORKERS ?= 4

.PHONY: help setup demo test lint fuzz crash guest soak modules bench screenshots man clean

help: ## Show the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 13

setup: $(SETUP) ## Create the virtual environment, install the project, make sure of Erlang
	@.ci/prepare $(PYTHON)

$(SETUP): pyproject.toml .ci/prepare
	@.ci/prepare $(PYTHON)
	@echo "setting up $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test,metrics]'
	@touch $@

demo: setup ## Do the main job before your eyes: two stub nodes, a local GA4, a report and what the property shows of it
	@$(BIN)/python -m erlang_stubs.demo

lint: setup ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint ## Everything that must hold, on real nodes
	$(BIN)/pytest -n $(WORKERS)

fuzz: setup ## A million mutated and random inputs to the term decoder (FUZZ_INPUTS=n)
	$(BIN)/python -m tests.erlang.fuzz_etf --inputs $(FUZZ_INPUTS)

crash: setup ## Reports that are killed at random moments; nothing may be lost (KILLS=n)
	$(BIN)/python -m tests.delivery.crash --kills $(KILLS)

guest: setup ## Commands run again and again; nothing may be left in the nodes (RUNS=n)
	$(BIN)/python -m tests.integration.test_guest --runs $(RUNS)

soak: setup ## The service against failing nodes, EPMD and endpoint (SECONDS_OF_SOAK=n)
	$(BIN)/python -m tests.service.soak --seconds $(SECONDS_OF_SOAK)

modules: setup ## The modules of a checkout of MongooseIM against those that are known (MONGOOSEIM=path)
	@$(BIN)/python -m tests.mongooseim.known_modules "$(MONGOOSEIM)"

bench: setup ## Paired timings against named peers, as tables
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python -m tests.bench

screenshots: setup ## Pictures of both pages, at 1280 and 360 px, light and dark, in build/screenshots
	@$(BIN)/python -m tests.health.screenshots

man: setup ## Write the man page to build/mongooseim-bridge.1
	@mkdir -p build
	$(BIN)/python -m bridge.cli.man > build/mongooseim-bridge.1

clean: ## Remove what the other targets made
	rm -rf $(VENV) .cache build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache erlang_stubs/ebin
