# Everything starts from here; `make` alone says what there is.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.installed
CODE := $(wildcard redress shared services bench)
ARGS ?=

##@ Help
help: ## Show this
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

##@ Use
setup: $(READY) ## Make the virtual environment from the lock (once, and when the lock changes)

up: $(READY) ## Start Kafka, PostgreSQL, the issuer and the services on this machine
	@$(PYTHON) -m redress up

down: $(READY) ## Stop them; their state stays
	@$(PYTHON) -m redress down

demo: $(READY) ## Show it: complaints come in, are handled, replayed and verified
	@$(PYTHON) -m redress demo

##@ Build
test: $(READY) ## Run all tests but the chaos ones (ARGS="-k ..." for some)
	@$(PYTHON) -m pytest $(ARGS)

check: $(READY) ## Format, lint, types, import rules, architecture: what CI checks
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(PYTHON) -m mypy --strict $(CODE)
	$(VENV)/bin/lint-imports
	$(PYTHON) -m pytest tests/architecture -q

bench: $(READY) ## Measure against the floors of the architecture
	@$(PYTHON) -m bench $(ARGS)

chaos: $(READY) ## The long runs of kills and faults
	@$(PYTHON) -m pytest -m chaos $(ARGS)

images: ## Build one container image per service (needs Docker)
	@test -f Dockerfile || { echo "There is no Dockerfile yet: images come with the deployment."; exit 1; }
	@for service in $(notdir $(patsubst %/__main__.py,%,$(wildcard services/*/__main__.py))); do \
	  docker build --build-arg SERVICE=$$service --tag redress/$$service .; \
	done

##@ Maintain
format: $(READY) ## Format the code and mend what ruff can mend
	$(VENV)/bin/ruff check --fix --exit-zero .
	$(VENV)/bin/ruff format .

lock: $(READY) ## Resolve the dependencies anew and pin them by hash
	$(PYTHON) -m pip install --quiet uv
	$(VENV)/bin/uv pip compile pyproject.toml --extra dev $(LOCKED) --output-file requirements.lock
	$(VENV)/bin/uv pip compile requirements-java.in $(LOCKED) --output-file requirements-java.lock
	$(PYTHON) -c "from redress.stack.archives import relock; relock()"

LOCKED := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock"
PIP := $(PYTHON) -m pip --disable-pip-version-check install --quiet

# Without Java of its own the machine gets one as a wheel; where there is none, `redress up` says what to do.
$(READY): requirements.lock requirements-java.lock
	@new_enough='import sys; sys.exit(sys.version_info < (3, 11))'; \
	if ! { test -x $(PYTHON) && $(PYTHON) -c "$$new_enough"; }; then \
	  for found in python3 python3.14 python3.13 python3.12 python3.11 none; do \
	    "$$found" -c "$$new_enough" 2>/dev/null && break; \
	  done; \
	  if test "$$found" = none; then \
	    echo "Redress needs Python 3.11 or newer, and none is on PATH. Install one (Debian: apt install python3 python3-venv), then run this again."; exit 1; \
	  fi; \
	  "$$found" -m venv --clear $(VENV) || { echo "$$found cannot make a virtual environment (Debian: apt install python3-venv)."; exit 1; }; \
	fi
	@echo "setting up $(VENV) (about a minute the first time)"
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@$(PYTHON) -c 'import sys; from redress.stack.java import is_there; sys.exit(not is_there())' || $(PIP) --require-hashes -r requirements-java.lock || true
	@touch $@

.PHONY: help setup up down demo test check bench chaos images format lock
