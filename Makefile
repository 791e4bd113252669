# One command each, on a machine with nothing but Python 3.11 or newer (without make: python start.py run):
#   make run     serve on http://127.0.0.1:8501
#   make room    serve the network that this machine is in, for phones, and open a room for a class
#   make serve   serve replicas of the engine under Ray Serve, for pages with FOOLSCOPE_ENGINE=ray
#   make test    run every test
# Variables: PYTHON=python3.12 (which Python), VENV=folder, ARGS="..." (for streamlit, serve or pytest), LOCKED=1
# (the releases of requirements.lock), TORCH_INDEX=address (where torch comes from instead).

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export VENV LOCKED TORCH_INDEX

.PHONY: run room serve test install check lint types format docs house translations clean

run:
	$(PYTHON) start.py run $(ARGS)

room:
	$(PYTHON) start.py room $(ARGS)

serve:
	$(PYTHON) start.py serve $(ARGS)

test:
	$(PYTHON) start.py test $(ARGS)

install:
	$(PYTHON) start.py install-test

# What continuous integration runs.
check: lint types test

lint: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

# Write the tables of the documents again, from the code.
docs: install
	$(BIN)/python -m app docs

# Count what keeps the code readable: lengths, string subscripts, late imports, untyped signatures.
house: install
	$(BIN)/python -m bench.house

# List the phrases that are in English only.
translations: install
	$(BIN)/python -m bench.translations

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
