# `make demo` and `make test` do everything on a fresh machine.
PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
BIN := $(VENV)/bin
# Only these files: collecting the others takes ten seconds. A file stays in one process, with what
# its tests share; those that are not alone wait more than they work.
INTEGRATION = $(shell grep -rl --include='test_*.py' 'mark.integration' tests)

# As long as all others together.
FIRST = tests/analysis tests/load tests/sampling tests/store tests/experiments tests/recorder

.PHONY: demo test lint types unit unit-of-the-first unit-of-the-others integration bench docs web format clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "diagnose needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

demo: $(READY)
	$(BIN)/diagnose demo

# Processes that tests start should not compile the package anew each time.
export PYTHONDONTWRITEBYTECODE :=

test: lint types unit integration

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

# Two processes that each collect a half: xdist collects everything in each, and sends each result.
unit: $(READY)
	@$(MAKE) --no-print-directory -j 2 -O unit-of-the-first unit-of-the-others

unit-of-the-first:
	$(BIN)/python -m pytest -q $(FIRST) -m 'not integration'

unit-of-the-others:
	$(BIN)/python -m pytest -q --ignore tests/integration $(FIRST:%=--ignore %) -m 'not integration'

integration: $(READY)
	$(BIN)/python -m pytest -q -n 3 --dist loadfile $(INTEGRATION) -m 'integration and not alone'
	$(BIN)/python -m pytest -q $(INTEGRATION) -m 'integration and alone'

# Figures for the documentation: needs wrk, h2load, nginx, node, psrecord and a C compiler, and for the
# last one benchmarks/reference-requirements.txt installed. Profiles take what languages there are.
bench: $(READY)
	$(BIN)/python -m benchmarks.load
	$(BIN)/python -m benchmarks.latency
	$(BIN)/python -m benchmarks.scaling
	$(BIN)/python -m benchmarks.sampling
	$(BIN)/python -m benchmarks.profilers
	$(BIN)/python -m benchmarks.profilers --overhead
	$(BIN)/python -m benchmarks.reference

# The site below site/, from docs/ and the findings' advice pages.
docs: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/python -m mkdocs build --strict --quiet

# The libraries of the HTML report, bundled anew into the package: needs Node.js and npm.
web:
	cd web && npm ci --no-audit --no-fund && node build.mjs

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
