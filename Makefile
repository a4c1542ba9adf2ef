# The commands of docs/contract: setup, demo, test, check, test-long, bench; and mutants. Everything happens in .venv.
PYTHON ?= python3
PY := .venv/bin/python
RUN_LOCK := requirements/run.txt requirements/build.txt
DEV_LOCK := requirements/dev.txt
SPARK_LOCK := requirements/spark.txt
BENCH_LOCK := requirements/bench.txt

.PHONY: setup demo test check test-long bench mutants format clean
.DELETE_ON_ERROR:

.venv/.run: $(RUN_LOCK) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "Setting up .venv (once; one to two minutes) ..."
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt -r requirements/run.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# pyspark is built here, with what requirements/build.txt has installed and nothing fetched beside it.
.venv/.dev: .venv/.run $(DEV_LOCK) $(SPARK_LOCK)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(DEV_LOCK)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-build-isolation -r $(SPARK_LOCK)
	@touch $@

.venv/.bench: .venv/.run $(BENCH_LOCK)
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(BENCH_LOCK)
	@touch $@

setup: .venv/.run

demo: .venv/.run
	@.venv/bin/portal demo $(if $(ONCE),--once) $(if $(PORT),--port $(PORT)) $(if $(RECORDS),--records $(RECORDS))

test: .venv/.dev
	@tests/needs.sh
	$(PY) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-long: .venv/.dev
	@tests/needs.sh
	$(PY) -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --long

bench: .venv/.bench
	$(PY) -m bench $(if $(ONLY),--only $(ONLY)) $(if $(SCALE),--scale $(SCALE))

check: .venv/.dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PY) tests/architecture/dead_links.py

mutants: .venv/.dev .venv/.bench
	SAMPLE=$(SAMPLE) SEED=$(SEED) $(PY) tests/mutants.py $(ONLY)

format: .venv/.dev
	.venv/bin/ruff check --fix-only .
	.venv/bin/ruff format .

clean:
	rm -rf .venv var dist
