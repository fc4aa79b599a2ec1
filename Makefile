# Every command sets up what it needs; `make help` lists them.
SHELL := /bin/sh
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg

.DEFAULT_GOAL := help
.PHONY: help demo serve test lint unit sanity browser download molecule e2e journeys failures recovery docs build clean purge

help: ## List the commands
	@grep -hE '^[a-z0-9_]+:.*## ' $(MAKEFILE_LIST) | sort | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-10s %s\n", $$1, $$2}'

.venv/.demo: requirements.txt tests/setup_venv.sh
	PYTHON="$(PYTHON)" tests/setup_venv.sh .venv requirements.txt
	@touch $@

.venv/.test: .venv/.demo tests/requirements.txt
	PYTHON="$(PYTHON)" tests/setup_venv.sh .venv requirements.txt tests/requirements.txt
	@touch $@

demo: .venv/.demo ## Start the sandbox, serve on it with the 405B playbook, show the answer
	ansible-playbook playbooks/sandbox_up.yml -i inventories/sandbox
	ansible-playbook playbooks/serve_405b.yml -i inventories/sandbox

test: lint sanity unit browser download molecule e2e ## Everything that CI runs

lint: .venv/.test ## ruff, mypy, ansible-lint, generated docs up to date
	ruff check .
	ruff format --check .
	mypy plugins tests benchmarks
	ansible-lint
	python tests/docs.py --check
	python tests/planner_tables.py --check
	python tests/preflight_tables.py --check
	python tests/diagnosis_tables.py --check
	python tests/engine_tables.py --check
	python tests/profile_tables.py --check
	python tests/failure_tables.py --check
	python tests/recovery_tables.py --check

unit: .venv/.test ## Unit tests of plugins and roles' contracts
	pytest tests/unit

sanity: .venv/.test ## ansible-test sanity on a copy of the tracked files
	tests/sanity.sh

browser: .venv/.test ## The page of a plan in headless Chromium
	tests/browser/setup.sh
	pytest tests/browser

download: .venv/.test ## Downloads with the real client against a Hub with faults on demand
	pytest tests/download

molecule: .venv/.test ## Every role by itself, on a sandbox of its own
	tests/molecule.sh

e2e: .venv/.test ## The whole way: sandbox, serve, faults, reboots, stop
	pytest tests/e2e -v -m "not long"

journeys: .venv/.test ## The long ones: executors, doctor, upgrades and rollbacks, without Docker, Slurm, failures; before a release
	pytest tests/e2e -v -m long

failures: .venv/.test ## Provoke failures of the engine, and measure what is said of them when
	python tests/failures/run.py; rc=$$?; python tests/failure_tables.py && exit $$rc

recovery: .venv/.test ## Break a serving sandbox, and measure when it serves again
	python tests/recovery/run.py; rc=$$?; python tests/recovery_tables.py && exit $$rc

docs: .venv/.test ## Write the generated parts of the READMEs and docs
	python tests/docs.py
	python tests/planner_tables.py
	python tests/preflight_tables.py
	python tests/diagnosis_tables.py
	python tests/engine_tables.py
	python tests/profile_tables.py
	python tests/failure_tables.py
	python tests/recovery_tables.py

build: .venv/.test ## Build the collection's archive
	ansible-galaxy collection build --force

clean: ## Remove the sandbox's nodes; what was built stays cached
	@if [ -x $(BIN)/ansible-playbook ]; then ansible-playbook playbooks/sandbox_down.yml -i inventories/sandbox_slurm; fi
	@if [ -x $(BIN)/ansible-playbook ]; then ansible-playbook playbooks/sandbox_down.yml -i inventories/sandbox; fi
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache tests/output

purge: ## Remove the sandbox with its images and caches, and the virtual environment
	@if [ -x $(BIN)/ansible-playbook ]; then ansible-playbook playbooks/sandbox_down.yml -i inventories/sandbox_slurm; fi
	@if [ -x $(BIN)/ansible-playbook ]; then ansible-playbook playbooks/sandbox_down.yml -i inventories/sandbox -e sandbox_purge=true; fi
	rm -rf .venv .hypothesis .mypy_cache .pytest_cache .ruff_cache tests/output
