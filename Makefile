# `make demo` shows the paper in miniature, `make quick` runs the checks that take about a minute,
# `make test` runs every check, and `make gpu-check` tells in ten minutes what a GPU is worth. Each
# installs .venv first when it is missing or out of date. The demo trains one network on each GPU, or
# on each CPU core; after Ctrl-C, the same command carries on.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: demo lint style types quick test suite gpu-check lock

demo: .venv/installed
	[ -e .git ] || dvc config --local core.no_scm true
	python -m capsnet.parallel_repro demo/dvc.yaml
	@python -m capsnet.report table --profile demo
	@cat demo/next.txt

lint: style types

style: .venv/installed
	ruff format --check .
	ruff check .
	codespell

types: .venv/installed
	basedpyright

# Without the tests marked `slow`; says which of the others took a second or more.
quick: lint
	pytest --numprocesses auto --dist loadfile --no-loadscope-reorder -m "not slow" --durations 10 --durations-min 1

# Types beside the tests: alone, the type checker would keep one core busy and the others idle.
test: style
	@$(MAKE) --no-print-directory --jobs 2 types suite

suite: .venv/installed
	pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

gpu-check: .venv/installed
	@python -m capsnet.gpu_check

# Exactly the packages of requirements.lock, checked by hash, and this project in editable form.
.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv .venv
	pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# After a change of the dependencies in pyproject.toml; needs uv.
lock:
	uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --no-header --output-file requirements.lock
