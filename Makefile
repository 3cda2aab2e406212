# Every target makes the virtual environment that it needs, with Python >= 3.11, pip and make at hand.
#
#   make demo        priors, MAP and posteriors on real digits: a table and a picture
#   make test        the tests, on one backend: BACKEND=tensorflow (default), jax or torch
#                    (JAX runs slow ones against closed forms too); JOBS=4 in four processes
#   make test-all    the same and the slow ones (long fits, many draws, fresh processes)
#   make test-lowest   a part of them, with the lowest versions that pyproject.toml promises
#   make test-newest   the same with the newest, on Python 3.12 or newer, where there is one
#   make lint        ruff and mypy
#   make format      ruff, mending what it can, the `__init__` of every room, the stubs of the twins
#   make notebooks   executes notebooks/*.py and writes the rendered .ipynb beside them
#   make docs        builds the documentation into build/site; a warning fails
#   make bench       runs the benchmarks, which print JSON
#   make clean       removes the caches; make distclean the virtual environment too

BACKEND ?= tensorflow
VENV ?= .venv
PYTHON ?= $(shell for p in python3.11 python3 python; do \
	if $$p -c '' >/dev/null 2>&1; then echo $$p; exit; fi; done; echo python3)
# What `BACKEND=torch` installs. On Linux the default index of pip serves builds with several GB of
# CUDA: to have the CPU build there, let pip's configuration name an index or a folder that holds it.
TORCH ?= torch==2.13.0
# More arguments for pytest, for the demo, and the scripts that `make bench` runs.
PYTEST_ARGS ?=
# How many processes of pytest run at a time, each with a part of the files.
JOBS ?= 1
DEMO_ARGS ?=
# Those of hours want the file that their results go to, and that for a GPU wants one: by hand.
BENCHMARKS ?= $(filter-out benchmarks/_% benchmarks/uci.py benchmarks/simulated_coverage.py benchmarks/gpu.py benchmarks/scaling.py,\
	$(wildcard benchmarks/*.py))
# What runs with the lowest and the newest versions, whose own deprecations are no errors here.
EXTREME_TESTS ?= tests/utils tests/layers/test_kl_in_loss.py tests/models/test_conversion.py \
	tests/models/test_set_priors.py tests/priors/test_saving.py tests/callbacks tests/inference/test_methods.py
# Keras is the same under both: under JAX what compiles, differentiates and draws; and what leans on
# ArviZ, which is 1 with the newest, and on PyMC, which is 6 there and not with the lowest.
EXTREME_TESTS_JAX ?= tests/utils tests/layers/test_kl_in_loss.py tests/callbacks/test_collect_draws.py \
	tests/inference/test_methods.py tests/inference/test_posterior.py tests/inference/test_mixing.py \
	tests/inference/test_compare.py tests/inference/test_other_samplers.py tests/inference/mcmc/test_nuts.py \
	tests/bridges/test_pymc.py
EXTREME_TOOLS := pytest scikit-learn tensorboard
OLD_AND_NEW := -q -W ignore::DeprecationWarning -W ignore::FutureWarning -W ignore::ImportWarning
# TensorFlow has no wheel for Python 3.14 yet.
NEWER ?= $(shell for p in python3.13 python3.12 $(wildcard $(HOME)/.pyenv/versions/3.1[23].*/bin/python); do \
	if $$p -c '' >/dev/null 2>&1; then echo $$p; exit; fi; done; echo python3.12)
