# `make help` lists what there is. Everything that is needed is installed into .venv and .cluster, or, on Debian as
# root, by apt-get; nothing else is touched.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory
# Container images often forbid bytecode. Then each process of the tests compiles each module again.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
STAMP := .venv/installed
LOGS := .logs
OPENAPI := operator/openapi.json
# The generator of the documentation has an environment of its own, so that `make check` stays quick.
DOCS := build/docs-environment
DOCS_STAMP := $(DOCS)/installed
# Tests that need no cluster; the rest are `make e2e`. They wait for servers a quarter of the time, so there are more
# processes than cores.
UNIT := -m "not cluster and not thorough and not majors and not real" --numprocesses 4 --dist loadfile
# Tests against the cluster mostly wait, so there are more processes than cores (tests/e2e/fixtures.py).
SIDE_BY_SIDE := --numprocesses 4 --dist loadfile --no-loadscope-reorder
COMPILE := uv pip compile --quiet --universal --generate-hashes --no-annotate --no-emit-find-links \
	--custom-compile-command "make lock"
# The images have the versions that the tests have.
COMPILE_IMAGE := $(COMPILE) --constraint tests/requirements.txt
# Where people will find the files of `make package`: krew's manifest names it.
PACKAGES_URL := https://example.com/pgimport
# Dependencies of the worker that the operator's image leaves out.
WORKER_ONLY := asyncpg lz4 backports-zstd

# Sets `python` to a Python of 3.11 or newer that can make a virtual environment.
define FIND_PYTHON
python=""; fitting=""; \
for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || continue; \
	fitting=$${fitting:-$$name}; \
	if $$name -c 'import ensurepip, venv' 2> /dev/null; then python=$$name; break; fi; \
done; \
if [ -z "$$fitting" ]; then \
	echo "Python 3.11 or newer is needed, and none of python3, python3.11 … python3.14 is one" >&2; exit 1; \
