# The commands of a day. `make demo` and `make test` do everything on a fresh machine.
SHELL := /bin/bash
.DEFAULT_GOAL := help
CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
BIN := $(CARGO_TARGET_DIR)/release/forebay

.PHONY: help build demo test check bench soak docs

help: ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-6s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## the release binary, with progress
	@scripts/build.sh

demo: build ## a plant, live: devices, log, query, alerts on the screen, a Delta table
	@$(BIN) demo

test: ## installs the real components (Kafka, PostgreSQL, Spark, Delta, clients) and runs all tests
	@scripts/test.sh

check: ## format, lints, licences and advisories, docs in step with the code
	@scripts/check.sh

bench: build ## Forebay beside Spark, Flink and PostgreSQL's COPY on the same topics; writes docs/benchmarks.md
	@scripts/bench/run.sh

soak: ## the long forms of the tests: every kill point many times, long loads
	@FOREBAY_SOAK=1 scripts/test.sh

docs: build ## writes the reference pages that are generated from the code
	@$(BIN) reference docs