# Where the executed notebooks go.
NOTEBOOK_DIR ?= notebooks
NOTEBOOKS ?= $(wildcard notebooks/*.py)

PY := $(VENV)/bin/python
STAMPS := $(VENV)/.stamps
QUIET := TF_CPP_MIN_LOG_LEVEL=3
# The slow tests against closed forms run where they are quickest.
MARKED = not slow$(if $(filter jax,$(BACKEND)), or closed_form)

ifeq ($(filter $(BACKEND),tensorflow jax torch),)
$(error BACKEND must be tensorflow, jax or torch. Received: BACKEND=$(BACKEND))
endif
# TensorFlow is a dependency of the package; each of the three is an extra of the same name too.
BACKEND_STAMP := $(if $(filter $(BACKEND),jax torch),$(STAMPS)/$(BACKEND))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo install install-tools test test-all test-lowest test-newest extreme lint format notebooks docs bench clean distclean

help:
	@sed -n 's/^#   make/  make/p' Makefile

demo: $(STAMPS)/demo $(BACKEND_STAMP)
	$(QUIET) KERAS_BACKEND=$(BACKEND) $(PY) -m keras_priors.demo $(DEMO_ARGS)

test: $(BACKEND_STAMP) $(STAMPS)/test
	KERAS_BACKEND=$(BACKEND) $(PY) tools/run_tests.py --jobs $(JOBS) -m "$(MARKED)" $(PYTEST_ARGS)

# Only the environment of `make test`; two of these must not run at once.
install: $(BACKEND_STAMP) $(STAMPS)/test

# Those of `make notebooks`, `make docs` and `make lint`.
install-tools: $(STAMPS)/docs $(STAMPS)/dev

test-all: $(BACKEND_STAMP) $(STAMPS)/test
	KERAS_BACKEND=$(BACKEND) $(PY) tools/run_tests.py --jobs $(JOBS) $(PYTEST_ARGS)

# The parts that lean on what Keras, NumPy and the backends do, in environments of their own.
test-lowest:
	@$(MAKE) --no-print-directory VENV=.venv-lowest EXTREME=lowest extreme

test-newest:
	@if $(NEWER) -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then \
		$(MAKE) --no-print-directory VENV=.venv-newest PYTHON=$(NEWER) EXTREME=newest extreme; \
	else echo "left out: no Python 3.12 or newer is installed here (NEWER=$(NEWER))"; fi

extreme: $(STAMPS)/$(EXTREME)
	@$(PY) -m pip list 2>/dev/null | grep -iE '^(keras|numpy|scipy|jax|tensorflow|tensorflow-probability|arviz|pymc) '
	$(QUIET) KERAS_BACKEND=tensorflow $(PY) -m pytest -m "not slow" $(OLD_AND_NEW) $(EXTREME_TESTS)
	$(QUIET) KERAS_BACKEND=jax $(PY) -m pytest -m "not slow" $(OLD_AND_NEW) $(EXTREME_TESTS_JAX)

$(VENV)/.stamps/lowest: pyproject.toml tools/lowest_versions.py | $(STAMPS)/venv
	$(PY) tools/lowest_versions.py >$(STAMPS)/constraints.txt
	$(PY) -m pip install --quiet --constraint $(STAMPS)/constraints.txt --editable ".[jax,arviz,plots]" $(EXTREME_TOOLS)
	@touch $@

$(VENV)/.stamps/newest: pyproject.toml | $(STAMPS)/venv
	$(PY) -m pip install --quiet --upgrade --upgrade-strategy eager --editable ".[jax,arviz,pymc,plots]" $(EXTREME_TOOLS)
	@touch $@

lint: $(STAMPS)/dev
	$(PY) tools/write_doors.py --check
	$(QUIET) $(PY) tools/write_signatures.py --check
	$(PY) tools/benchmark_page.py --check
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m mypy --cache-dir .mypy_cache/twins $(patsubst %.pyi,%.py,$(wildcard keras_priors/*/*.pyi))

format: $(STAMPS)/dev
	$(PY) tools/write_doors.py
	$(QUIET) $(PY) tools/write_signatures.py
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

notebooks: $(STAMPS)/docs $(BACKEND_STAMP)
	$(QUIET) KERAS_BACKEND=$(BACKEND) $(PY) tools/render_notebooks.py --out "$(NOTEBOOK_DIR)" $(NOTEBOOKS)

# Its theme says at each build that another program will succeed MkDocs.
docs: $(STAMPS)/docs $(BACKEND_STAMP)
	$(QUIET) KERAS_BACKEND=$(BACKEND) NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build

bench: $(STAMPS)/demo $(BACKEND_STAMP)
	@set -e; for script in $(BENCHMARKS); do \
		echo "# $$script, KERAS_BACKEND=$(BACKEND)" >&2; \
		$(QUIET) KERAS_BACKEND=$(BACKEND) $(PY) $$script; \
	done

clean:
	rm -rf build dist .jax_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './.venv*/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) .venv-lowest .venv-newest

# One stamp an extra of pyproject.toml: written when pip is done, out of date when pyproject.toml
# changes. An environment that is already there is kept and added to.
$(STAMPS)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "keras_priors needs Python 3.11 or newer. Received: PYTHON=$(PYTHON)," \
			"$$($(PYTHON) --version 2>&1 | head -n 1). Give one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PY) -m pip --version >/dev/null 2>&1 || { \
		echo "Making the virtual environment $(VENV)"; $(PYTHON) -m venv --clear $(VENV); }
	@mkdir -p $(STAMPS) && touch $@

# Before anything that requires `torch`, so that pip finds the chosen build in place.
$(STAMPS)/torch: pyproject.toml | $(STAMPS)/venv
	$(PY) -m pip install --quiet "$(TORCH)"
	$(PY) -m pip install --quiet --editable ".[torch]"
	@touch $@

$(STAMPS)/%: pyproject.toml | $(STAMPS)/venv
	$(PY) -m pip install --quiet --editable ".[$*]"
	@touch $@
