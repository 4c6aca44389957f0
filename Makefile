# Everything runs from .venv, made from a plain Debian python3 (3.11 or newer) on first use.

PYTHON ?= python3
VENV = .venv
STAMP = $(VENV)/.installed
RUN = $(VENV)/bin/python

PORT ?= 8080
ONCE ?=
ARGS ?=
SCENARIO ?= live
USERS ?=
TIME ?=
WHAT ?= all
RUNS ?= 5
WRITE ?=
SIZE ?= 1

.PHONY: help run test lint load bench show crash docs clean

help:
	@echo 'make run    Lockgate on 127.0.0.1:8080 before a stub origin, and 1,000 clients at a cold key'
	@echo '            PORT=8080; ONCE=1 ends after the table'
	@echo 'make test   all tests; ARGS="tests/policy -x" goes to pytest'
	@echo 'make lint   ruff and mypy --strict'
	@echo 'make load   locust, against the stub alone and behind Lockgate; SCENARIO=live|herd|mixed'
	@echo '            USERS=, TIME=12s'
	@echo 'make bench  side by side with nginx and Varnish; WHAT=herd|rates|path|workers|writes|... RUNS=5'
	@echo '            WRITE=1 puts the tables into docs/benchmarks.md'
	@echo 'make show   promises kept, against a real origin: stale answers, purges, races; WHAT=purge-race SIZE=0.1'
	@echo '            WRITE=1 puts the figures into docs/shows.md'
	@echo 'make crash  a million writes while the proxy is killed 200 times, and whether they were applied in order'
	@echo '            LOCKGATE_WRITES=20000 LOCKGATE_CRASHES=10; ARGS=--idempotent'
	@echo 'make docs   the generated pages'
	@echo 'make clean  remove .venv and what tools left behind'

# The stamp is newer than pyproject.toml when what it names is installed.
$(STAMP): pyproject.toml
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
		echo 'Lockgate needs python3 3.11 or newer; $(PYTHON) is not on the PATH (PYTHON=... names another).' >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Lockgate needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) -V`. Name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo '$(PYTHON) lacks the venv module. On Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e '.[test,lint]'
	@touch $@

run: $(STAMP)
	@PORT='$(PORT)' ONCE='$(ONCE)' $(RUN) -m loadtest.demo

# They start some five hundred processes, and each would compile all modules anew where the environment forbids to
# keep byte code: half of the time that such a process takes to begin. It lies aside, and the tree stays clean.
test: export PYTHONDONTWRITEBYTECODE =
test: export PYTHONPYCACHEPREFIX = $(CURDIR)/$(VENV)/pycache
test: $(STAMP)
	$(RUN) -m pytest $(ARGS)

lint: $(STAMP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

load: $(STAMP)
	@SCENARIO='$(SCENARIO)' USERS='$(USERS)' TIME='$(TIME)' $(RUN) -m loadtest.compare

bench: $(STAMP)
	@$(RUN) -m loadtest.bench --what '$(WHAT)' --runs '$(RUNS)' $(if $(WRITE),--write)

show: $(STAMP)
	@$(RUN) -m loadtest.shows --what '$(WHAT)' --size '$(SIZE)' $(if $(WRITE),--write docs/shows.md)

crash: $(STAMP)
	@$(RUN) -m loadtest.writes crash $(ARGS)

docs: $(STAMP)
	$(RUN) -m proxy.config.docs

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .run build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
