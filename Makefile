BUILD  ?= build
PREFIX ?= /usr/local
JOBS   ?= $(shell nproc)

# One environment for every recipe: the caller's environment must not change what is built.
export GOFLAGS := -buildvcs=false
MAKEFLAGS += --no-print-directory
export PREFIX DESTDIR
# Paths may have spaces. Therefore no function of make may split words, and every recipe has
# quotation marks.
export DATABLOCK_BUILD := $(if $(filter /%,$(BUILD)),$(BUILD),$(CURDIR)/$(BUILD))

cmake_build = cmake --build "$(BUILD)" --parallel $(JOBS)
# Two tests for each processor: many tests wait most of the time.
ctest       = ctest --test-dir "$(BUILD)" --output-on-failure --parallel $$((2 * $(JOBS))) --no-tests=error

.PHONY: all setup check test demo bench soak dist install uninstall clean help configure setup-build
.PHONY: test-arm64 windows test-windows soak-windows wheel deb go-module test-packages docs test-docs

all: configure ## build the library, datablock-admin and the examples into build/ (the default); elsewhere: BUILD=folder
	@$(cmake_build)

setup: ## install what this Debian or Ubuntu lacks; also for Windows, packages, docs: WINDOWS=1 PACKAGES=1 DOCS=1
	@WINDOWS="$(WINDOWS)" PACKAGES="$(PACKAGES)" DOCS="$(DOCS)" scripts/setup.sh

check: setup configure ## the quick tests, under two minutes when built: unit, docs, abi, lint
	@$(cmake_build) --target all datablock_crashpoints_go datablock_debug_go
	@$(ctest) -L '^(unit|docs|abi|lint)$$' -LE '^long$$' $(ARGS)

test: setup configure ## build and run every test; a part of them: make test ARGS="-R name"
	@$(cmake_build) --target all tests
	@$(ctest) $(ARGS)

demo: configure ## live data of this machine through shared memory, with kill -9 in the middle
	@$(or $(wildcard .venv/bin/python),python3) -c 'import numpy' 2>/dev/null || scripts/setup.sh demo
	@$(cmake_build) --target demo
	@examples/demo/run.sh

bench: setup configure ## measure, beside the plain machine; PEERS=1: beside other libraries; QUICK=1: in less time
	@$(cmake_build) --target bench
	@$(if $(PEERS),bench/peers/setup.sh)
	@.venv/bin/python -B bench/$(if $(PEERS),run_peers.py,run.py) $(if $(QUICK),--quick)

test-arm64: setup configure ## the tests for arm64, cross-built and emulated by QEMU
	@$(cmake_build) --target c_worker cpp_worker datablock_crashpoints_go
	@$(ctest) -C arm64 -L '^arm64$$' $(ARGS)

windows: configure ## datablock.dll, import libraries, headers and datablock-admin.exe in build/windows/
	@$(cmake_build) --target windows

test-windows: configure ## the short tests under Wine, which make setup WINDOWS=1 installs
	@$(ctest) -C windows -L '^windows$$' $(ARGS)

soak-windows: configure ## the long tests under Wine
	@$(ctest) -C windows-long -L '^windows-long$$' $(ARGS)

wheel: configure ## Python wheels with the library inside in build/dist/; needs make setup PACKAGES=1 WINDOWS=1
	@$(cmake_build) --target wheel

deb: ## Debian packages of the last commit in build/dist/; needs make setup PACKAGES=1
	@scripts/deb.sh "$(BUILD)/dist"

go-module: ## the Go module for go get in build/dist/go/: make go-module MODULE=example.org/datablock
	@python3 scripts/go_module.py "$(MODULE)" "$(BUILD)/dist/go"

test-packages: configure ## build and test the packages that make setup PACKAGES=1 has the tools for
	@$(cmake_build) --target datablock_go datablock_debug_go c_worker hosts_c hosts_cases hosts_signaller
	@$(ctest) -C packages -L '^package$$' $(ARGS)

docs: ## the reference site in build/site/, without a network; needs make setup DOCS=1
	@scripts/site/run.sh "$(BUILD)"

test-docs: configure ## build the reference site, and look at it in a browser
	@$(ctest) -C docs -R '^site$$' $(ARGS)

soak: setup configure ## the long tests: 200 kills at each point, the large model
	@$(cmake_build) --target all tests
	@$(ctest) -C soak -L soak $(ARGS)

dist: ## the source archive of the last commit in build/dist/, which builds without a network
	@scripts/dist.sh "$(BUILD)/dist"

# Under sudo, PATH and the caches of Go belong to root. Therefore make installs what the user has
# built.
install: ## install what is built, and headers, pkg-config and CMake files; PREFIX=/usr/local, DESTDIR= are honoured
	@test -n "$$SUDO_UID" && test -e "$(BUILD)/datablock-admin" || $(MAKE) all
	@cmake --install "$(BUILD)" --prefix "$(PREFIX)"
	@test -n "$(DESTDIR)" || test "$$(id -u)" != 0 || ldconfig

# A folder with the name datablock is of this project alone, and goes when it is empty.
uninstall: ## remove what the last install from build/ has installed, with the same DESTDIR
	@test -e "$(BUILD)/install_manifest.txt" || \
		{ echo "uninstall: nothing was installed from $(BUILD): it has no install_manifest.txt" >&2; exit 1; }
	@while IFS= read -r file || test -n "$$file"; do rm -f -- "$(DESTDIR)$$file" || exit 1; done \
		<"$(BUILD)/install_manifest.txt"
	@sed -n 's|/[^/]*$$||; /\/datablock\(\/.*\)\{0,1\}$$/p' "$(BUILD)/install_manifest.txt" | sort -ru | \
		while IFS= read -r folder; do \
		test ! -d "$(DESTDIR)$$folder" || rmdir --ignore-fail-on-non-empty -- "$(DESTDIR)$$folder" || exit 1; done
	@test -n "$(DESTDIR)" || test "$$(id -u)" != 0 || ldconfig

clean: ## remove build/
	@rm -rf -- "$(BUILD)"

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup-build:
	@scripts/setup.sh build

configure: setup-build
	@mkdir -p "$(BUILD)" || \
		{ echo "make: no build folder can be made in this source tree: choose one with make BUILD=folder" >&2; exit 1; }
	@cmake -S . -B "$(BUILD)" >"$(BUILD)/configure.log" 2>&1 || { cat "$(BUILD)/configure.log"; exit 1; }
