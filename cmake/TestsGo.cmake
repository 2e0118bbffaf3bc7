# The Go tests: one entry for each package and flavour. There are two modules: the root and cmd.
# A command in one module does not see the packages of the other.

set(go_in_root "")
set(go_in_cmd ${CMAKE_COMMAND} -E chdir cmd)

# Packages that start processes and wait for them. In parallel with other tests they would measure
# the load. `make soak` runs them for longer.
set(go_tests_serial_and_soak tests/go)

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
go_packages(plain ${test_files})
go_packages(with_crashpoints ${test_files} -tags=crashpoints)

set(go_test ${GO} test -buildvcs=false -count=1 -timeout=110m)

# go_test_entry(package suffix arguments...)
function(go_test_entry package suffix)
  string(REGEX REPLACE "^datablock/" "" name ${package})
  set(how TIMEOUT 240)
  if(name IN_LIST go_tests_serial_and_soak)
    set(how SERIAL SOAK TIMEOUT 900)
  endif()
  set(module ${go_in_root})
  if(name MATCHES "^cmd/")
    set(module ${go_in_cmd})
  endif()
  datablock_test(go.${name}${suffix} ${how} COMMAND ${module} ${go_test} ${ARGN} ${package})
endfunction()

foreach(entry IN LISTS plain)
  string(REGEX REPLACE " .*" "" package ${entry})
  if(package MATCHES "^datablock$|^datablock/internal/")
    go_test_entry(${package} "" -race)
  else()
    go_test_entry(${package} "")
  endif()
endforeach()

# Packages with test files that need crash points run again with crash points, without the long
# tests that have no such points.
foreach(entry IN LISTS with_crashpoints)
  string(REGEX REPLACE " .*" "" package ${entry})
  # The commands have no such tests except the hostile blocks below.
  if(NOT entry IN_LIST plain AND NOT package STREQUAL datablock/cmd/internal/command)
    go_test_entry(${package} .crashpoints -tags=crashpoints "-skip=TestHostileBlocks|TestMixedUpFiles|\
TestNoFalseAlarm|TestRandomHistories|TestRingsOf|TestSlotSizes")
  endif()
endforeach()

# Random operations against a plain model. The test checks the block after each operation.
datablock_test(go.histories TIMEOUT 240 SOAK ENVIRONMENT DATABLOCK_HISTORIES=3000
  COMMAND ${go_test} -tags=invariants -run=TestRandomHistories|TestAnInvariant datablock/internal/core)
# Hostile blocks and a million messages under validation, without the race detector, which cannot
# see shared memory and takes ten times as long. `make soak`: 10^6 mutations. In test builds the
# blocks' mappings lie between guard pages.
datablock_test(go.internal/core.hostile SOAK PROCESSORS 2 TIMEOUT 300 ENVIRONMENT DATABLOCK_TEST_GUARD=1
  COMMAND ${go_test} -tags=crashpoints -run "TestHostileBlocks|TestNoFalseAlarm|TestMixedUpFiles"
    datablock/internal/core)
datablock_test(go.cmd/internal/command.hostile TIMEOUT 240
  COMMAND ${go_in_cmd} ${go_test} -tags=crashpoints -run=TestHostileBlocks datablock/cmd/internal/command)

# `go test` runs the fuzz targets on their seeds. In `make soak` each target searches for more
# inputs. An input that fails is stored in the package, under testdata/fuzz, and stays there as a
# seed.
foreach(target internal/schema/FuzzParse internal/schema/FuzzParseCanonical internal/core/FuzzSchemaZone)
  get_filename_component(package ${target} DIRECTORY)
  get_filename_component(name ${target} NAME)
  add_test(NAME soak.fuzz.${name} COMMAND ${go_test} -run=^$ -fuzz=^${name}$ -fuzztime=2m datablock/${package}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} CONFIGURATIONS soak)
  set_tests_properties(soak.fuzz.${name} PROPERTIES
    LABELS soak TIMEOUT 1200 RUN_SERIAL ON FIXTURES_REQUIRED shared_memory ENVIRONMENT "${test_environment}")
endforeach()

# Without cgo the boundary has no Go files on other systems. All packages below the boundary must
# compile there.
foreach(system windows darwin)
  datablock_test(go.vet.${system} TIMEOUT 300 ENVIRONMENT GOOS=${system} GOARCH=amd64 CGO_ENABLED=0
    COMMAND ${GO} vet -buildvcs=false . ./internal/...)
  datablock_test(go.build.${system} TIMEOUT 300 ENVIRONMENT GOOS=${system} GOARCH=amd64 CGO_ENABLED=0
    COMMAND ${GO} build -buildvcs=false . ./internal/... ./examples/go/...)
  datablock_test(go.build.${system}.cmd TIMEOUT 300 ENVIRONMENT GOOS=${system} GOARCH=amd64 CGO_ENABLED=0
    COMMAND ${go_in_cmd} ${GO} build -buildvcs=false ./...)
  # That test compiles the standard library.
  set_tests_properties(go.build.${system} go.build.${system}.cmd PROPERTIES DEPENDS go.vet.${system})
endforeach()

file(GLOB go_directories CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/*.go)
foreach(directory bench capi cmd examples internal python tests)
  if(EXISTS ${PROJECT_SOURCE_DIR}/${directory})
    list(APPEND go_directories ${directory})
  endif()
endforeach()
datablock_test(go.format
  COMMAND sh -c [[out=$(gofmt -l "$@") && test -z "$out" || { echo "not as gofmt has it: $out"; exit 1; }]]
    sh ${go_directories})

set(staticcheck ${PROJECT_SOURCE_DIR}/.tools/bin/staticcheck)
# go_checks(suffix tags [command before])
function(go_checks suffix tags)
  datablock_test(go.vet${suffix} TIMEOUT 300 COMMAND ${ARGN} ${GO} vet -buildvcs=false -tags=${tags} ./...)
  datablock_test(go.staticcheck${suffix} TIMEOUT 300 COMMAND ${ARGN} ${staticcheck} -tags=${tags} ./...)
endfunction()
go_checks("" "" ${go_in_root})
go_checks(.crashpoints crashpoints ${go_in_root})
go_checks(.cmd "" ${go_in_cmd})
go_checks(.cmd.crashpoints crashpoints ${go_in_cmd})
