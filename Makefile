PYTHON ?= python3
BIN := .venv/bin
# Two processes; tests that share a pool or a cluster stay in one of them.
TWO := -n 2 --dist loadgroup

.PHONY: demo test lint clean

demo: .venv/demo
	$(BIN)/python examples/lsrtm.py --output pictures
	$(BIN)/python examples/fwi.py --output pictures

test: .venv/test
	$(BIN)/pytest $(TWO) tests/test_*.py
	$(BIN)/pytest $(TWO) tests/adapters_torch
	$(BIN)/pytest $(TWO) tests/adapters_keras

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

.venv/demo: setup.cfg constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[plot,io]'
	touch $@

.venv/test: .venv/demo
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[plot,io,test,torch,keras,examples]'
	touch $@

clean:
	rm -rf .venv build *.egg-info pictures
