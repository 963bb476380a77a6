# Everything starts from a machine with Python 3.11 and nothing else prepared: each target sets up what it needs.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.set-up
TOOLS := build/tools/bin
LOCK ?= locks/development.txt
SECONDS_OF_SOAK ?= 600
FUZZ_INPUTS ?= 1000000
KILLS ?= 200
RUNS ?= 1000
WORKERS ?= 4
OTP ?= 27 29
WITH_NODES ?= tests/erlang tests/mongooseim tests/integration tests/service/test_triggers.py
PYTHONS ?= 3.11 3.12 3.13 3.14

INSTALL = install --quiet --disable-pip-version-check

# What Python compiles is kept, also where the environment says otherwise: hundreds of commands are started.
export PYTHONDONTWRITEBYTECODE :=

COMPILE = $(TOOLS)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 $(UPGRADE) \
	--custom-compile-command "make lock"

.PHONY: help setup demo test bytecode lint fuzz crash guest soak modules bench screenshots man lock dist sbom sdist-demo image lowest pythons test-otp clean

help: ## Show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 13

setup: $(SETUP) ## Create the virtual environment, install the project, make sure of Erlang
	@.ci/prepare $(PYTHON)

$(SETUP): pyproject.toml $(LOCK) .ci/prepare
	@.ci/prepare $(PYTHON)
	@echo "setting up $(VENV)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip $(INSTALL) --no-compile --require-hashes --requirement $(LOCK)
	@$(BIN)/python -m pip $(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Do the main job before your eyes: two stub nodes, a local GA4, a report and what the property shows of it
	@$(BIN)/python -m erlang_stubs.demo

lint: setup ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: setup ## Everything that must hold, on real nodes
	@$(MAKE) --no-print-directory --jobs 2 lint bytecode
	$(BIN)/pytest -n $(WORKERS)

bytecode: setup # once, while mypy has the other core, and not by each worker
	@$(BIN)/pytest --quiet --collect-only >/dev/null || true

fuzz: setup ## A million inputs to the term decoder, connections that fail at every byte, answers to the wall (FUZZ_INPUTS=n)
	$(BIN)/python -m tests.erlang.fuzz_etf --inputs $(FUZZ_INPUTS)
	BYTES_APART=1 EXAMPLES=2000 $(BIN)/pytest -n $(WORKERS) tests/erlang/test_proxy.py tests/mongooseim/test_wall.py

crash: setup ## Reports that are killed at random moments; nothing may be lost (KILLS=n)
	$(BIN)/python -m tests.delivery.crash --kills $(KILLS)

guest: setup ## Commands run again and again; nothing may be left in the nodes (RUNS=n)
	$(BIN)/python -m tests.integration.test_guest --runs $(RUNS)

soak: setup ## The service against failing nodes, EPMD and endpoint (SECONDS_OF_SOAK=n)
	$(BIN)/python -m tests.service.soak --seconds $(SECONDS_OF_SOAK)

modules: setup ## The modules of a checkout of MongooseIM against those that are known (MONGOOSEIM=path)
	@$(BIN)/python -m tests.mongooseim.known_modules "$(MONGOOSEIM)"

bench: setup ## Paired timings against named peers, as tables
	@$(BIN)/python -m pip $(INSTALL) --editable '.[bench]'
	$(BIN)/python -m tests.bench

screenshots: setup ## Pictures of both pages, at 1280 and 360 px, light and dark, in build/screenshots
	@$(BIN)/python -m tests.health.screenshots

man: setup ## Write the man page to build/mongooseim-bridge.1
	@mkdir -p build
	$(BIN)/python -m bridge.cli.man > build/mongooseim-bridge.1

lock: ## Lock what is depended on, with hashes; after each change of dependencies (UPGRADE=--upgrade for newer ones)
	@mkdir -p build && $(PYTHON) -m venv build/tools && $(TOOLS)/pip $(INSTALL) uv
	@echo 'hatchling>=1.27' | $(COMPILE) --output-file locks/build.txt -
	@$(COMPILE) --extra metrics --extra google --output-file locks/runtime.txt pyproject.toml
	@$(COMPILE) --extra test --extra metrics --output-file locks/development.txt pyproject.toml

dist: setup ## Build wheel and sdist, the same bytes each time, into dist/
	@rm -rf dist && $(BIN)/python -m hatchling build

sbom: ## What the runtime consists of, as CycloneDX, into build/sbom.json
	@mkdir -p build && $(PYTHON) -m venv build/tools && $(TOOLS)/pip $(INSTALL) cyclonedx-bom
	@$(TOOLS)/cyclonedx-py requirements --output-reproducible --pyproject pyproject.toml --output-file build/sbom.json locks/runtime.txt

sdist-demo: dist ## The demo from an unpacked sdist, which sets itself up
	@rm -rf build/sdist && mkdir -p build/sdist && tar --extract --file dist/*.tar.gz --strip-components 1 --directory build/sdist
	@$(MAKE) --directory build/sdist demo

image: setup ## The steps of the container file in build/image, and what they make, without a container
	@$(BIN)/python -m tests.packages.image

lowest: setup ## The tests with the lowest versions that the dependencies may have
	@rm -rf build/lowest && $(PYTHON) -m venv build/lowest && $(PYTHON) -m venv build/tools
	@$(TOOLS)/pip $(INSTALL) uv
	@$(COMPILE) --resolution lowest-direct --extra metrics --extra google --output-file build/lowest.txt pyproject.toml
	@build/lowest/bin/pip $(INSTALL) --no-compile --require-hashes --requirement $(LOCK)
	@build/lowest/bin/pip $(INSTALL) --no-compile --require-hashes --requirement build/lowest.txt
	@build/lowest/bin/pip $(INSTALL) --no-deps --no-build-isolation --editable .
	build/lowest/bin/pytest -n $(WORKERS)

pythons: ## The tests on every release of Python that is here (PYTHONS="3.11 3.12 3.13 3.14")
	@for release in $(PYTHONS); do \
	    if ! python$$release -c '' 2>/dev/null; then echo "skipped: there is no python$$release here"; continue; fi; \
	    $(MAKE) setup VENV=build/python-$$release PYTHON=python$$release && \
	    build/python-$$release/bin/pytest -n $(WORKERS) || exit 1; \
	done

test-otp: setup ## The tests that talk to nodes, with OTP 27 and 29 of other suites of Debian (OTP="27 29")
	@for otp in $(OTP); do .ci/otp $$otp $(BIN)/pytest -n $(WORKERS) $(WITH_NODES) || exit 1; done

clean: ## Remove what the other targets made
	rm -rf $(VENV) .cache build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache erlang_stubs/ebin
