# Two commands for a fresh machine (Python 3.11+ and make): `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
# Tests that measure want the cores for themselves; all others run side by side.
ALONE := tests/session tests/observe/test_observe_truth.py \
	tests/standin/test_standin_findings.py tests/standin/test_standin_profiled.py

.PHONY: demo test test-sglang check compose-check format bench clean

demo: .venv/runtime.done ## set up everything and run the main job on the embedded stand-in server
	$(BIN)/mmload run --variant optimized --rate 50 --duration 10s --warmup 2s --profile-duration 5s

test: .venv/dev.done ## every test: unit, property, golden, and live ones with real processes
	$(BIN)/python -m pytest -n auto --maxprocesses 4 $(ALONE:%=--ignore=%)
	$(BIN)/python -m pytest $(ALONE)

test-sglang: .venv/dev.done ## every variant inside real SGLang, on the CPU: sets that up once (1.4 GB)
	$(BIN)/mmload engine setup sglang-cpu
	$(BIN)/python -m pytest -m sglang tests/sglang

check: .venv/dev.done ## lint, types and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

compose-check: .venv/dev.done ## docker-compose.yml: valid, and what mmload serve would run
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	$(BIN)/python tools/compose_check.py

format: .venv/dev.done
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/runtime.done: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/dev.done: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch .venv/runtime.done $@

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
