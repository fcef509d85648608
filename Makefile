# The two commands that matter are `make run` and `make test`; both install what they need by
# themselves. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Looked up when a recipe runs, because `scripts/prerequisites` may have just installed it.
PYTHON = $$(scripts/pythons oldest)
# Of each fuzz target, unless the command line says otherwise.
SECONDS_PER_TARGET ?= 60
# Of a soak, for each face.
MINUTES ?= 10

.PHONY: help
help: ## This list
	@sed -nE 's/^([a-z-]+):.*## (.*)$$/  make \1\t\2/p' Makefile | expand -t 30

.PHONY: run
run: develop ## Build the package and serve the demo on 127.0.0.1:8000
	.venv/bin/python -m examples.python.demo

.PHONY: develop
develop: ## Build the package into .venv; its Python files stay editable
	scripts/prerequisites
	scripts/tools maturin
	scripts/install develop "$(PYTHON)" .venv

.PHONY: test
test: ## Every gate and every test; STEPS="clippy pytest" runs some alone
	scripts/prerequisites gates
	scripts/tools
	scripts/test $(STEPS)

.PHONY: format
format: ## Rewrite the sources as the gates want them
	scripts/prerequisites gates
	scripts/tools
	cargo fmt --all
	.cache/tools/bin/ruff check --fix-only .
	.cache/tools/bin/ruff format .

.PHONY: wheel
wheel: ## Build the optimised wheel of each Python found, into dist/
	scripts/prerequisites
	scripts/tools maturin
	scripts/pythons | while read -r version python; do \
	    .cache/tools/bin/maturin build --release --locked --interpreter "$$python" --out dist; \
	done

.PHONY: bench
bench: ## Compare both faces with their peers; RUN=--help says what else it measures
	scripts/prerequisites
	bench/run $(RUN)

.PHONY: bench-instructions
bench-instructions: ## Count the user instructions of a request
	scripts/prerequisites
	bench/run instructions

.PHONY: soak
soak: ## Mixed load on both faces for MINUTES=10 each: nothing wrong, nothing kept
	scripts/prerequisites
	bench/run --strict soak --minutes $(MINUTES)

.PHONY: sqlmap
sqlmap: develop ## Let sqlmap loose on the demo, on each database; takes hours
	scripts/prerequisites gates
	test -x .cache/sqlmap/bin/sqlmap || "$(PYTHON)" -m venv .cache/sqlmap
	.cache/sqlmap/bin/pip install -q --disable-pip-version-check -r requirements/sqlmap.txt
	.venv/bin/python -m tests.sqlmap .cache/sqlmap/bin/sqlmap $(RUN)

.PHONY: fuzz
fuzz: ## Fuzz every target for SECONDS_PER_TARGET=60, or TARGET= alone
	scripts/prerequisites
	scripts/tools
	export PATH="$$PWD/.cache/tools/bin:$$PATH"; \
	for target in $(or $(TARGET),$$(cargo fuzz list)); do \
	    echo "== $$target"; \
	    mkdir -p "fuzz/corpus/$$target" "fuzz/seeds/$$target"; \
	    cargo fuzz run -s none "$$target" "fuzz/corpus/$$target" "fuzz/seeds/$$target" -- \
	        -max_total_time=$(SECONDS_PER_TARGET) -rss_limit_mb=2048 -timeout=5; \
	done

.PHONY: mutants
mutants: ## List the changes to the engine that no test notices; FILE= narrows it
	scripts/prerequisites
	scripts/tools
	cargo install --quiet --locked --root .cache/cargo cargo-mutants@27.1.0
	PATH="$$PWD/.cache/tools/bin:$$PATH" .cache/cargo/bin/cargo-mutants mutants --package apifrom \
	    --all-features --test-tool nextest --output .cache $(addprefix --file ,$(FILE))

.PHONY: clean
clean: ## Remove everything that was built or installed
	rm -rf .venv .cache dist target bench/target bench/.venv fuzz/target python/apifrom/_apifrom*.so
