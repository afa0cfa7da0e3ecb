# The first command on a fresh machine may be any of these; each sets up what it needs in .venv and is quick the
# second time. Needs Python >= 3.11 and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo test check clean
help:
	@echo "make demo    read a sample photo and a sample clip; writes demo/"
	@echo "make test    run all tests"
	@echo "make check   style, types and import rules between the packages"
	@echo "make clean   delete the virtual environment and what the tools leave behind"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# What reading needs, and no more: `pip install '.[tables]'`. The sample photo ships with scikit-image, which is unpacked
# beside it.
$(VENV)/base.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing mien into $(VENV) …"
	@$(PIP) --editable ".[tables]"
	@$(PIP) --no-deps --upgrade --target $(VENV)/sample "scikit-image>=0.24"
	@touch $@

$(VENV)/dev.stamp: $(VENV)/base.stamp
	@echo "Installing what training, tests and checks need (PyTorch among it) …"
	@$(PIP) --editable ".[dev]"
	@touch $@

demo: $(VENV)/base.stamp
	@$(BIN)/python examples/demo.py

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

check: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
