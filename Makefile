# Needs Python 3.11 to 3.13 with venv, and make. `make PYTHON=/path/to/python` chooses another one.

PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
LOCK := requirements-dev.lock
SUPPORTED := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz lint bench bench-quantization wild operators lock docs clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/installed ## Build the embedded model into dist/ (sets everything up first)
	@$(BIN)/edgepack build --demo --output dist

test: $(VENV)/installed ## Run all tests; make test ARGS='-m "not slow"' for the quick ones
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 $(ARGS)

fuzz: $(VENV)/installed ## Have COUNT mutants of a bundle refused; make test has 100000
	@EDGEPACK_MUTANTS=$(or $(COUNT),1000000) $(BIN)/python -m pytest -n auto --maxprocesses 4 \
	  tests/test_hostile.py $(ARGS)

lint: $(VENV)/installed ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(VENV)/installed ## Print the speed and memory ratios that releases are held to
	@$(BIN)/python benchmarks/bench.py $(ARGS)

bench-quantization: $(VENV)/installed ## Search beside both stock int8 files; ARGS="--sweep NAME ..."
	@$(BIN)/python benchmarks/quantization $(ARGS)

wild: $(VENV)/installed ## Build every SavedModel below DIR=..., beside the stock converter
	@$(BIN)/python benchmarks/wild $(DIR) $(ARGS)

operators: $(VENV)/installed ## Ask each release of each runtime which operators it knows
	@$(BIN)/python benchmarks/operators.py $(ARGS)

docs: $(VENV)/installed ## Rewrite what README.md quotes from the program
	@$(BIN)/python -m pytest tests/test_project.py --update-golden

# An index or a folder of wheels that this machine adds must not decide what is pinned.
lock: $(VENV)/installed ## Pin the newest versions that pyproject.toml allows
	@env -u UV_INDEX -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS -u UV_CONSTRAINT -u UV_OVERRIDE \
	  $(BIN)/uv --no-config --quiet pip compile pyproject.toml --extra build --group dev \
	  --universal --python-version 3.11 --upgrade --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links --output-file $(LOCK)

clean: ## Remove what make and the build made
	rm -rf $(VENV) dist build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment is kept when its Python still serves, and made anew when it does not.
$(VENV)/locked: $(LOCK)
	@if ! { $(BIN)/python -c '$(SUPPORTED)' && $(BIN)/python -m pip --version; } >/dev/null 2>&1; then \
	  for python in $(if $(PYTHON),'$(PYTHON)',python3.11 python3.12 python3.13 python3 python); do \
	    if "$$python" -c '$(SUPPORTED)' 2>/dev/null; then found="$$python"; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "edgepack needs Python 3.11, 3.12 or 3.13 with its venv module, and found none" >&2; \
	    echo "  ($(or $(PYTHON),python3.11 python3.12 python3.13 python3 python))." >&2; \
	    echo "  Install one, or name it: make PYTHON=/path/to/python3.12" >&2; \
	    exit 1; \
	  fi; \
	  echo "Making $(VENV) with $$found"; \
	  "$$found" -m venv --clear $(VENV); \
	fi
	@echo "Installing TensorFlow and the other packages of $(LOCK): once, some minutes"
	@$(PIP) install -qq --require-hashes --requirement $(LOCK)
	@touch $@

$(VENV)/installed: $(VENV)/locked pyproject.toml
	@$(PIP) install -qq --no-deps --no-build-isolation --editable .
	@touch $@
