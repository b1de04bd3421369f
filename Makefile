# Two commands need nothing set up by hand: `make run` and `make test`.
.RECIPEPREFIX = >
PYTHON ?= python3
CONFIG ?= hw_configs/lpddr4.yaml
VENV   ?= .venv
JOBS   ?= 2
BIN    := $(VENV)/bin

.PHONY: run test lint verify compare bench clean

run: $(VENV)/.installed            ## set up, run the default board, say where the report is
> $(BIN)/nmsim run $(CONFIG)

test: $(VENV)/.installed-dev       ## set up with the dev extra and pass the tests
> $(BIN)/python -m pytest -m "not slow" --numprocesses $(JOBS) --dist loadfile

lint: $(VENV)/.installed-dev       ## style, and the layering of the modules
> $(BIN)/ruff check . && $(BIN)/lint-imports --config setup.cfg

verify: $(VENV)/.installed-dev     ## slow and statistical checks; writes docs/explanation/calibration.md anew
> $(BIN)/python -m pytest -m slow

compare: $(VENV)/.installed         ## methods over keep ratios, against random, on the default board
> $(BIN)/nmsim compare $(CONFIG) --out runs/compare

bench: $(VENV)/.installed-dev      ## timings, as ratios to something measured in the same run
> for b in benchmarks/[a-z]*.py; do echo "== $$b"; $(BIN)/python $$b || exit 1; done

clean:                             ## remove what the commands above made, but not runs/
> rm -rf $(VENV) build *.egg-info && find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
> $(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.cfg pyproject.toml | $(VENV)/bin/python
> $(BIN)/python -m pip install --quiet --editable . && touch $@

$(VENV)/.installed-dev: setup.cfg pyproject.toml | $(VENV)/bin/python
> $(BIN)/python -m pip install --quiet --editable '.[dev]' && touch $@ $(VENV)/.installed
