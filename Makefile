# `make demo` and `make test` need Python 3.11 or later, git and make; nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo incident test thorough check bench clean env
.DEFAULT_GOAL := test

env: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("TicketOps needs Python 3.11 or later, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@echo "making the environment in $(VENV), once: half a minute and a download"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

demo: $(READY)
	@$(BIN)/ticketops demo

incident: $(READY)
	@$(BIN)/ticketops demo --incident

test: $(READY)
	$(BIN)/python -m pytest -n 4 --dist loadgroup

# `make test` tries the same examples of each property every time; this looks for new ones, and more of them.
thorough: $(READY)
	$(BIN)/python -m pytest -n 4 --dist loadgroup --hypothesis-profile thorough

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(READY)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis benchmarks/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
