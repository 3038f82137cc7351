# For people and for continuous integration alike; see "make help".

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The interpreter the virtual environment is made of: the first one that is new enough. PYTHON=... overrides.
PYTHON ?= $(shell tools/ensure.sh which-python)
VENV := .venv
BIN := $(VENV)/bin
E2E := tests/e2e

# Virtual environments and node_modules are stamped with what they were made from, so that they are made anew when a lock
# file changes, when Python does, or when the checkout was moved - and only then.
digest = $(shell cat $(1) 2>/dev/null | sha256sum | cut -c1-16)
HERE := $(shell (echo $(CURDIR); $(PYTHON) -VV) 2>&1 | sha256sum | cut -c1-8)
RUN_READY = $(VENV)/.run-$(HERE)-$(call digest,requirements/run.txt requirements/build.txt setup.cfg pyproject.toml)
TEST_READY = $(VENV)/.test-$(HERE)-$(call digest,requirements/run.txt requirements/build.txt requirements/test.txt setup.cfg pyproject.toml)
PYTHON_CLIENT := $(E2E)/languages/python
CLIENTS_READY = .clients/.ready-$(HERE)-$(call digest,$(PYTHON_CLIENT)/requirements.txt $(PYTHON_CLIENT)/sitecustomize.py)
SCHEMA_READY = .schema/.ready-$(HERE)-$(call digest,requirements/schema.txt)
NODE_SERVER := $(E2E)/node_server
NODE_SERVER_READY = $(NODE_SERVER)/node_modules/.ready-$(call digest,$(NODE_SERVER)/package-lock.json)
BENCH_NODE_READY = .bench/node/.ready-$(call digest,bench/node_server/package-lock.json)
PLOTS_READY = .bench/plots/.ready-$(HERE)-$(call digest,requirements/bench.txt)
NODE_READY = $(E2E)/node_modules/.ready-$(call digest,$(E2E)/package-lock.json)

PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet
# SLOWEST=20 lists the slowest modules and tests; JOBS=1 runs them all in one process.
TRIAL = PYTHONPATH=$(CURDIR) $(BIN)/python tools/run_tests.py $(if $(SLOWEST),--slowest $(SLOWEST)) $(if $(JOBS),--jobs $(JOBS))

COMMA := ,
BENCH_JSON = $(or $(JSON),.bench/results.json)
BENCH_OPTIONS = $(foreach option,QUICK PAIRS ROWS,$(if $($(option)),$(option)=$($(option))))

.PHONY: promtool help run install valve-diff test check unit e2e clients old-clients soak crash-test chaos restart-test coverage format lock node clean wstest hostile deb deb-test figures largest fuzz released-configs redis schema bench soak-load nats

help:  ## show this list
	@sed -nE 's/^([a-z0-9-]+):.*## (.*)/make \1\t\2/p' Makefile | expand -t 18

run: install  ## install into .venv and start the server in the foreground, data in .data (PORT=... another port)
	@exec $(BIN)/twistd --nodaemon --pidfile= dstwist --config etc/dstwist/config.yml --data-dir .data $(if $(PORT),--port $(PORT))

install: $(RUN_READY)  ## make .venv with dstwist in it

test: $(TEST_READY) node redis promtool $(NODE_SERVER_READY)  ## everything: install what tests need, the checks, all tests
	@$(TRIAL) --beside "$(MAKE) check" tests

check: $(TEST_READY)  ## ruff (lint and format) and mypy
	@failed=; \
	$(BIN)/ruff check --quiet || failed+=" ruff-check"; \
	$(BIN)/ruff format --quiet --diff || failed+=" ruff-format"; \
	$(BIN)/mypy --no-error-summary || failed+=" mypy"; \
	if [ -n "$$failed" ]; then echo "Checks failed:$$failed" >&2; exit 1; fi; \
	echo "Checks passed: ruff check, ruff format, mypy"

unit: $(TEST_READY) redis promtool  ## all tests that need neither a network nor Node.js
	@$(TRIAL) --exclude tests.e2e tests

e2e: $(TEST_READY) node redis $(NODE_SERVER_READY)  ## the official JavaScript clients against a running server
	@$(TRIAL) tests.e2e

clients: $(TEST_READY) $(CLIENTS_READY) node  ## clients of other languages against a running server
	@$(TRIAL) tests.e2e.languages tests.e2e.languages.installed

schema: $(TEST_READY) $(SCHEMA_READY)  ## requests to the HTTP API, made from its description by Schemathesis (SCHEMA_EXAMPLES=200)
	@$(TRIAL) tests.e2e.http_schema

