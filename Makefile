# `make run` shows it at work, `make test` checks everything. Needed: Python 3.11 or newer with venv, and make.
# Works with GNU make 3.81, which macOS has.

.DEFAULT_GOAL := help
.PHONY: run test lint docs-check interop bench crash lock docs clean help

NEWEST := python3 python3.14 python3.13 python3.12 python3.11
IS_NEW := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in $(NEWEST); do "$$python" -c "$(IS_NEW)" 2>/dev/null && echo "$$python" && break; done)
VENV   ?= .venv
ENV    := $(VENV)/bin/python
PIP    := $(ENV) -m pip install -qq --disable-pip-version-check --no-input --require-hashes
LOCK   := uv pip compile --universal --generate-hashes --no-emit-index-url --python-version 3.11
ARGS   ?=
# Of a whole run it is said how much of the package it reaches.
BRANCHES := $(if $(ARGS),,BRANCHES=.branches)
# So that `python -m bridge` and `.venv/bin/fedibridge` work from any folder: this checkout is on the environment's path.
FIND_US := import pathlib, site; pathlib.Path(site.getsitepackages()[0], 'fedibridge.pth').write_text('$(CURDIR)\n')
# What `pip install` makes of pyproject.toml's script.
SCRIPT := \#!$(abspath $(ENV))\nfrom bridge.cli import main\n\nmain()\n

run: $(VENV)/bin/fedibridge  ## try it: a café, a follower, and a post that arrives (ARGS="--port 9000")
	@$(ENV) -m bridge demo $(ARGS)

test: lint docs-check  ## check everything this machine can; what it skips, it says
	@echo "== tests"
	@$(BRANCHES) $(ENV) -m pytest -rs --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS)
	@test -n "$(ARGS)" || echo "Not run by make test: .ci/wheel-smoke, which tries the wheel in a bare environment (needs the package index)"

lint: $(VENV)/dev.stamp  ## style and types
	@echo "== style"
	@$(ENV) -m ruff check .
	@$(ENV) -m ruff format --check .
	@echo "== types"
	@$(ENV) -m mypy

docs-check: $(VENV)/dev.stamp  ## does the reference say what the code does?
	@echo "== documentation"
	@$(ENV) -m docs.generate --check

interop: $(VENV)/dev.stamp  ## against two other ActivityPub servers (needs Node 22)
	npm --prefix tests/interop ci --loglevel=error
	$(ENV) -m pytest -rs tests/interop

bench: $(VENV)/dev.stamp  ## how fast is it here?
	$(ENV) -m benchmarks $(ARGS)

crash: $(VENV)/dev.stamp  ## kill the worker a thousand times; nothing may be lost
	$(ENV) -m benchmarks.crash --kills 1000 $(ARGS)

lock:  ## pin what pyproject.toml asks for (needs uv; ARGS=--upgrade for the newest of everything)
	$(LOCK) $(ARGS) pyproject.toml -o requirements.lock
	$(LOCK) $(ARGS) --extra dev pyproject.toml -o requirements-dev.lock

docs: $(VENV)/dev.stamp  ## write docs/configuration.md and docs/lint.md from the code
	$(ENV) -m docs.generate

clean:  ## remove what these commands made: environment, caches, demo
	rm -rf $(VENV) .branches .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info tests/interop/node_modules
	find bridge tests benchmarks docs -name __pycache__ -prune -exec rm -rf {} +

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /	/' | while IFS='	' read -r name text; do \
		printf '  make %-11s %s\n' "$$name" "$$text"; done

# ── the environment: made once, and again when a lock file changes ───────────────────────────────────

$(VENV)/run.stamp: requirements.lock
	@$(MAKE) --no-print-directory $(ENV)
	@echo "Installing the pinned packages of requirements.lock into $(VENV) (only this once) ..."
	@$(PIP) -r requirements.lock
	@$(ENV) -c "$(FIND_US)"
	@touch $@

$(VENV)/bin/fedibridge: Makefile $(VENV)/run.stamp
	@printf '$(SCRIPT)' > $@
	@chmod +x $@

$(VENV)/dev.stamp: requirements-dev.lock
	@$(MAKE) --no-print-directory $(ENV)
	@echo "Installing the pinned packages of requirements-dev.lock into $(VENV) (only this once) ..."
	@$(PIP) -r requirements-dev.lock
	@$(ENV) -c "$(FIND_US)"
	@touch $@ $(VENV)/run.stamp

$(ENV):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and not found. If it is there under another" \
		"name: make run PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Making a virtual environment in $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "Python's venv module does not work here. On Debian and" \
		"Ubuntu: sudo apt install python3-venv"; exit 1; }
