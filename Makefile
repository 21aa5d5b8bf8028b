# Everything sets itself up in build/, and only what is missing. APT=0 never calls apt.

PYTHON ?= python3
PRESET ?= release
JOBS ?= 2
ROUNDS ?= 10
ARGS ?=

# The interpreter itself: not a version manager's wrapper, not a virtual environment.
PYTHON_PATH := $(shell $(PYTHON) -c 'import sys; print(getattr(sys, "_base_executable", sys.executable))')
ifeq ($(PYTHON_PATH),)
$(error $(PYTHON) does not run; choose a Python of 3.11 or later with PYTHON=…)
endif

BIN := $(CURDIR)/build/venv/bin
BOOTSTRAP := $(PYTHON_PATH) -B packaging/bootstrap
PYTEST := $(BIN)/python -m pytest -n 2
C_FILES = $(shell find bench examples ffi lua packaging tests -name '*.[ch]' ! -name '*.gen.*')

export PATH := $(BIN):$(PATH)
export MYPY_CACHE_DIR := $(CURDIR)/build/mypy
export RUFF_CACHE_DIR := $(CURDIR)/build/ruff

.DEFAULT_GOAL := help
.PHONY: help setup configure build stage demo test-setup test test-matrix package bench soak lint format generate clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
	@echo
	@echo 'PYTHON=… chooses the Python to embed, now $(PYTHON_PATH)'
	@echo 'APT=0 never calls apt, and says what is missing'

setup:  ## get compiler, tools and checked sources
	@$(BOOTSTRAP) system-build venv fennel yyjson lua-headers

configure: setup
	cmake --preset $(PRESET) -DMATRIX_PYTHON=$(PYTHON_PATH) -DCMAKE_INSTALL_MESSAGE=NEVER

build: configure  ## compile everything; PRESET=ci, asan, tsan or valgrind
	cmake --build --preset $(PRESET) -j $(JOBS)

stage: build  ## install into build/stage, as the packages do
	cmake --install $(if $(filter release ci,$(PRESET)),build/release,build/$(PRESET))

demo: stage  ## start here: C, Lua and Fennel talk by a homeserver of their own
	@$(BOOTSTRAP) system-demo synapse
	@$(PYTHON_PATH) examples/demo.py

test-setup: stage
	@$(BOOTSTRAP) system-test system-package synapse foreign lua5.5

test: test-setup  ## all tests; ARGS="-k name" for some
	$(PYTEST) $(ARGS)

test-matrix: test-setup  ## only the tests that talk to a homeserver
	$(PYTEST) -m homeserver $(ARGS)

package: stage  ## a TGZ and a .deb in build/release/packages
	@$(BOOTSTRAP) system-package
	cpack --preset release
	@ls -l build/release/packages

bench: stage  ## tables of speed and size
	@$(BOOTSTRAP) system-test synapse peers
	PYTHONPATH=src MATRIX_NIO_PYTHON=$(BIN)/python $(BIN)/python -m bench

soak: test-setup  ## hosts and Lua again and again, and 200 kills; ROUNDS=10
	MATRIX_TEST_KILLS=200 $(PYTEST) -q -rP tests/faults/test_kill.py tests/faults/test_kill_sender.py tests/faults/test_kill_encrypted.py
	@for round in $$(seq $(ROUNDS)); do \
		echo "soak: round $$round of $(ROUNDS)"; $(PYTEST) -q tests/host tests/lua $(ARGS) || exit 1; \
	done

lint: setup  ## style, types, and generated files that are up to date
	ruff check .
	ruff format --check .
	mypy src ffi/gen
	mypy packaging/bootstrap
	mypy packaging/bundle
	mypy -p tests.support
	@echo "clang-format --dry-run -Werror, all C files"
	@clang-format --dry-run -Werror $(C_FILES)
	$(BIN)/python -m ffi.gen --check
	$(BIN)/python -m ffi.gen --lint

format: setup  ## put the style right
	ruff check --fix .
	ruff format .
	clang-format -i $(C_FILES)

generate: setup  ## write the files made from ffi/api
	$(BIN)/python -m ffi.gen

clean:  ## remove what was built; downloads stay
	rm -rf build/release build/stage build/asan build/tsan build/valgrind build/wheel build/homeserver
