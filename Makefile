# SPDX-License-Identifier: Apache-2.0
# A thin front: every target prints the command it runs. `make help` lists them.
BUILD ?= build
OUT ?= results
DATA ?= data
SIZE ?= smoke
JOBS ?= $(shell nproc)
BUDGET ?=
CMAKE_FLAGS ?=
REMEASURE = $(BUILD)/remeasure
# Looked for when it is needed: `make setup build` installs it first.
GENERATOR = $(shell command -v ninja >/dev/null 2>&1 && echo "-G Ninja")

.DEFAULT_GOAL := build
.PHONY: help setup configure build program test named run reproduce-all report check check-rates kernels mutants kills bundle lint lint-floors lint-format format clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'
	@echo
	@echo "  variables: BUILD=$(BUILD) OUT=$(OUT) DATA=$(DATA) SIZE=smoke|paper JOBS=$(JOBS) BUDGET=480s EXPERIMENT='id ...' CMAKE_FLAGS='-D...'"

setup: ## install what is missing from the distribution's packages (idempotent; sudo only if needed)
	cmake/scripts/setup.sh

ifneq ($(filter setup,$(MAKECMDGOALS)),)
configure: | setup  # also under `make -j setup test`
endif
configure:
	@command -v cmake >/dev/null || { echo "cmake was not found: run 'make setup' first" >&2; exit 2; }
	@{ test -f $(BUILD)/build.ninja || test -f $(BUILD)/Makefile; } && test -z "$(CMAKE_FLAGS)" || \
	  (set -x; cmake -S . -B $(BUILD) $(GENERATOR) -DCMAKE_BUILD_TYPE=Release $(CMAKE_FLAGS))

build: configure ## configure and compile everything (Release, all cores, ccache if present)
	cmake --build $(BUILD) --parallel $(JOBS)

program: configure ## compile build/remeasure alone: what running needs is half of the build
	cmake --build $(BUILD) --parallel $(JOBS) --target remeasure

test: build ## every test (CTest over Catch2)
	ctest --test-dir $(BUILD) --output-on-failure --parallel $(JOBS) --no-tests=error

named:
	@test -n "$(EXPERIMENT)" || { echo "make run needs EXPERIMENT=<id>, e.g. make run EXPERIMENT=dfss; ids: $(REMEASURE) list" >&2; exit 2; }

run: named program ## one or more experiments: make run EXPERIMENT=dfss [SIZE=paper]
	$(REMEASURE) run $(EXPERIMENT) --size $(SIZE) --out $(OUT) --data $(DATA)

reproduce-all: program ## datasets, every experiment, tables and page, comparison with the recorded reference
	BUILD=$(BUILD) OUT=$(OUT) DATA=$(DATA) SIZE=$(SIZE) BUDGET=$(BUDGET) cmake/scripts/reproduce_all.sh

report: ## write all reports from the result files again
	$(REMEASURE) report $(OUT)

check: ## compare the results with the recorded reference
	$(REMEASURE) check $(OUT)

check-rates: build ## how often `check` is wrong: one program against itself, and planted slowdowns (minutes)
	BUILD=$(BUILD) cmake/scripts/check_rates.sh

kernels: build ## registers, spills and occupancy of every kernel, as the tests launch it; fails if none does
	rm -f $(BUILD)/launches.txt
	REMEASURE_LAUNCH_LOG=$(BUILD)/launches.txt $(BUILD)/kernels_test "[simt]" -o $(BUILD)/launches.log
	$(BUILD)/remeasure kernels --launches $(BUILD)/launches.txt --all-launched

mutants: build ## plant known bugs in kernels, bench and reports; every one must be caught by its named test
	BUILD=$(BUILD) cmake/scripts/mutants.sh

kills: build ## kill runs 200 times at random moments; no finished result may be lost
	BUILD=$(BUILD) cmake/scripts/kills.sh

bundle: ## a folder that runs on a Linux machine with an NVIDIA driver and the CUDA libraries
	JOBS=$(JOBS) cmake/scripts/bundle.sh

lint-floors: ## includes run downward, PTX stays in kernels/device
	cmake/scripts/floors.sh

lint-format: ## every file is as .clang-format (version 14) lays it out
	git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format --dry-run -Werror

lint: configure lint-format ## clang-tidy, the layout and the floors of the house
	BUILD=$(BUILD) JOBS=$(JOBS) cmake/scripts/lint.sh

format: ## clang-format everything
	git ls-files '*.h' '*.cpp' '*.cu' | xargs clang-format -i

clean: ## remove the build folder (results and datasets stay)
	rm -rf $(BUILD)
