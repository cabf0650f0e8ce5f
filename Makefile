# The commands of README.md. `make demo` and `make test` work on a fresh clone.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SWEEP ?= demo
PORT ?= 3000
MATERIALIZE := $(BIN)/dg launch --assets
DEMO_JOBS ?= 2
PYTEST_WORKERS ?= 2
LEROBOT := .lerobot
LEROBOT_PYTHON ?= python3.12

# One torch thread a process: on small machines two are slower than one.
export OMP_NUM_THREADS ?= 1
# Bytecode is kept, since demo and tests start many processes; it is made where a module is first
# imported, which most of those installed never are.
export PYTHONDONTWRITEBYTECODE :=
# `dg` says so where it is another environment's.
export VIRTUAL_ENV := $(CURDIR)/$(VENV)

# LeRobot itself writes datasets for some tests; they are skipped where it is not there.
export GR00T_ASSETS_LEROBOT_PYTHON ?= $(wildcard $(LEROBOT)/bin/python)

.PHONY: install demo test test-faults test-cluster test-full-size gpu-check lerobot check docs format dev benchmarks clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else f"Python 3.11 to 3.13 is needed, {sys.executable} is {v[0]}.{v[1]}: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

# `dg` asks the instance alone whether it may send telemetry.
demo check: export DAGSTER_HOME ?= $(CURDIR)

# Dataset, modality config, frame cache, every experiment, its rollouts, the comparison of one sweep.
# One call cannot mix partition definitions, so each partition is a call of its own; DEMO_JOBS
# experiments are trained side by side. What was killed goes on where it was when it is run again.
# With the sweeps and datasets of data/examples: make demo SWEEP=pick-n-place.
demo: export GR00T_ASSETS_EXAMPLES ?= 1
demo: install
	@set -e; \
	datasets=$$($(BIN)/gr00t-assets sweep plan $(SWEEP) --list datasets); \
	trainers=$$($(BIN)/gr00t-assets sweep plan $(SWEEP) --list trainers); \
	experiments=$$($(BIN)/gr00t-assets sweep plan $(SWEEP) --list experiments); \
	for trainer in $$trainers; do \
	  $(MATERIALIZE) training_environment --partition $$trainer; \
	done; \
	for dataset in $$datasets; do \
	  $(MATERIALIZE) dataset,modality_config,frame_cache --partition $$dataset; \
	done; \
	printf '%s\n' $$experiments | GR00T_ASSETS_CPU_SLOTS=$(DEMO_JOBS) xargs -P $(DEMO_JOBS) -n 1 \
	  $(MATERIALIZE) checkpoint,open_loop_evaluation,rollouts --partition; \
	$(MATERIALIZE) loss_comparison,research_journal; \
	$(BIN)/gr00t-assets compare --sweep $(SWEEP)

test: install
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal

# Real daemons, kills, a power cut, a soak, secrets in a whole chain: some twenty minutes.
test-faults: install
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) -m faults

# A real Slurm and Ray that lose jobs and nodes, two daemons, a deployment: half an hour, one at a time.
test-cluster: install
	$(BIN)/python -m pytest -m cluster

# The 2.4 billion parameters on a CPU: 18 GB of free memory, some minutes.
test-full-size: install
	$(BIN)/python -m pytest -s -m full_size gr00t_assets_tests/trainers/native/test_full_size.py

# Everything that needs a GPU, in less than nine minutes and without a network: figures and a table.
gpu-check: install
	$(BIN)/python -m benchmarks.gpu_check

# LeRobot needs another torch than ours, so it has an environment of its own.
lerobot: $(LEROBOT)/.installed

$(LEROBOT)/.installed:
	$(LEROBOT_PYTHON) -m venv $(LEROBOT)
	$(LEROBOT)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check 'lerobot[dataset]==0.6.1'
	@touch $@

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports --no-cache
	$(BIN)/dg check toml
	$(BIN)/dg check defs
	$(BIN)/dg list defs > /dev/null

# The pages and the API reference, in build/docs; a warning is an error.
docs: install
	$(BIN)/python docs/field_tables.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The page behind its guard, and the daemon that works off the run queue: http://127.0.0.1:$(PORT)
dev: install
	DAGSTER_HOME="$${DAGSTER_HOME:-$(CURDIR)}" $(BIN)/gr00t-assets dev --port $(PORT)

benchmarks: install
	@set -e; for file in $(filter-out benchmarks/gpu_check% benchmarks/full_size.py,$(wildcard benchmarks/*.py)); do \
	  $(BIN)/python $$file; \
	done

clean:
	rm -rf $(VENV) $(LEROBOT) build *.egg-info