old-clients: $(TEST_READY) node  ## conflicts of records with older official clients from npm (CLIENTS="4.1.3 5.0.8")
	@failed=; \
	for version in $(or $(CLIENTS),4.1.3 5.0.8 5.2.7); do \
		echo "Client $$version"; \
		npm install --silent --no-audit --no-fund --ignore-scripts --prefix .clients/javascript-$$version @deepstream/client@$$version; \
		CLIENT_V7=$(CURDIR)/.clients/javascript-$$version $(TRIAL) tests.e2e.test_conflicts tests.e2e.test_offline_merges || failed+=" $$version"; \
	done; \
	if [ -n "$$failed" ]; then echo "Tests failed with clients:$$failed" >&2; exit 1; fi

deb:  ## build the Debian package into dist/ (DIST=trixie: for another release than this machine's)
	@tools/deb.sh $(DIST)

deb-test: node  ## install, use, upgrade under load, remove and purge the package of dist/ in a fresh Debian (DIST=bookworm)
	@debian/tests/in_root.sh $(or $(DIST),bookworm)

soak: $(TEST_READY) node  ## clients do random things over connections that break, and must have what the server has (SOAK_SECONDS=60 SEED=... BREAKS="0.5 0.7")
	@PYTHONPATH=$(CURDIR) $(BIN)/python -m tests.e2e.soak --seconds $(or $(SOAK_SECONDS),60) $(if $(SEED),--seed $(SEED)) \
		$(if $(BREAKS),--breaks $(BREAKS))

crash-test: $(TEST_READY) redis  ## kill a server under load 50 times, and see what it remembers (STORE=redis or redis-cache: and its Redis as often)
	@PYTHONPATH=$(CURDIR) $(BIN)/python tools/crash_test.py $(if $(STORE),--store $(STORE)) $(if $(SEED),--seed $(SEED))

chaos: $(TEST_READY) redis  ## three nodes under load, while nodes, Redis and connections fail 500 times (FAULTS=20 SEED=... TIER=cache)
	@PYTHONPATH=$(CURDIR) $(BIN)/python tools/chaos_test.py $(if $(FAULTS),--faults $(FAULTS)) $(if $(SEED),--seed $(SEED)) \
		$(if $(TIER),--tier $(TIER))

restart-test: $(TEST_READY)  ## stop and start a server under load 100 times, and see that each stop is clean
	@PYTHONPATH=$(CURDIR) $(BIN)/python tools/restart_test.py

bench: $(TEST_READY) redis nats $(BENCH_NODE_READY) $(PLOTS_READY)  ## compare with the Node server, Redis and NATS (QUICK=1 PAIRS=3 ROWS=rpc,logins JSON=FILE; DOCS=1 writes docs/performance.rst)
	@PYTHONPATH=$(CURDIR) $(BIN)/python -m bench.compare --command "$(strip make bench $(BENCH_OPTIONS))" --json $(BENCH_JSON) \
		$(if $(PAIRS),--pairs $(PAIRS)) $(if $(ROWS),--rows $(subst $(COMMA), ,$(ROWS))) $(if $(QUICK),--quick) $(if $(DOCS),--docs)
	@.bench/plots/bin/python bench/plots.py $(BENCH_JSON) $(if $(DOCS),docs/images,.bench/images)

soak-load: $(TEST_READY)  ## half the load that a server can take for an hour, then twice as much for a minute: memory and latency (MINUTES=60)
	@PYTHONPATH=$(CURDIR) $(BIN)/python -m bench.soak $(if $(MINUTES),--minutes $(MINUTES))

valve-diff: $(TEST_READY) node  ## 20,000 random permission rules, evaluated here and by Node.js
	@PYTHONPATH=$(CURDIR) $(BIN)/python -m tests.e2e.valve 20000 $(SEED)

wstest: $(TEST_READY)  ## the Autobahn WebSocket test suite against our WebSockets
	@PYTHONPATH=$(CURDIR) $(BIN)/python -m tests.e2e.conformance

hostile: $(TEST_READY)  ## attack a server in every way we can think of, and see what that costs it
	@PYTHONPATH=$(CURDIR) $(BIN)/python -m tests.hostile

figures: $(TEST_READY) node  ## attack servers one by one, and print their memory, turns and waits (CHECKOUT=... another one)
	@PYTHONPATH=$(CURDIR) $(BIN)/python -m tests.hostile.figures --checkout $(or $(CHECKOUT),.)

