# Set-up, demonstration and tests. Needs Linux, python3 (3.11 or later), g++, make, perl and git; the rest comes from
# the Python package index, in the versions of constraints.txt.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: venv demo test long-test benchmark lint constraints clean

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "$(PYTHON) is older than 3.11: name another one, make PYTHON=python3.12" >&2; exit 2; }
	@for tool in g++ perl git; do command -v $$tool > /dev/null || \
	    { echo "$$tool is missing: install it from your distribution (apt install g++ make perl git)" >&2; exit 2; }; done
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[dev]'
	@touch $@

# the whole path on the real network; data sets and results are named on the way
demo: $(STAMP)
	$(BIN)/flow build --model resnet8 --bits 4

test: $(STAMP)
	$(BIN)/python -m pytest

# everything: hours on two cores
long-test: $(STAMP)
	$(BIN)/python -m pytest -m "long or not long"

# LUT per MAC, cycles a frame, images a second, build time: what got better or worse
benchmark: $(STAMP)
	$(BIN)/python -m flow.benchmark

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# after a deliberate change of versions
constraints: $(STAMP)
	{ echo "# Every package of a tested set-up, in its version: pip install -c constraints.txt"; \
	  echo "# Written by 'make constraints'."; \
	  $(BIN)/python -m pip freeze --exclude-editable; } > constraints.txt
	@touch $(STAMP)

clean:
	rm -rf build dist runs .pytest_cache .hypothesis .ruff_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -print | xargs rm -rf
