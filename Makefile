# Everything runs from .venv inside this checkout, installed from the hashes in deploy/locks: for the demo what it needs,
# for tests and checks the rest as well.
# Needed beforehand: make, and Python 3.11 or newer (another one than python3: make PYTHON=/path/to/python).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
# Nobody's shell decides what is imported here.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
VENV := .venv
RUN := $(VENV)/bin
PIP_INSTALL := $(RUN)/python -m pip --disable-pip-version-check install
PYTEST_ARGS ?=
BENCH_ARGS ?=
SIMULATE_ARGS ?=
SOAK_ARGS ?=
DEPLOY_ARGS ?=

.PHONY: help
help: ## Say what each target does
	@printf 'usage: make TARGET\n\n'
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: setup
setup: $(VENV)/.project $(VENV)/.kafka ## Install what the service and the demo need into .venv (runs by itself, and again when the locks change)

.PHONY: tools
tools: setup $(VENV)/.tools ## Install what tests, checks and benchmarks need beside that (runs by itself, too)

.PHONY: demo
demo: setup ## Run everything on this machine: Apache Kafka, platform sandbox, events, the service; check the totals
	@$(RUN)/campaign-consumer demo

.PHONY: test
test: tools ## Install what the suite needs, and run it in two processes; PYTEST_ARGS narrows it
	@$(RUN)/python -m pytest --numprocesses 2 --ignore tests/deploy $(PYTEST_ARGS)

.PHONY: lint
lint: tools ## Check style, types, import contracts, spelling and locks
	@$(RUN)/ruff check
	@$(RUN)/ruff format --check
	@$(RUN)/mypy consumer schemas config tests
	@$(RUN)/lint-imports --no-cache
	@$(RUN)/codespell
	@$(RUN)/python -m tests.support.locks check

.PHONY: fix
fix: tools ## Mend what ruff can mend, and format
	@$(RUN)/ruff check --fix
	@$(RUN)/ruff format

.PHONY: bench
bench: tools ## Measure: drain a full topic beside bare loops, a lone urgent event's way, and single sends
	@$(RUN)/python -m tests.benchmarks.drain $(BENCH_ARGS)

.PHONY: bench-journal
bench-journal: tools ## Measure what the journal costs: beside the service with the append replaced by nothing
	@$(RUN)/python -m tests.benchmarks.journal $(BENCH_ARGS)

.PHONY: bench-choices
bench-choices: tools ## Measure what an operator's choices cost: windows, partitions, single sends, kills, restarts, a full buffer
	@$(RUN)/python -m tests.benchmarks.choices $(BENCH_ARGS)

.PHONY: bench-ahead
bench-ahead: tools ## Measure reading ahead: what it costs on a drain and in a backlog, and how long one-time passwords wait beside one
	@$(RUN)/python -m tests.benchmarks.ahead $(BENCH_ARGS)

.PHONY: bench-takeover
bench-takeover: tools ## Measure what a take-over costs whose journal has a long past: seconds, memory, the loop's longest spell
	@$(RUN)/python -m tests.benchmarks.takeover $(BENCH_ARGS)

.PHONY: bench-scrape
bench-scrape: tools ## Measure what a scrape of the metrics costs: milliseconds and bytes, idle and with many events waiting
	@$(RUN)/python -m tests.benchmarks.scrape $(BENCH_ARGS)

.PHONY: bench-plan
bench-plan: setup ## Measure what planning a resend costs over a million records: seconds, memory
	@$(RUN)/python -m tests.benchmarks.plan $(BENCH_ARGS)

.PHONY: soak
soak: tools ## Run load with random faults for 10 minutes, then the audit; SOAK_ARGS="--minutes 60 --seed 7"
	@$(RUN)/python -m tests.chaos.soak $(SOAK_ARGS)

.PHONY: simulate
simulate: tools ## Play the service in made-up worlds where everything goes wrong; SIMULATE_ARGS="--seeds 10000 --from 5"
	@$(RUN)/python -m tests.simulation.play $(SIMULATE_ARGS)