largest: $(TEST_READY)  ## send every kind of request at its largest size, and print the longest turns (CHECKOUT=... another one)
	@PYTHONPATH=$(CURDIR) $(BIN)/python -m tests.hostile.largest --checkout $(or $(CHECKOUT),.)

released-configs: $(TEST_READY)  ## hold the configurations of all releases of deepstream.io, from npm, against check-config
	@PYTHONPATH=$(CURDIR) $(BIN)/python tools/released_configs.py check

fuzz: $(TEST_READY)  ## look for input that breaks something, FUZZ_SECONDS (600) for each part
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(PIP) install --only-binary :all: atheris==3.0.0 || \
		echo "Without atheris, which is not to be had here: at random." >&2
	@PYTHONPATH=$(CURDIR) $(BIN)/python -m fuzz --seconds $(or $(FUZZ_SECONDS),600)

coverage: $(TEST_READY) redis promtool  ## unit tests, and which lines of dstwist they run
	@PYTHONPATH=$(CURDIR) COVERAGE_FILE=$(CURDIR)/.coverage $(BIN)/coverage run --branch --source dstwist \
		tools/run_tests.py --jobs 1 --exclude tests.e2e tests
	@$(BIN)/coverage report --skip-covered --show-missing

format: $(TEST_READY)  ## let ruff put imports and layout right
	@$(BIN)/ruff check --quiet --fix --select I; $(BIN)/ruff format

lock: $(TEST_READY)  ## take the newest allowed dependencies into requirements/*.txt
	@$(PIP) install uv
	@tools/lock.sh $(BIN)/uv

node: $(NODE_READY)

redis:
	@tools/ensure.sh redis

nats:
	@tools/ensure.sh nats || echo "The comparison goes without NATS." >&2

promtool:
	@tools/ensure.sh promtool

clean:  ## remove everything made here, but not .data
	rm -rf $(VENV) .clients .schema .bench $(E2E)/node_modules $(NODE_SERVER)/node_modules build dist *.egg-info _trial_temp* .mypy_cache .ruff_cache .hypothesis .coverage*
	rm -f twisted/plugins/dropin.cache twistd.pid
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.run-%:
	@tools/ensure.sh python "$(PYTHON)"
	@test ! -L $(VENV) || { echo "$(VENV) is a link: venv --clear would empty the directory it leads to." >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(PIP) install --prefer-binary --require-hashes -r requirements/build.txt -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --config-settings editable_mode=compat --editable .
	@touch $@

$(VENV)/.test-%: $(RUN_READY)
	@echo "Adding what the tests need ..."
	@$(PIP) install --prefer-binary --require-hashes -r requirements/test.txt
	@touch $@

# Old sources: see sitecustomize.py.
.clients/.ready-%:
	@echo "Installing the Python client ..."
	@$(PYTHON) -m venv --clear .clients
	@.clients/bin/python -m pip --disable-pip-version-check --quiet install setuptools==65.5.0 wheel==0.45.1
	@PYTHONPATH=$(CURDIR)/$(PYTHON_CLIENT) .clients/bin/python -m pip --disable-pip-version-check --quiet install --no-deps \
		--no-build-isolation -r $(PYTHON_CLIENT)/requirements.txt
	@touch $@

.schema/.ready-%:
	@echo "Installing Schemathesis ..."
	@$(PYTHON) -m venv --clear .schema
	@.schema/bin/python -m pip --disable-pip-version-check --quiet install --prefer-binary --require-hashes -r requirements/schema.txt
	@touch $@

$(E2E)/node_modules/.ready-%:
	@tools/ensure.sh node
	@echo "Installing the JavaScript clients ..."
	@cd $(E2E) && npm ci --silent
	@touch $@

$(NODE_SERVER)/node_modules/.ready-%:
	@tools/ensure.sh node
	@echo "Installing the Node server ..."
	@cd $(NODE_SERVER) && npm ci --silent
	@touch $@

.bench/node/.ready-%:
	@tools/ensure.sh node
	@echo "Installing the Node server to compare with ..."
	@rm -rf .bench/node && mkdir -p .bench && cp -r bench/node_server .bench/node
	@cd .bench/node && npm ci --silent
	@touch $@

.bench/plots/.ready-%:
	@echo "Installing what draws plots ..."
	@$(PYTHON) -m venv --clear .bench/plots
	@.bench/plots/bin/python -m pip --disable-pip-version-check --quiet install --prefer-binary --require-hashes -r requirements/bench.txt
	@touch $@
