# Two commands need nothing set up by hand: `make run` and `make test`.
.RECIPEPREFIX = >
PYTHON ?= python3
CONFIG ?= hw_configs/lpddr4.yaml
VENV   ?= .venv
JOBS   ?= 2
BIN    := $(VENV)/bin

# Where the run of CONFIG lies: its name, and the hash of what it means.
RUN_FOLDER = $(BIN)/python -c "import nmsim.config as c; print('runs/' + c.folder_name(c.load_config('$(CONFIG)')))"

SWEEPS := sweep-buffer sweep-placement sweep-link sweep-memory sweep-keep-ratio

.PHONY: results run run-once plot report test versions lint verify audit constraints compare $(SWEEPS) pareto bench docs dist changelog clean

run: $(VENV)/.installed            ## set up, run the default board, say where the report is
> $(BIN)/nmsim run $(CONFIG)

run-once: $(VENV)/.installed       ## the same, unless the run stands there already
> test -e "$$($(RUN_FOLDER))/manifest.json" || $(BIN)/nmsim run $(CONFIG)

plot: run-once                     ## draw the figures of the run anew: PNG, SVG and CSV in its plots/
> run="$$($(RUN_FOLDER))" && $(BIN)/nmsim plot "$$run" --out "$$run/plots"

report: run-once                   ## write the report of the run anew
> $(BIN)/nmsim report "$$($(RUN_FOLDER))"

# Where both are asked for at once, the run comes first and once.
ifneq (,$(filter run,$(MAKECMDGOALS)))
run-once: run
endif

test: $(VENV)/.installed-dev       ## set up with the dev extra and pass the tests
> $(BIN)/python -m pytest -m "not slow" --numprocesses $(JOBS) --dist loadfile

# Those of pyenv are found without being on the path.
PYTHONS := $(subst $() ,:,$(wildcard $(HOME)/.pyenv/versions/*/bin))

versions: $(VENV)/.installed-versions   ## the tests on Python 3.10 to 3.13, as far as they are here; says which are absent
> PATH="$(PYTHONS):$$PATH" $(BIN)/tox run

lint: $(VENV)/.installed-dev       ## style, the layering of the modules, and types
> $(BIN)/ruff check . && $(BIN)/lint-imports --config setup.cfg && $(BIN)/mypy

# The slow and statistical checks, in parts that can be run alone: make verify-numbers. Each writes its figures into
# docs/explanation/reliability.md, and verify-model docs/explanation/calibration.md.
VERIFY_faults   := tests/verify/test_whole_faults.py tests/verify/test_sweep_kills.py
VERIFY_memory   := tests/verify/test_estimates.py tests/verify/test_trace_memory.py
VERIFY_input    := tests/hostile tests/verify/test_deep_fuzzing.py tests/verify/test_guided_fuzzing.py \
                   tests/verify/test_extreme_settings.py
VERIFY_numbers  := tests/verify/test_kernel_lanes.py tests/verify/test_thread_counts.py
VERIFY_packages := tests/verify/test_package.py tests/verify/test_lower_bounds.py
VERIFY_APART    := $(foreach part,faults memory input numbers packages,$(VERIFY_$(part)))
VERIFY_model     = tests $(addprefix --ignore=,$(VERIFY_APART))
VERIFY          := $(addprefix verify-,model faults memory input numbers packages)
.PHONY: $(VERIFY)

verify: $(VERIFY)                  ## all slow and statistical checks, part by part

$(VERIFY): verify-%: $(VENV)/.installed-dev   ## one part: model, faults, memory, input, numbers, packages
> $(BIN)/python -m pytest -m slow $(VERIFY_$*)

audit: $(VENV)/.installed-release  ## known weaknesses of the packages in constraints.txt; asks a service on the network
> $(BIN)/pip-audit --requirement constraints.txt

constraints: $(VENV)/.installed-dev   ## constraints.txt anew: the newest versions that work together
> $(BIN)/uv pip compile setup.cfg --extra dev --extra search --universal --python-version 3.10 \
>     --no-annotate --custom-compile-command "make constraints" --output-file constraints.txt --upgrade

compare: $(VENV)/.installed         ## methods over keep ratios, against random, on the default board
> $(BIN)/nmsim compare $(CONFIG) --out runs/compare

$(SWEEPS): sweep-%: $(VENV)/.installed   ## hw_configs/sweeps/*.yaml say what each one asks
> $(BIN)/nmsim sweep hw_configs/sweeps/$*.yaml --out runs/$@ --jobs $(JOBS)

pareto: $(VENV)/.installed          ## which buffers and placements of near-memory units are worth building
> $(BIN)/nmsim sweep hw_configs/sweeps/pareto.yaml --out runs/pareto --jobs $(JOBS)

results: $(VENV)/.installed         ## every method on real images, NMSIM_DATA=FOLDER; writes docs/results/selection.md
> $(BIN)/python benchmarks/selection_results.py $(NMSIM_DATA)

bench: $(VENV)/.installed-dev      ## timings, as ratios to something measured in the same run
> for b in benchmarks/[a-z]*.py; do echo "== $$b"; $(BIN)/python $$b || exit 1; done

docs: $(VENV)/.installed-docs      ## fill the tables of the reference, build the site into build/site; any broken link fails
> $(BIN)/python tests/docs/reference_tables.py
> NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build

dist: $(VENV)/.installed-release   ## source archive and wheel into dist/, checked
> rm -rf dist && $(BIN)/python -m build && $(BIN)/twine check --strict dist/*

changelog: $(VENV)/.installed-release   ## VERSION=1.2.3: the fragments of changes/ become its bullets in CHANGELOG.md
> $(BIN)/towncrier build --yes --version $(VERSION)

clean:                             ## remove what the commands above made, but not runs/
> rm -rf $(VENV) .tox build dist *.egg-info && find . -name __pycache__ -type d -prune -exec rm -rf {} +

# By a path, not by a hook: Python finds nmsim then also where it is started beside the checkout, itself named nmsim.
EDITABLE := --config-settings editable_mode=compat

$(VENV)/bin/python:
> $(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.cfg pyproject.toml | $(VENV)/bin/python
> @echo 'installing nmsim and the packages that it needs into $(VENV) …'
> $(BIN)/python -m pip install --quiet $(EDITABLE) --editable . && touch $@

$(VENV)/.installed-dev: setup.cfg pyproject.toml | $(VENV)/bin/python
> @echo 'installing nmsim and the packages that its tests need into $(VENV) …'
> $(BIN)/python -m pip install --quiet $(EDITABLE) --editable '.[dev]' && touch $@ $(VENV)/.installed

$(VENV)/.installed-versions: setup.cfg pyproject.toml | $(VENV)/bin/python
> $(BIN)/python -m pip install --quiet $(EDITABLE) --editable '.[versions]' && touch $@ $(VENV)/.installed

$(VENV)/.installed-release: setup.cfg pyproject.toml | $(VENV)/bin/python
> $(BIN)/python -m pip install --quiet $(EDITABLE) --editable '.[release]' && touch $@ $(VENV)/.installed

$(VENV)/.installed-docs: setup.cfg pyproject.toml | $(VENV)/bin/python
> $(BIN)/python -m pip install --quiet $(EDITABLE) --editable '.[docs]' && touch $@ $(VENV)/.installed
