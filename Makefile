# The whole interface: demo, test, lint, bench, dev. Each fetches uv when it is not there and needs nothing
# but Python (3.11 to 3.13) and make.
.PHONY: demo test test-all lint format bench dev clean

PYTHON ?= python3
UV := $(or $(shell command -v uv 2>/dev/null),.tools/bin/uv)
RUN := $(UV) run --frozen
# A file's tests stay together, so that what they share is built once.
PYTEST := $(RUN) pytest --numprocesses auto --maxprocesses 4 --dist loadfile

# Nothing phones home, whichever command runs.
export DO_NOT_TRACK = 1
export DBT_SEND_ANONYMOUS_USAGE_STATS = false
export GX_ANALYTICS_ENABLED = false

demo: .venv/ready  ## the main job on the embedded default, from contribution to insight
	@$(RUN) glasshouse demo

test: .venv/ready  ## the tests (below 10 minutes on 2 cores)
	$(PYTEST) -m "not slow"

test-all: .venv/ready  ## the slow tests too
	$(PYTEST)

lint: .venv/ready
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) mypy

format: .venv/ready
	$(RUN) ruff check --fix .
	$(RUN) ruff format .

bench: .venv/ready  ## speed and memory as ratios, to benchmarks/results/
	$(RUN) python -m benchmarks

dev: .venv/ready  ## Dagster's UI and daemon on http://127.0.0.1:3000
	@$(RUN) glasshouse dev --trial

.venv/ready: pyproject.toml uv.lock | $(if $(findstring /,$(filter .tools%,$(UV))),.tools/bin/uv)
	$(UV) sync --frozen --compile-bytecode --quiet
	@touch $@

.tools/bin/uv:
	$(PYTHON) -m venv .tools
	.tools/bin/pip install --quiet --disable-pip-version-check "uv>=0.8"

clean:
	rm -rf .venv .tools .glasshouse .pytest_cache .mypy_cache .ruff_cache
