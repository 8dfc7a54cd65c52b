# The two commands of a fresh machine: `make demo` and `make test`. Both install what is missing.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/tidemill/target
TIDEMILL := $(CARGO_TARGET_DIR)/release/tidemill

MDBOOK_VERSION := 0.4.52
MDBOOK := $(HOME)/.cache/tidemill/mdbook-$(MDBOOK_VERSION)/bin/mdbook

# Where `make install` puts the binary.
BINDIR ?= $(HOME)/.local/bin

.PHONY: help build install demo cluster test property chaos lint bench flights fuzz docs setup clean

help: ## Lists what make can do
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup:
	@.ci/setup

build: setup ## Builds the tidemill binary (a quarter of an hour on 2 cores; longer the first time)
	@echo "building; the first time takes a while (RocksDB, librdkafka, DataFusion) …"
	@cargo build --release --workspace --bins --tests --examples

install: build ## Copies the binary to ~/.local/bin (or BINDIR=…)
	@install -d $(BINDIR) && install -m 755 $(TIDEMILL) $(BINDIR)/tidemill
	@echo "$(BINDIR)/tidemill is there; try: $(BINDIR)/tidemill server"

demo: setup ## Shows a live table on the embedded log
	@echo "building; the first time takes a while (RocksDB, librdkafka, DataFusion) …"
	@cargo build --release --workspace --bins --tests --examples
	@sql-examples/demo/run.sh $(TIDEMILL)

flights: setup ## Runs the flights of 2013 through joins and windows
	@echo "building; the first time takes a while (RocksDB, librdkafka, DataFusion) …"
	@cargo build --release --workspace --bins --tests --examples
	@sql-examples/flights/run.sh $(TIDEMILL)

cluster: ## Shows three servers that share a service on a Kafka of its own: load, a kill, a return
	@.ci/setup kafka
	@echo "building; the first time takes a while (RocksDB, librdkafka, DataFusion) …"
	@cargo build --release --workspace --bins --tests --examples
	@$(CARGO_TARGET_DIR)/release/examples/cluster

test: ## Runs every test, the conformance cases and the checks
	@.ci/setup test
	@.ci/test

property: setup ## Compares random queries with a batch's answers (SEEDS=100000, or SEED=7 for one)
	@TIDEMILL_PROPERTY_SEEDS=$(or $(SEEDS),20000) $(if $(SEED),TIDEMILL_PROPERTY_SEED=$(SEED)) \
		cargo test --release --workspace --test property -- --nocapture

chaos: ## Kills, cuts and fills disks for hours, and writes docs/reliability.md (ROUNDS=0.1 SEEDS=20000 ONLY=network)
	@.ci/setup test
	@ROUNDS=$(ROUNDS) SEEDS=$(SEEDS) ONLY=$(ONLY) .ci/chaos

lint: setup ## rustfmt and clippy, warnings denied
	@cargo fmt --all --check
	@cargo clippy --release --workspace --all-targets -- -D warnings

bench: build ## Measures on a real broker and on the embedded log (BENCH="--help" for flags)
	@$(CARGO_TARGET_DIR)/release/tidemill-bench $(BENCH)

fuzz: ## Fuzzes decoders, parser, analyzer and registry with libFuzzer (SECONDS=60 each)
	@tests/fuzz/run.sh $(or $(SECONDS),60)

docs: ## Builds the manual as a website (mdBook; built once into the cache)
	@.ci/setup docs
	@command -v $(MDBOOK) >/dev/null || cargo install mdbook --quiet --locked --version $(MDBOOK_VERSION) \
		--no-default-features --features search --root $(HOME)/.cache/tidemill/mdbook-$(MDBOOK_VERSION)
	@$(MDBOOK) build docs --dest-dir $(CARGO_TARGET_DIR)/book 2>$(CARGO_TARGET_DIR)/book.log || { cat $(CARGO_TARGET_DIR)/book.log; exit 1; }
	@.ci/book $(CARGO_TARGET_DIR)/book $(CARGO_TARGET_DIR)/book.log
	@echo "the manual is $(CARGO_TARGET_DIR)/book/index.html"

clean: ## Removes the build output
	@rm -rf $(CARGO_TARGET_DIR)
