PYTHON ?= python3
BIN := .venv/bin
# Two processes; tests that share a pool or a cluster stay in one of them.
TWO := -n 2 --dist loadgroup
# Threads of one process that wait do not take the cores of the other.
test test-long docs: export OMP_WAIT_POLICY := passive

.PHONY: demo test test-long lint docs dist clean

demo: .venv/demo
	$(BIN)/python examples/lsrtm.py --output pictures
	$(BIN)/python examples/fwi.py --output pictures

test: WHICH := not long
test-long: WHICH := long
test test-long: .venv/test
	$(BIN)/pytest $(TWO) -m "$(WHICH)" tests/test_*.py
	$(BIN)/pytest $(TWO) -m "$(WHICH)" tests/adapters_torch
	$(BIN)/pytest $(TWO) -m "$(WHICH)" tests/adapters_keras
	$(BIN)/pytest $(TWO) -m "$(WHICH)" tests/adapters_jax

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

.venv/demo: setup.cfg constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[plot,io]'
	touch $@

.venv/test: .venv/demo
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[plot,io,test,torch,tensorflow,jax,examples]'
	touch $@

# The site, in docs/_build/html; the examples that did not change are not run again.
docs: .venv/docs
	$(BIN)/sphinx-build -W --keep-going -q -E docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html

.venv/docs: .venv/test
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

# A wheel, built from the sdist, that runs in an environment of its own, far from the clone.
dist:
	rm -rf dist build .dist
	$(PYTHON) -m venv .dist/build
	.dist/build/bin/pip install --quiet build
	.dist/build/bin/python -m build --outdir dist .
	$(PYTHON) -m venv .dist/fresh
	.dist/fresh/bin/pip install --quiet --constraint constraints.txt "$$(echo dist/seisops-*.whl)[plot]"
	cp examples/lsrtm.py .dist
	cd .dist && fresh/bin/python -m seisops && fresh/bin/python lsrtm.py --shots 2 --iterations 2 --cells 61 41

clean:
	rm -rf .venv .dist build dist *.egg-info pictures docs/_build docs/gallery docs/generated
