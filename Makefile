# What one can do here; `make` alone explains it.
.DEFAULT_GOAL := help
.PHONY: help install demo up test check nightly bench lint servers lock migration clean
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash

BIN := .venv/bin
DATA ?= dynamo-data
PORT ?= 8080
STACK ?= embedded
MESSAGE ?=
JOBS ?= 2
PIP_TOOLS := 7.6.2

help: ## Show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  After make install the command is $(BIN)/dynamo; $(BIN)/dynamo --help goes on from there."

install: ## Make .venv with the locked dependencies and the command dynamo
	@deploy/install.sh runtime

demo: install ## Show the main job on real files, checked at the end (STACK=mysql: on MariaDB and Redis)
ifeq ($(STACK),mysql)
	@deploy/install.sh servers
	@$(BIN)/dynamo demo --stack mysql
else
	@$(BIN)/dynamo demo
endif

up: install ## Run the whole system here until Ctrl-C (DATA=dynamo-data PORT=8080)
	@$(BIN)/dynamo up --data "$(DATA)" --port $(PORT)

test: servers lint ## Run all checks and all tests, on real MariaDB and Redis
	@$(BIN)/pytest -n $(JOBS) --dist loadgroup

check: servers lint ## The same without the slow tests: what to run before each commit
	@$(BIN)/pytest -n $(JOBS) --dist loadgroup -m "not slow"

nightly: servers ## Play at random for hours: any order of calls, work, faults and time, on SQLite and MariaDB
	@deploy/install.sh test
	@NIGHTLY=1 $(BIN)/pytest tests/services/machine tests/detox/test_agreement.py tests/simulation/test_simulation.py tests/bench --hypothesis-show-statistics

bench: servers ## Measure the speed of what matters, each beside its baseline
	@deploy/install.sh test
	@$(BIN)/python -m tests.bench

lint: ## Check style, types, who imports whom, the shape of the code and what pages name
	@deploy/install.sh test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy --strict
	@$(BIN)/lint-imports
	@$(BIN)/pytest tests/house tests/docs

servers: ## Install the MariaDB, Redis and XRootD that tests start for themselves
	@deploy/install.sh servers

lock: ## Lock the newest dependencies that pyproject.toml allows
	@deploy/lock.sh $(PIP_TOOLS)

migration: ## Write the migration for what changed in the tables (MESSAGE="why")
	@test -n "$(MESSAGE)" || { echo 'say why: make migration MESSAGE="..."' >&2; exit 2; }
	@deploy/install.sh test
	@$(BIN)/python -m dynamo.db.migrations "$(MESSAGE)"

clean: ## Remove what was made here: .venv and caches, never data
	@rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
