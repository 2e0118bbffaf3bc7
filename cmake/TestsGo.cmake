# The Go tests: one entry for each package and flavour. The processes have a list of their own
# (cmake/TestsProcess.cmake). There are two modules: the root and cmd. A command in one module does
# not see the packages of the other.

set(go_in_root "")
set(go_in_cmd ${CMAKE_COMMAND} -E chdir cmd)

file(STRINGS ${PROJECT_SOURCE_DIR}/go.mod go_module REGEX "^module ")
string(REGEX REPLACE "^module " "" go_module "${go_module}")

# go_packages(VARIABLE template flags...): what `go list -f template` prints for the packages of
# both modules.
function(go_packages variable template)
  set(all "")
  foreach(module . cmd)
    execute_process(COMMAND ${go_alone} ${GO} list -buildvcs=false -e -f ${template} ${ARGN} ./...
      WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}/${module} OUTPUT_VARIABLE output OUTPUT_STRIP_TRAILING_WHITESPACE)
    string(REGEX MATCHALL "[^\n]+" lines "${output}")
    list(APPEND all ${lines})
  endforeach()
  set(${variable} "${all}" PARENT_SCOPE)
endfunction()

# The test files of every package that has some: "package directory file,file,"
set(test_files "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}} {{.Dir}} \
{{range .TestGoFiles}}{{.}},{{end}}{{range .XTestGoFiles}}{{.}},{{end}}{{end}}")
go_packages(plain ${test_files} ./...)
go_packages(with_crashpoints ${test_files} -tags=crashpoints ./...)

# The entries go.vet check the tests, too: -vet=off. Without tables for debuggers (-ldflags) a test
# links in less time.
set(go_test ${GO} test -buildvcs=false -vet=off -ldflags=-s\ -w -count=1 -timeout=110m)

# go_test_tiers(VARIABLE name): the tiers of a package. Each package has one.
function(go_test_tiers variable name)
  if(name MATCHES "^tests/(docs|tidy|format|proof|abi)(/|$)")
    set(tier ${CMAKE_MATCH_1})
    if(name MATCHES "^tests/(tidy|proof)(/|$)")
      list(APPEND tier lint)
    endif()
    list(REMOVE_ITEM tier tidy)
  elseif(name MATCHES "^examples/")
    set(tier docs)
  elseif(name MATCHES "^tests/|^bench")
    message(FATAL_ERROR "${name} has no tier: see tests/README.md")
  else()
    set(tier unit)
  endif()
  set(${variable} ${tier} PARENT_SCOPE)
endfunction()

# go_test_entry(package name suffix arguments...)
function(go_test_entry package name suffix)
  go_test_tiers(tiers ${name})
  if(suffix STREQUAL .crashpoints)
    set(tiers concurrency)
  endif()
  set(module ${go_in_root})
  if(name MATCHES "^cmd/")
    set(module ${go_in_cmd})
  endif()
  datablock_test(go.${name}${suffix} LABELS ${tiers} TIMEOUT 240 COMMAND ${module} ${go_test} ${ARGN} ${package})
endfunction()

foreach(entry IN LISTS plain)
  string(REGEX REPLACE " .*" "" package ${entry})
  if(package STREQUAL go_module)
    go_test_entry(${package} datablock "" -race)
    continue()
  endif()
  string(REPLACE "${go_module}/" "" name ${package})
  if(name MATCHES "^internal/|^schema$")
    go_test_entry(${package} ${name} "" -race)
  elseif(name STREQUAL "cmd/internal/dashboard")
    go_test_entry(${package} ${name} "" -race "-skip=^TestPage")
  elseif(NOT name STREQUAL "tests/go/process")
    go_test_entry(${package} ${name} "")
  endif()
endforeach()

# Packages with test files that need crash points run again with crash points, without the long
# tests that have no such points.
set(go_crashpoints_skip "TestHostileBlocks|TestMixedUpFiles|TestNoFalseAlarm|TestRandomHistories|TestRingsOf|\
TestSlotSizes")
foreach(entry IN LISTS with_crashpoints)
  string(REGEX REPLACE " .*" "" package ${entry})
  string(REPLACE "${go_module}/" "" name ${package})
  # The commands have no such tests except the hostile blocks below.
  if(NOT entry IN_LIST plain AND NOT name STREQUAL "cmd/internal/command")
    go_test_entry(${package} ${name} .crashpoints -tags=crashpoints "-skip=${go_crashpoints_skip}")
  endif()
endforeach()

# The page of `datablock-admin serve` in a browser, which the tests name if it is missing. The
# pictures that they take are in the build, in pictures/.
datablock_test(go.cmd/internal/dashboard.page LABELS process TIMEOUT 600 COST 60
  COMMAND ${go_in_cmd} ${go_test} -run=^TestPage ./internal/dashboard)

# Random operations against a plain model. The test checks the block after each operation.
datablock_test(go.histories LABELS concurrency TIMEOUT 240 COST 16 SOAK
  ENVIRONMENT DATABLOCK_HISTORIES=3000
  COMMAND ${go_test} -tags=invariants -run=TestRandomHistories|TestAnInvariant ./internal/core/channel)