.PHONY: generate
generate: tools ## Write anew what is made from the code: published schemas, the pages of settings, metrics and results, the Helm chart's part
	@for subject in event result dead-letter; do \
		$(RUN)/campaign-consumer schema "$$subject" > "schemas/published/$$subject.json"; done
	@$(RUN)/python -m config.reference
	@$(RUN)/python -m schemas.reference > schemas/RESULTS.md
	@$(RUN)/python -m consumer.edge.telemetry.metrics_page > deploy/METRICS.md
	@$(RUN)/python deploy/grafana/dashboards.py
	@$(RUN)/python -m tests.support.chart

.PHONY: record
record: setup ## Record a resend on a terminal anew, from a real one: deploy/resending.svg
	@$(RUN)/python -m tests.service.recording deploy/resending.svg

.PHONY: screenshots
screenshots: tools $(VENV)/.deploy-tools ## Take pictures of the operations page anew, over a real demo in trouble: deploy/screenshots
	@$(RUN)/python -m tests.deploy.screenshots deploy/screenshots

.PHONY: locks
locks: tools ## Resolve pyproject.toml anew into deploy/locks
	@$(RUN)/python -m tests.support.locks write
	@$(RUN)/python -m consumer.demo.jars

.PHONY: check-deploy
check-deploy: tools $(VENV)/.deploy-tools ## Check what is deployed, with Prometheus, Chromium and Helm; DEPLOY_ARGS narrows its tests
	@$(RUN)/hadolint deploy/Dockerfile
	@$(RUN)/check-jsonschema --builtin-schema vendor.compose-spec deploy/compose.yaml
	@$(RUN)/python -m pytest --numprocesses 2 tests/deploy $(DEPLOY_ARGS)

# Steps, each done again only when what it stands on has changed. Wheels only: building a source distribution
# would bring in a build back end that no lock names. One step stands on the other, since all of them write to .venv.

# $(call install,LOCKS): install what these locks name, and say how far that has come.
define install
	@of=$$(cat $(1) | grep -c ==); done=0; \
	$(PIP_INSTALL) --require-hashes --only-binary :all: $(addprefix --requirement ,$(1)) | while read -r did what _ name _; do \
		case $$did in \
			Collecting | Ignoring) done=$$((done + 1)); text="$$done of $$of: $$what" ;; \
			Requirement) done=$$((done + 1)); text="$$done of $$of: $$name" ;; \
			Installing) done=$$of; text="unpacking what is new" ;; \
			*) continue ;; \
		esac; \
		if [ -t 1 ]; then printf '\r\033[Kmake: %s' "$$text"; \
		elif [ $$((done % 10)) = 0 ] || [ "$$done" = "$$of" ]; then echo "make: $$text"; fi; \
	done; \
	if [ -t 1 ]; then echo; fi
endef

$(VENV)/.created:
	@if [ -z "$(PYTHON)" ]; then echo "make: no Python 3.11 or newer found; name one: make PYTHON=/path/to/python" >&2; exit 1; fi
	@"$(PYTHON)" -m venv --clear $(VENV) || { echo "make: $(PYTHON) has no venv module; name another: make PYTHON=/path/to/python" >&2; exit 1; }
	@touch $@

DEMO_LOCKS := deploy/locks/demo.txt deploy/locks/build.txt
$(VENV)/.locked: $(DEMO_LOCKS) $(VENV)/.created
	@echo "make: installing into $(VENV) what the demo needs ($(DEMO_LOCKS))"
	$(call install,$(DEMO_LOCKS))
	@touch $@

$(VENV)/.project: pyproject.toml $(VENV)/.locked
	@$(PIP_INSTALL) --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.kafka: consumer/demo/apache_kafka.lock.toml $(VENV)/.project
	@$(RUN)/python -m consumer.demo.apache_kafka
	@touch $@

$(VENV)/.tools: deploy/locks/dev.txt $(VENV)/.project
	@echo "make: installing into $(VENV) what tests and checks need (deploy/locks/dev.txt)"
	$(call install,deploy/locks/dev.txt)
	@touch $@

$(VENV)/.deploy-tools: tests/deploy/install-tools tests/deploy/install-chart-tools tests/deploy/go.txt $(VENV)/.tools
	@tests/deploy/install-tools $(VENV)
	@touch $@
