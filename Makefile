# Everything a person or CI starts. `make help` lists it.

PORT ?= 8000
DATA ?= .newszop
READERS ?= 1000
SEED ?= 7
MINUTES ?= 5
export PORT DATA READERS

VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

.DEFAULT_GOAL := help
.PHONY: help run test check foreign bench chaos fuzz lock clean

help: ## List what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name what; do \
		printf '  make %-8s %s\n' "$$name" "$$what"; done

run: $(VENV)/installed ## Run the whole system here; PORT=8000 DATA=.newszop READERS=1000
	@exec $(BIN)/newszop demo

test: $(VENV)/installed-tests ## Run all tests on real PostgreSQL and Redis
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -p no:xdist --processes 3 $(TESTS)

check: $(VENV)/installed-tests ## Format, lint, types, import contracts; no test
	@$(BIN)/ruff format --check --quiet . || { echo 'run: ruff format .'; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

foreign: $(VENV)/installed-tests $(VENV)/installed-foreign $(if $(SHORT),,$(VENV)/installed-generators) ## Test against servers and libraries that others wrote, as far as they are here
	@FOREIGN_REQUESTS=$${FOREIGN_REQUESTS:-5000} $(BIN)/python -m pytest -n 2 --dist=loadgroup -m foreign tests/foreign

bench: $(VENV)/installed-tests $(VENV)/installed-bench ## Measure, beside peers in the same run; ONLY=a,b OUT=f.json COMPARE=f.json
	@$(BIN)/python -m tests.bench $(if $(ONLY),--only $(ONLY)) $(if $(OUT),--out $(OUT)) \
		$(if $(COMPARE),--compare $(COMPARE))

chaos: $(VENV)/installed-tests ## Break parts while alerts run and count what is lost; SEED=7 MINUTES=5
	@$(BIN)/python -m tests.chaos --seed $(SEED) --minutes $(MINUTES)

fuzz: $(VENV)/installed-tests ## Call the whole API as its document allows and forbids, as every caller; SEED=7 MINUTES=5
	@$(BIN)/python -m tests.fuzz --seed $(SEED) --minutes $(MINUTES)

lock: $(VENV)/installed-tests ## Pin the newest dependencies (needs uv)
	@echo 'setuptools>=77' | uv pip compile $(LOCK) pyproject.toml - -o requirements.lock
	@uv pip compile $(LOCK) -c requirements.lock tests/requirements.in -o tests/requirements.lock
	@uv pip compile $(LOCK) -c requirements.lock -c tests/requirements.lock tests/bench/requirements.in \
		-o tests/bench/requirements.lock
	@uv pip compile $(LOCK) -c requirements.lock -c tests/requirements.lock tests/foreign/requirements.in \
		-o tests/foreign/requirements.lock
	@uv pip compile $(LOCK) tests/foreign/openapi/requirements.in -o tests/foreign/openapi/requirements.lock

clean: ## Remove what was installed, and the demo's data
	@if [ -f $(DATA)/postgres.at ]; then case "$$(cat $(DATA)/postgres.at)" in \
		/var/tmp/newszop-*) rm -rf "$$(cat $(DATA)/postgres.at)";; esac; fi
	rm -rf $(VENV) $(DATA) *.egg-info build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

VNU := 26.9.27
OPENAPI_TS := 7.13.0
TYPESCRIPT := 5.9.3
LOCK := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --upgrade

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo 'newszop needs Python 3.11 or newer.'; exit 1; }
	@$(PYTHON) -m venv $(VENV) > /dev/null 2>&1 || { rm -rf $(VENV); \
		echo '$(PYTHON) cannot make a virtual environment; install it, as with: apt-get install python3-venv'; exit 1; }

$(VENV)/installed: requirements.lock pyproject.toml | $(BIN)/python
	@echo 'Installing ...'
	@$(PIP) install --use-pep517 --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/installed-tests: tests/requirements.lock $(VENV)/installed
	@$(PIP) install --require-hashes -r tests/requirements.lock
	@touch $@

$(VENV)/installed-bench: tests/bench/requirements.lock $(VENV)/installed-tests
	@$(PIP) install --require-hashes -r tests/bench/requirements.lock && touch $@ || \
		echo 'The peers could not be installed: they will not be measured.'

$(VENV)/installed-foreign: tests/foreign/requirements.lock $(VENV)/installed-tests
	@$(PIP) install --require-hashes -r tests/foreign/requirements.lock && touch $@ || \
		echo 'The client libraries could not be installed: their tests will be skipped.'
	@npm install --silent --no-fund --no-audit --prefix $(VENV)/node vnu-jar@$(VNU) > /dev/null 2>&1 || \
		echo 'The validator of HTML could not be installed (it takes npm): its test will be skipped.'

$(VENV)/installed-generators: tests/foreign/openapi/requirements.lock $(VENV)/installed-tests
	@$(PYTHON) -m venv $(VENV)/openapi && $(VENV)/openapi/bin/python -m pip --quiet --disable-pip-version-check \
		--no-input install --require-hashes -r tests/foreign/openapi/requirements.lock || \
		echo 'openapi-python-client could not be installed: its test will be skipped.'
	@npm install --silent --no-fund --no-audit --prefix $(VENV)/node openapi-typescript@$(OPENAPI_TS) \
		typescript@$(TYPESCRIPT) > /dev/null 2>&1 || \
		echo 'openapi-typescript could not be installed (it takes npm): its test will be skipped.'
	@touch $@
