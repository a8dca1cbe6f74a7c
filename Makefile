# make quickstart   train, score and use a small recogniser in minutes, with nothing to download but packages
# make test         run the tests
# make coverage     run the tests and measure how much of the package they run, with a lowest share
# make test-slow    run the tests on real speech and of long runs too (needs ../shared)
# make docs         build the guide and the API reference into docs/site, with nothing to download but packages
# make setup        create .venv with all that the other targets need; each of them calls it
# make help         print this list
#
# TORCH is any requirement that pip understands, so it chooses the CPU or a CUDA build:
#   make quickstart TORCH="torch==2.13.0 --index-url <the index that pytorch.org names for your machine>"

PYTHON ?= python3
TORCH ?= torch==2.13.0
RUN := .venv/bin

.PHONY: quickstart test coverage test-slow docs setup help
quickstart: .venv/ready
	$(RUN)/accelerate launch --config_file recipes/accelerate/cpu.yaml recipes/finetune.py recipes/configs/quickstart.yaml

test: .venv/ready
	$(RUN)/pytest

coverage: .venv/ready
	$(RUN)/pytest --cov --cov-report=term:skip-covered

test-slow: .venv/ready
	$(RUN)/pip install --quiet --editable ".[dev,slow]"  # together, so that pip finds versions that agree
	$(RUN)/pytest -m "slow or not slow"

docs: .venv/ready
	TQDM_DISABLE=1 NO_MKDOCS_2_WARNING=1 $(RUN)/mkdocs build --strict --config-file docs/mkdocs.yml

setup: .venv/ready

help:
	@sed -n 's/^# make /make /p' $(firstword $(MAKEFILE_LIST))

# torch comes first, by itself: as a dependency of another package its build could not be chosen
.venv/ready: setup.cfg pyproject.toml
	$(PYTHON) -c "import sys; assert (3, 11) <= sys.version_info < (3, 14), 'Python 3.11 to 3.13 is needed'"
	$(PYTHON) -m venv .venv
	$(RUN)/pip install --quiet $(TORCH)
	$(RUN)/pip install --quiet --editable ".[dev]"
	touch $@