# Hostile blocks and a million messages under validation, without the race detector, which cannot
# see shared memory and takes ten times as long. `make soak`: 10^6 mutations. In test builds the
# blocks' mappings lie between guard pages.
datablock_test(go.internal/core/recovery.hostile LABELS format SOAK PROCESSORS 2 COST 120 TIMEOUT 300
  ENVIRONMENT DATABLOCK_TEST_GUARD=1
  COMMAND ${go_test} -tags=crashpoints -run "TestHostileBlocks|TestNoFalseAlarm|TestMixedUpFiles"
    ./internal/core/recovery)
datablock_test(go.cmd/internal/command.hostile LABELS format COST 11 TIMEOUT 240
  COMMAND ${go_in_cmd} ${go_test} -tags=crashpoints -run=TestHostileBlocks ./internal/command)

# `go test` runs the fuzz targets on their seeds. In `make soak` each target searches for more
# inputs. An input that fails is stored in the package, under testdata/fuzz, and stays there as a
# seed.
foreach(target schema/FuzzParse schema/FuzzParseCanonical internal/core/channel/FuzzSchemaZone
    cmd/internal/decode/FuzzDecode)
  get_filename_component(package ${target} DIRECTORY)
  get_filename_component(name ${target} NAME)
  set(module ${go_in_root})
  if(package MATCHES "^cmd/")
    set(module ${go_in_cmd})
    string(REPLACE "cmd/" "" package ${package})
  endif()
  add_test(NAME soak.fuzz.${name}
    COMMAND ${module} ${go_test} -run=^$ -fuzz=^${name}$ -fuzztime=2m ./${package}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} CONFIGURATIONS soak)
  set_tests_properties(soak.fuzz.${name} PROPERTIES
    LABELS soak TIMEOUT 1200 RUN_SERIAL ON FIXTURES_REQUIRED shared_memory ENVIRONMENT "${test_environment}")
endforeach()

set(test_tier lint)
# Without cgo the boundary has no Go files on other systems. All packages below the boundary must
# compile there.
foreach(system windows darwin)
  datablock_test(go.vet.${system} TIMEOUT 300 ENVIRONMENT GOOS=${system} GOARCH=amd64 CGO_ENABLED=0
    COMMAND ${GO} vet -buildvcs=false . ./internal/... ./schema)
  datablock_test(go.build.${system} TIMEOUT 300 ENVIRONMENT GOOS=${system} GOARCH=amd64 CGO_ENABLED=0
    COMMAND ${GO} build -buildvcs=false . ./internal/... ./schema ./examples/go/...)
  datablock_test(go.build.${system}.cmd TIMEOUT 300 ENVIRONMENT GOOS=${system} GOARCH=amd64 CGO_ENABLED=0
    COMMAND ${go_in_cmd} ${GO} build -buildvcs=false ./...)
  # That test compiles the standard library.
  set_tests_properties(go.build.${system} go.build.${system}.cmd PROPERTIES DEPENDS go.vet.${system})
endforeach()

file(GLOB go_directories CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/*.go)
foreach(directory bench capi cmd examples internal python schema tests)
  if(EXISTS ${PROJECT_SOURCE_DIR}/${directory})
    list(APPEND go_directories ${directory})
  endif()
endforeach()
datablock_test(go.format
  COMMAND sh -c [[out=$(gofmt -l "$@") && test -z "$out" || { echo "not as gofmt has it: $out"; exit 1; }]]
    sh ${go_directories})

set(staticcheck ${PROJECT_SOURCE_DIR}/.tools/bin/staticcheck)
# go_checks(suffix tags soak [command before]): soak is ONLY_SOAK, for staticcheck, or empty.
function(go_checks suffix tags soak)
  datablock_test(go.vet${suffix} TIMEOUT 300 COMMAND ${ARGN} ${GO} vet -buildvcs=false -tags=${tags} ./...)
  datablock_test(go.staticcheck${suffix} ${soak} TIMEOUT 300 COMMAND ${ARGN} ${staticcheck} -tags=${tags} ./...)
endfunction()
go_checks("" "" "" ${go_in_root})
go_checks(.crashpoints crashpoints ONLY_SOAK ${go_in_root})
go_checks(.cmd "" "" ${go_in_cmd})
go_checks(.cmd.crashpoints crashpoints ONLY_SOAK ${go_in_cmd})

# Misspelled words, in everything but the build: settings in .codespellrc.
file(GLOB spelled CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR}
  ${PROJECT_SOURCE_DIR}/*.go ${PROJECT_SOURCE_DIR}/*.md ${PROJECT_SOURCE_DIR}/Makefile)
foreach(directory bench capi cmake cmd docs examples include internal python schema scripts tests)
  list(APPEND spelled ${directory})
endforeach()
datablock_test(codespell COMMAND ${venv_python} -m codespell_lib ${spelled})
