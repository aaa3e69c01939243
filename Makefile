# Everything below works on a fresh machine with Python 3.11 or later and the package registries.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TEST_STAMP := $(VENV)/.installed-tests
NODE_STAMP := .tools/.installed
# All at once: npm takes away what is not named. Anvil is a chain; the others are clients of chains.
NODE_PACKAGES := @foundry-rs/anvil@1.7.1 ethers@6.17.0 viem@2.57.20

.PHONY: demo test test-tools bench soak mutants lint format vectors clean

demo: $(STAMP)  ## A neighbourhood's day: run, audit, summary, report
	$(BIN)/commonwatt demo

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	touch $@

$(TEST_STAMP): pyproject.toml $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check "pip>=25.1"
	$(BIN)/pip install --quiet --disable-pip-version-check --group dev
	touch $@

test-tools: $(TEST_STAMP) $(NODE_STAMP)
	sh tools/install-test-packages.sh

$(NODE_STAMP): Makefile
	@if command -v npm >/dev/null; then \
	  npm install --silent --no-audit --no-fund --no-save --prefix .tools $(NODE_PACKAGES) \
	    >/dev/null && touch $@; \
	else echo "npm is missing: the tests against Anvil and with clients will be skipped"; fi

test: test-tools lint  ## All tests, with what they need
	$(BIN)/python -m pytest -n 2 --dist loadgroup

lint: $(TEST_STAMP)
	$(BIN)/ruff format --check src tests tools bench
	$(BIN)/ruff check src tests tools bench
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_dependencies.py

format: $(TEST_STAMP)
	$(BIN)/ruff format src tests tools bench
	$(BIN)/ruff check --fix src tests tools bench

bench: $(TEST_STAMP)  ## Figures of this machine, beside their targets
	$(BIN)/python -m bench

soak: test-tools  ## Long runs, some hours: hundreds of kills, thousands of examples
	COMMONWATT_SOAK=1 $(BIN)/python -m pytest -n 2 --dist loadgroup -m "soak or not soak"

mutants: $(TEST_STAMP)  ## Take each check out of the certificate book: its tests must notice
	$(BIN)/python tools/mutants.py

vectors: $(TEST_STAMP)  ## Write the reference days again, after a change of format
	$(BIN)/python tools/write_vectors.py

clean:
	rm -rf $(VENV) .tools commonwatt-demo
