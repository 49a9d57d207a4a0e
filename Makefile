# `make quickstart` and `make test` are all a newcomer needs; both set up what they need by themselves.
PYTHON ?= python3
VENV ?= .venv
# The torch that the suite is known to pass with; `make TORCH=torch ...` takes the newest.
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help environment build quickstart test test-fast test-op test-slow mutants sanitize check format benchmark benchmark-convolutions benchmark-networks gpu-check cuda-budget triton-budget neon-check wheel clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 16

# Re-made when the project's requirements change.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip "setuptools>=77" wheel "pybind11>=2.13"
	$(BIN)/python -c "import torch" 2>/dev/null || $(BIN)/pip install --quiet "$(TORCH)"
	@# Linked here, built below: pip would build the libraries once more in a folder of its own.
	DEEPGEN_FAST_BUILD_CPU=0 DEEPGEN_FAST_BUILD_CUDA=0 $(BIN)/pip install --quiet --no-build-isolation --editable ".[train,triton,test,benchmark,dev]"
	@touch $@

environment: $(VENV)/.installed ## a virtual environment in .venv with everything installed

SOURCES := setup.py $(wildcard build_support/*.py) $(shell find csrc -name '*.h' -o -name '*.cpp' -o -name '*.cu' -o -name '*.cuh')

$(VENV)/.built: $(VENV)/.installed $(SOURCES)
	$(BIN)/python setup.py --quiet build_ext --inplace
	@# Where it failed the package works without it, and the next call tries again.
	@test -e deepgen_fast/_not_built.txt || touch $@

build: $(VENV)/.built ## the native libraries, in place

quickstart: build ## train a VAE and a DCGAN on real digits, evaluate them, draw Figure 13.5, compare speeds with eager
	$(BIN)/deepgen-fast quickstart

# Tests run in as many processes as there are cores, up to four (each takes 1.5 GB); WORKERS=0 runs them in one, as a
# debugger needs it.
WORKERS ?= auto
OP_TESTS := tests/contract tests/ops tests/properties tests/cuda tests/guard_pages tests/triton_backend

test: build ## the whole test suite (some 12 minutes on 2 cores)
	$(BIN)/python -m pytest -m "not slow" -n $(WORKERS) --maxprocesses 4 --dist worksteal

test-fast: build ## what a change breaks at once: two cases of every test that takes no many seconds (a minute and a half)
	$(BIN)/python -m pytest -q -m "not slow and not long" -k "not emulated" --cases 2 -n $(WORKERS) --maxprocesses 4 --dist worksteal

test-op: build ## every test of one operator: make test-op OP=negative_elbo
	@test -n "$(OP)" || { echo "which operator? make test-op OP=negative_elbo"; exit 2; }
	$(BIN)/python -m pytest -q -m "not slow" -n $(WORKERS) --maxprocesses 4 --dist worksteal -k "$(OP)" $(OP_TESTS)

test-slow: build ## the long proofs too, and 10,000 examples of each property
	$(BIN)/python -m pytest --hypothesis-profile=thorough -n $(WORKERS) --maxprocesses 4 --dist worksteal

mutants: build ## plant a hundred faults, one after another, and see the suite catch them (an hour; continues where it stopped)
	$(BIN)/python tests/mutants/run.py

sanitize: build ## the CPU library under AddressSanitizer and UndefinedBehaviorSanitizer, through the operators' tests (an hour)
	$(BIN)/python scripts/sanitize.py

check: environment ## formatters, linters and types, as pre-commit runs them
	$(BIN)/pre-commit run --all-files

format: environment ## bring the tree into shape
	$(BIN)/ruff check --fix . && $(BIN)/ruff format . && git ls-files 'csrc/*' | grep -E '\.(h|cpp|cu|cuh)$$' | xargs $(BIN)/clang-format -i

benchmark: build ## every operator and the VAE epoch against eager, torch.compile and pythae; writes benchmarks/RESULTS.md
	$(BIN)/python -m benchmarks.report

benchmark-convolutions: build ## convolution layers and DCGAN's networks, each pass; writes benchmarks/CONVOLUTIONS.md
	$(BIN)/python -m benchmarks.convolution

benchmark-networks: build ## twelve well-known networks, plain, compiled and accelerated; writes benchmarks/NETWORKS.md
	$(BIN)/python -m benchmarks.networks

gpu-check: build ## on a CUDA machine: build, test and measure on the device; elsewhere: say what is missing
	$(BIN)/python scripts/gpu_check.py

triton-budget: environment ## the Triton kernels compiled for sm_80, sm_90, sm_100 (no GPU needed), held to a budget
	PYTHONPATH=. $(BIN)/python tests/triton_backend/budget.py

cuda-budget: build ## registers, spills and 128-bit accesses of the CUDA kernels, by nvcc
	$(BIN)/python tests/cuda/budget.py

neon-check: ## the NEON kernels, emulated, against the x86 kernels, bit for bit (needs g++-aarch64-linux-gnu, qemu-user)
	$(PYTHON) tests/neon/neon_check.py

wheel: environment ## source distribution and wheel, in dist/
	$(BIN)/pip install --quiet build && $(BIN)/python -m build --no-isolation

clean: ## remove what was built, not the environment
	rm -rf build dist *.egg-info deepgen_fast/*.so deepgen_fast/_*not_built.txt $(VENV)/.built
