# One command each, on a machine with nothing but Python 3.11 or newer:
#   make run     serve on http://127.0.0.1:8501
#   make test    run every test
# Variables: PYTHON=python3.12 (which Python), VENV=folder, ARGS="..." (for streamlit or pytest),
# TORCH_INDEX=address (where torch comes from instead, such as PyTorch's index of CPU builds).

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: run test check lint types format readme clean

run: $(VENV)/.run
	$(BIN)/streamlit run app/main.py $(ARGS)

test: $(VENV)/.test $(VENV)/.browser
	$(BIN)/python -m pytest $(ARGS)

# What continuous integration runs.
check: lint types test

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.test
	$(BIN)/mypy

format: $(VENV)/.test
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

# Write the README's tables again, from the code.
readme: $(VENV)/.run
	$(BIN)/python -m app.readme

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The files below say what is installed; a change of the requirements makes them out of date.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("Foolscope needs Python 3.11 or newer, and $(PYTHON) is %d.%d: say make PYTHON=python3.12, for example." % v[:2])'
	@$(PYTHON) -c 'import ensurepip, venv' || { echo "$(PYTHON) cannot make environments; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.txt | $(BIN)/python
	$(if $(TORCH_INDEX),$(PIP) install --index-url $(TORCH_INDEX) $$(grep '^torch' requirements.txt))
	$(PIP) install -r requirements.txt
	@touch $@

$(VENV)/.test: requirements-dev.txt $(VENV)/.run
	$(PIP) install -r requirements-dev.txt
	@touch $@

# The system's Chromium will do; only without one is Playwright asked to download its own.
$(VENV)/.browser: $(VENV)/.test
	@if [ -n "$$FOOLSCOPE_CHROMIUM" ] || command -v chromium || command -v chromium-browser; \
	then touch $@; \
	else $(BIN)/playwright install chromium && touch $@ || \
	echo "Without Chromium the browser's tests are skipped; on Debian: apt-get install chromium"; fi
