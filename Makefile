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
	FOOLSCOPE_CHROMIUM="$${FOOLSCOPE_CHROMIUM:-$$(cat $(VENV)/.browser 2>/dev/null)}" OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile $(ARGS)

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

# Where the browser is: the system's Chromium, and only without one Playwright's own download.
OWN_CHROMIUM := from playwright.sync_api import sync_playwright as p; print(p().start().chromium.executable_path)
$(VENV)/.browser: $(VENV)/.test
	@found=$$(command -v chromium || command -v chromium-browser || command -v google-chrome); \
	if [ -z "$$found" ] && $(BIN)/playwright install chromium; then found=$$($(BIN)/python -c '$(OWN_CHROMIUM)'); fi; \
	if [ -n "$$found" ]; then echo "$$found" > $@; \
	else echo "Without Chromium the browser's tests are skipped; on Debian: apt-get install chromium"; fi