fi; \
if [ -z "$$python" ]; then \
	package=$$($$fitting -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
	if [ "$$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then \
		echo "$$fitting cannot make virtual environments: install its venv module (on Debian: $$package)" >&2; exit 1; \
	fi; \
	echo "installing Debian's $$package"; \
	apt-get update -qq; \
	DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends "$$package" > /dev/null; \
	python=$$fitting; \
fi
endef

##@ First steps

.PHONY: demo
demo: up ## start a cluster, import real data with live progress, and show what to try next
	@$(BIN)/python -m tests.demo

.PHONY: up
up: setup ## start or update the cluster with operator and trial server; CLUSTER=kind|bare|current chooses it
	@$(BIN)/python -m tests.cluster up

.PHONY: down
down: setup ## remove everything that `make up` started
	@$(BIN)/python -m tests.cluster down

##@ Proof

.PHONY: test
test: setup ## run everything: static checks, unit tests, and all tests against the real cluster
	@mkdir -p $(LOGS)
	@# The cluster comes up while the static checks run, in a process group of its own that ends with this one. Unit
	@# tests wait for it: they start servers and operators of their own and should not race a compiler.
	@set -m; \
	{ $(BIN)/python -m tests.cluster up 2>&1 | tee $(LOGS)/up.log | sed 's/^/up    | /'; } & up=$$!; \
	set +m; \
	trap 'kill -- -$$up 2> /dev/null || true' EXIT; \
	failed=""; \
	$(MAKE) --keep-going style types imports fresh || failed="static checks"; \
	come=yes; wait $$up || come=no; \
	$(MAKE) unit || failed="$${failed:+$$failed, }make unit"; \
	$(MAKE) test-pythons || failed="$${failed:+$$failed, }make test-pythons"; \
	$(MAKE) docs || failed="$${failed:+$$failed, }make docs"; \
	if [ $$come = yes ]; then \
		$(MAKE) e2e || failed="$${failed:+$$failed, }make e2e"; \
	else \
		failed="$${failed:+$$failed, }make up (see $(LOGS)/up.log)"; \
	fi; \
	trap - EXIT; \
	if [ -n "$${CI:-}" ]; then $(BIN)/python -m tests.cluster down || failed="$${failed:+$$failed, }make down"; fi; \
	if [ -n "$$failed" ]; then echo "failed: $$failed" >&2; exit 1; fi

.PHONY: check
check: setup ## check format, lint, types, import rules and generated files, and run the unit tests; no cluster
	@# The static checks run one after the other beside the unit tests, which often wait for servers.
	@$(MAKE) --jobs 2 --keep-going --output-sync=target unit types style imports fresh

.PHONY: unit
unit: setup ## run the unit tests alone
	@$(BIN)/python -m pytest $(UNIT)

.PHONY: test-pythons
test-pythons: setup ## run the quick unit tests on Python 3.11, 3.13 and 3.14
	@$(BIN)/python -m tests.packages.pythons

.PHONY: e2e
e2e: setup ## run the tests against the cluster of `make up`, and the thorough ones
	@# First the tests that share the cluster. Then those that need it for themselves, beside those that need none.
	@status=0; \
	$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m "cluster and not exclusive and not kueue and not ingress" || status=1; \
	$(MAKE) --jobs 2 --keep-going --output-sync=target exclusive thorough || status=1; \
	exit $$status

.PHONY: exclusive
exclusive: setup
	@$(BIN)/python -m pytest --numprocesses 0 -m exclusive

.PHONY: thorough
thorough: setup
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "thorough and not cluster"

.PHONY: kueue
kueue: up ## run the tests of queues with Kueue's own controller, which it builds first (twelve minutes)
	@$(BIN)/python -m pytest --numprocesses 0 -m kueue

.PHONY: ingress
ingress: up ## use API and page through an Ingress and a Gateway of Traefik, which it builds first (ten minutes)
	@$(BIN)/python -m pytest --numprocesses 0 -m ingress

.PHONY: majors
majors: setup ## run the tests of the target server on the majors between the oldest and the newest
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m majors tests/server

.PHONY: real
real: setup ## import real inputs by every path, from every major version to 17 and 18; an hour, no cluster
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m "real or thorough" tests/real

.PHONY: bench
bench: up ## measure every figure that has a goal; writes tests/bench/report.md
	@$(BIN)/python -m tests.bench

.PHONY: chaos
chaos: up ## let every part of an import fail at every point; writes tests/chaos/report.md
	@$(BIN)/python -m tests.chaos

.PHONY: attacks
attacks: up ## let one tenant attack for ten minutes while another works; writes tests/attacks/report.md
	@$(BIN)/python -m tests.attacks

.PHONY: docs
docs: $(DOCS_STAMP) ## build the documentation site in build/site; a broken link is an error
	@$(DOCS)/bin/zensical build --config-file .zensical.toml --clean --strict
	@# The theme's script could load diagrams and editors, which no page has, from another host.
	@find build/site/assets -name '*.js' -exec sed -E -i \
		's#https://[a-z.]+/(resize-observer-polyfill|[^"]*\.(js|css))#about:blank#g' {} +

$(DOCS_STAMP): docs/requirements.txt
	@$(FIND_PYTHON); \
	if [ ! -x $(DOCS)/bin/python ]; then "$$python" -m venv --clear $(DOCS); fi; \
	echo "installing $$(grep -c '^[a-z]' $<) packages of $< into $(DOCS), each checked by its hash"; \
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<; \
	touch $@

##@ Development

.PHONY: setup
setup: $(STAMP) ## create the virtual environment .venv, from hash-locked requirements
	@:

$(STAMP): tests/requirements.txt pyproject.toml
	@$(FIND_PYTHON); \
	if ! $(BIN)/python -m pip --version > /dev/null 2>&1; then \
		echo "making .venv with $$($$python --version)"; \
		$$python -m venv --clear .venv; \
	fi; \
	echo "installing $$(grep -c '^[a-z]' $<) packages of $< into .venv, each checked by its hash"; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<; \
	echo "installing pgimport itself, editable"; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .; \
	touch $@

.PHONY: format
format: setup ## format the code, and fix what ruff can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

.PHONY: style
style: setup ## check format and lint
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .

.PHONY: types
types: setup ## check types with mypy, strict
	@$(BIN)/mypy

.PHONY: imports
imports: setup ## check the import contracts
	@$(BIN)/lint-imports

.PHONY: generate
generate: setup ## write the CRDs, the chart's copy of them, the table of fields and the OpenAPI document
	@$(BIN)/python -m pgimport schema .
	@$(BIN)/python -m pgimport api openapi > $(OPENAPI); echo $(OPENAPI)

.PHONY: errors
errors: setup ## write the page of errors, with the text of each input
	@PGIMPORT_WRITE_ERRORS_PAGE=1 $(BIN)/python -m pytest -q tests/worker/errors

.PHONY: fresh
fresh: setup ## check that generated files are what `make generate` would write
	@fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; status=0; \
	for name in $$($(BIN)/python -m pgimport schema "$$fresh"); do \
		cmp -s "$$fresh/$$name" "$$name" || { echo "$$name is stale: run make generate" >&2; status=1; }; \
	done; \
	$(BIN)/python -m pgimport api openapi | cmp -s - $(OPENAPI) \
		|| { echo "$(OPENAPI) is stale: run make generate" >&2; status=1; }; \
	exit $$status

.PHONY: package
package: setup ## build in dist: wheel, sdist, the commands for a cluster as one file and for krew (PACKAGES_URL)
	@rm -rf dist
	@$(BIN)/python -m build --no-isolation --outdir dist . > /dev/null
	@$(BIN)/python -m tests.support.cluster_archives dist $(PACKAGES_URL)
	@ls dist/*

.PHONY: lock
lock: ## lock the dependencies with hashes; `make lock UPGRADE=--upgrade` takes newer versions
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(FIND_PYTHON); \
	"$$python" -m venv "$$folder"; \
	"$$folder/bin/pip" install --quiet --disable-pip-version-check uv; \
	PATH="$$folder/bin:$$PATH"; \
	index=$${PIP_INDEX_URL:-$$("$$folder/bin/pip" config get global.index-url 2> /dev/null || true)}; \
	if [ -n "$$index" ]; then export UV_DEFAULT_INDEX="$$index"; fi; \
	$(COMPILE) $(UPGRADE) pyproject.toml --all-extras --group dev --output-file tests/requirements.txt; \
	$(COMPILE_IMAGE) pyproject.toml --output-file operator/requirements-worker.txt; \
	$(COMPILE_IMAGE) pyproject.toml --all-extras $(addprefix --no-emit-package ,$(WORKER_ONLY)) \
		--output-file operator/requirements-operator.txt; \
	$(COMPILE) $(UPGRADE) docs/requirements.in --output-file docs/requirements.txt
	@echo "requirements are locked in tests, operator and docs; run make setup"

.PHONY: clean
clean: ## remove .venv, build, logs and the caches of tools; the cluster stays
	@rm -rf .venv .logs .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .cache build

.PHONY: help
help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} \
		/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
