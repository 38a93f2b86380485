# Two commands for a fresh machine: `make demo` and `make test`. Each makes .venv from pinned, hashed requirements.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# a test that waits leaves its core to another
WORKERS ?= 3
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: demo test check format requirements clean bytecode vm vm-test tree-test container-test test-harnesses \
  test-mcp-conformance

demo: $(VENV)/run.stamp bytecode
	@$(BIN)/agent-runtime demo

# Tests that measure time run after the others and one at a time, so that the load of the others does not slow them.
# Exit status 5 of pytest: ARGS selects no test of that kind.
test: $(VENV)/dev.stamp bytecode
	@first=0; second=0; \
	$(BIN)/python -m pytest -m "not timed" -n $(WORKERS) --dist worksteal $(ARGS) || first=$$?; \
	$(BIN)/python -m pytest -m timed -n 0 $(ARGS) $(if $(findstring --cov,$(ARGS)),--cov-append) || second=$$?; \
	[ $$first != 5 ] || first=$$second; [ $$second != 5 ] || second=0; \
	exit $$((first ? first : second))

format: $(VENV)/dev.stamp
	$(BIN)/ruff check --fix -q .
	$(BIN)/ruff format -q .

check: $(VENV)/dev.stamp bytecode
	scripts/check

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("agent-runtime needs Python >= 3.11, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

# The package itself goes in with no look at any index: --no-deps and no build isolation (setuptools is pinned too).
# The compat mode is one line in a .pth file; setuptools' import hook would cost 15 ms of every start.
$(VENV)/run.stamp: $(VENV)/bin/python requirements/run.txt pyproject.toml
	$(PIP) install --require-hashes -r requirements/run.txt
	$(PIP) install --no-deps --no-build-isolation -C editable_mode=compat -e .
	$(BIN)/python -m compileall -q $(VENV)/lib >/dev/null || true
	touch $@

$(VENV)/dev.stamp: $(VENV)/run.stamp requirements/dev.txt
	$(PIP) install --require-hashes -r requirements/dev.txt
	$(BIN)/python -m compileall -q $(VENV)/lib >/dev/null || true
	touch $@

# Start-up time is a promise: where PYTHONDONTWRITEBYTECODE is set nothing else would write the bytecode.
bytecode:
	@$(BIN)/python -m compileall -q agent_runtime tools

# A virtual machine with the runtime, in QEMU: build-vm needs root, vm-test does not.
vm: $(VENV)/dev.stamp bytecode
	sandbox-image/build-vm sandbox-image/vm/build

vm-test: vm
	$(BIN)/python sandbox-image/vm-test sandbox-image/vm/build

# The same checks of runs as in the machine, in a tree of build-rootfs and in containers; both need root.
tree-test: $(VENV)/dev.stamp bytecode
	sandbox-image/build-rootfs sandbox-image/vm/tree
	$(BIN)/python sandbox-image/sandbox_checks.py tree sandbox-image/vm/tree

container-test: $(VENV)/dev.stamp bytecode
	sandbox-image/container-test

# Harbor, Inspect and acpx drive the runtime; they are installed in build/harnesses. HARBOR_PYTHON: Python >= 3.12.
HARBOR_PYTHON ?= python3.12
test-harnesses: $(VENV)/dev.stamp bytecode
	$(BIN)/python scripts/test-harnesses --python $(HARBOR_PYTHON)

# The official conformance suite of MCP, from npm, against the client of the runtime.
test-mcp-conformance: $(VENV)/dev.stamp bytecode
	$(BIN)/python scripts/test-mcp-conformance

requirements:
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --extra build pyproject.toml -o requirements/run.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --extra acp --extra build --extra mcp --extra nats --extra otel pyproject.toml -o requirements/image.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --extra acp --extra azure --extra bedrock --extra build --extra mcp --extra nats --extra otel --extra vertex \
	  --extra dev pyproject.toml -o requirements/dev.txt

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
