# The commands of README and CI. Needs Python 3.11 and make, nothing else.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready
UV     := $(BIN)/uv

# Tests and benchmarks start processes by the hundred: none is to compile all anew,
# as it would where this is set.
export PYTHONDONTWRITEBYTECODE :=

PROTO  := rpc/proto/qdispatch/v1/qdispatch.proto
# Code generated for protobuf 6.30 runs with every later runtime; clients may
# have packages beside them that hold protobuf below 7.
PROTOC := $(UV) tool run --quiet --from grpcio-tools==1.72.2 --with 'setuptools<80' \
          python -m grpc_tools.protoc -I rpc/proto

.PHONY: run install test test-slow test-long test-compat chaos soak fuzz bench bench-watchers unit check check-proto check-compose docs proto lock clean
.DEFAULT_GOAL := run

# -- use

run: $(READY)  ## Start the service and run three jobs; EXIT=1 stops afterwards, FLOWER=1 and PAGE=1 add to it.
	$(BIN)/python -m app up $(if $(FLOWER),--flower) $(if $(PAGE),--page) --run "$(BIN)/python examples/three_frameworks.py" $(if $(EXIT),--exit)

install: $(READY)

$(READY): requirements.lock requirements-dev.lock pyproject.toml client/pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock requirements-dev.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps -e client -e .
	touch $(READY)

# -- prove

# More processes than cores: some groups of tests wait much, the others compute.
# Those that wait come first, though they are few.
test: $(READY)
	$(BIN)/pytest -n 4 --dist loadgroup --no-loadscope-reorder

test-slow: $(READY)  ## What takes a minute alone: all hostile input, chaos, the tests' own services.
	$(BIN)/pytest -m slow -n 4 --dist loadgroup --no-loadscope-reorder

test-long: $(READY)  ## Races and histories by the thousand: a quarter of an hour.
	$(BIN)/pytest -m long --timeout 1200

# What users have the client beside: these hold protobuf below 7. Bounds, since
# a resolver that cannot have them all would silently take very old ones.
COMPAT       := build/compat
COMPAT_SDKS  := 'cirq>=1.7' 'qiskit-ibm-runtime>=0.51' 'amazon-braket-sdk>=1.127'
COMPAT_TOOLS := pytest pytest-timeout hypothesis qiskit-aer qiskit-qasm3-import trustme
COMPAT_TESTS := $(if $(QUICK),$(filter-out %_imports.py $(wildcard tests/client/test_circuits_*.py), \
                $(wildcard tests/client/test_*.py)),tests/client) \
                $(wildcard tests/unit/test_cli_*.py tests/unit/test_client*.py) \
                $(addprefix tests/unit/test_,codec.py display.py plot.py template.py)

test-compat: $(READY)  ## The client's own tests beside cirq, qiskit-ibm-runtime and amazon-braket-sdk; QUICK=1.
	test -x $(COMPAT)/bin/python || $(UV) venv --quiet --python $(BIN)/python $(COMPAT)
	$(UV) pip install --quiet --python $(COMPAT)/bin/python --reinstall-package qdispatch \
	  './client[qiskit,cirq,pennylane,cli,plot,progress]' $(COMPAT_SDKS) $(COMPAT_TOOLS)
	$(UV) pip check --quiet --python $(COMPAT)/bin/python
	$(COMPAT)/bin/python -m pytest --confcutdir tests/client --hypothesis-profile ci $(COMPAT_TESTS)

JOBS   ?= 5000
FAULTS ?= 320
SEED   ?= 1
chaos: $(READY)  ## Kill everything, for an hour or so; EMBEDDED=1, ONLY=kill:engine, REPORT=file.
	$(BIN)/python -m tests.chaos --jobs $(JOBS) --faults $(FAULTS) --seed $(SEED) \
	  $(if $(EMBEDDED),--embedded) $(if $(ONLY),--only '$(ONLY)') $(if $(REPORT),--report $(REPORT))

MINUTES ?= 30
soak: $(READY)  ## Full load for long: what grows?
	$(BIN)/python -m tests.soak --minutes $(MINUTES) $(if $(REPORT),--report $(REPORT))

COUNT   ?= 1000000
SECONDS ?= 600
fuzz: $(READY)  ## Hostile requests by the million; COVERAGE=1, POSTGRESQL=1; or a parser: TARGET=openqasm3 or all, SECONDS=600.
	$(if $(TARGET),$(UV) pip install --quiet --python $(BIN)/python --group fuzz)
	$(BIN)/python -m tests.fuzz --count $(COUNT) --seed $(SEED) $(if $(COVERAGE),--coverage) $(if $(POSTGRESQL),--postgresql) \
	  $(if $(TARGET),--target $(TARGET) --seconds $(SECONDS))

bench: $(READY)  ## What the service adds, against what users would otherwise use; ROWS=1,2,10 or none, STAGES=1; FULL=1, REPORT=1 write a report.
	$(BIN)/python -m benchmarks $(if $(ROWS),--rows $(ROWS)) $(if $(FULL),--full --stages) $(if $(STAGES),--stages) $(if $(REPORT),--report)

WATCHERS ?= 2000
bench-watchers: $(READY)  ## Does each of thousands of watchers hear of its job's end, and how soon?
	$(BIN)/python -m benchmarks.watchers --watchers $(WATCHERS)

unit: $(READY)
	$(BIN)/pytest tests/unit

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) --no-print-directory check-proto
	$(MAKE) --no-print-directory check-compose
	$(MAKE) --no-print-directory docs

check-proto: $(READY)
	fresh=$$(mktemp -d) && trap 'rm -rf "$$fresh"' EXIT && \
	$(PROTOC) --python_out=$$fresh --grpc_python_out=$$fresh --pyi_out=$$fresh $(PROTO) && \
	for file in $$fresh/qdispatch/v1/*; do \
	  diff -u client/src/qdispatch/v1/$$(basename $$file) $$file || \
	  { echo "generated code is out of date: run 'make proto'"; exit 1; }; done

check-compose: $(READY)
	$(BIN)/pytest -q tests/deployment

docs: $(READY)  ## The reference of the client, in build/docs; fails on what has no docstring.
	$(BIN)/python -W error docs/reference.py build/docs

# -- maintain

proto: $(READY)
	$(PROTOC) --python_out=client/src --grpc_python_out=client/src --pyi_out=client/src $(PROTO)

lock: $(READY)  ## Pin the newest versions that fit together.
	$(UV) pip compile --quiet --upgrade --python-version 3.11 --no-annotate --no-header --no-emit-index-url \
	  --no-emit-package qdispatch --extra cli --extra plot --extra progress \
	  pyproject.toml client/pyproject.toml -o requirements.lock
	$(UV) pip compile --quiet --upgrade --python-version 3.11 --no-annotate --no-header --no-emit-index-url \
	  --group dev -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf $(VENV) build var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
