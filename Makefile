# Two commands for a fresh machine (Python 3.11+ and make): `make demo` and `make test`.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test browser test-sglang check compose-check format bench clean

demo: .venv/runtime.done ## set up everything and run the main job on the embedded stand-in server
	$(BIN)/mmload run --variant optimized --rate 50 --duration 10s --warmup 2s --profile-duration 5s

# Side by side, then one by one those that want the cores, or a browser, for themselves.
test: .venv/dev.done ## every test: unit, property, golden, in a browser, and live ones with real processes
	$(BIN)/python -m pytest -n 4 -m "not alone and not browser and not sglang"
	$(BIN)/python -m pytest -m "(alone or browser) and not sglang"

# Without one, the tests of pages are skipped.
browser: ## Debian's Chromium, where there is no browser and it can be installed
	@command -v chromium || command -v chromium-browser || command -v google-chrome || \
	{ [ "$$(id -u)" = 0 ] && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq chromium; } || \
	echo "No browser, and none can be installed here: the tests of pages will be skipped."

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
