# Two commands for a fresh machine (Python 3.11+ and make): `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check format bench clean

demo: .venv/runtime.done ## set up everything and run the main job on the embedded stand-in server
	$(BIN)/mmload run --variant optimized --rate 50 --duration 10s --warmup 2s --profile-duration 5s

test: .venv/dev.done ## every test: unit, property, golden, and live ones with real processes
	$(BIN)/python -m pytest

check: .venv/dev.done ## lint, types and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

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
