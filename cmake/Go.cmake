# Checks the Go tool: it exists, is new enough for go.mod, and has a place for its caches. Sets GO
# and go_environment.

# Each module is built alone, with the versions that its own go.mod requires. A go.work, the
# repository's or a user's, must not change what is built. The exception is the source archive
# (scripts/dist.sh): its folder vendor/ has the required modules, and belongs to its go.work.
set(go_work off)
if(EXISTS ${PROJECT_SOURCE_DIR}/vendor/modules.txt)
  set(go_work ${PROJECT_SOURCE_DIR}/go.work)
endif()
set(go_alone ${CMAKE_COMMAND} -E env GOWORK=${go_work})

find_program(GO go)
file(STRINGS ${PROJECT_SOURCE_DIR}/go.mod go_needed REGEX "^go [0-9.]+$")
string(REGEX REPLACE "^go " "" go_needed "${go_needed}")
set(go_cure "Install Go ${go_needed} or newer from https://go.dev/dl/ and put its bin folder first on PATH.")
if(NOT GO)
  message(FATAL_ERROR "Go is missing: there is no program go on PATH. ${go_cure}")
endif()

# Inside the source tree a go command may load a newer one, as go.mod asks. If it cannot, its own
# version counts.
execute_process(COMMAND ${go_alone} ${GO} version
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE go_found ERROR_QUIET)
if(NOT go_found MATCHES "go[0-9]")
  execute_process(COMMAND ${CMAKE_COMMAND} -E env GOTOOLCHAIN=local ${GO} version
    WORKING_DIRECTORY / OUTPUT_VARIABLE go_found ERROR_QUIET)
endif()
string(REGEX MATCH "go([0-9]+(\\.[0-9]+)*)" go_found "${go_found}")
set(go_version "${CMAKE_MATCH_1}")
if(NOT go_version OR go_version VERSION_LESS go_needed)
  set(go_tool ${GO})
  unset(GO CACHE) # the next run searches again
  if(NOT go_version)
    message(FATAL_ERROR "${go_tool} does not say its version. ${go_cure}")
  endif()
  message(FATAL_ERROR "Go ${go_version} (${go_tool}) is too old: DataBlock needs Go ${go_needed} or newer. ${go_cure}")
endif()

# These characters cannot be passed through the flags and lists of Go, the linker and CMake.
foreach(folder ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
  if(folder MATCHES "['\"\\$\n]")
    message(FATAL_ERROR "The path ${folder} has a quotation mark, a dollar sign or a line break in it: \
move the source tree or the build folder. Spaces are fine.")
  endif()
endforeach()

# Without a home directory (service units) Go has no place for its caches. Then the caches are in
# the build folder.
set(go_environment ${go_alone} CGO_ENABLED=1 CC=${CMAKE_C_COMPILER} GOFLAGS=)
set(go_caches "")
execute_process(COMMAND ${go_alone} ${GO} env GOCACHE GOMODCACHE
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE caches ERROR_QUIET)
if(NOT caches MATCHES "^/[^\n]*\n/")
  set(go_caches GOCACHE=${PROJECT_BINARY_DIR}/go/cache GOPATH=${PROJECT_BINARY_DIR}/go/path)
  list(REMOVE_ITEM go_environment GOFLAGS=)
  list(APPEND go_environment ${go_caches} GOFLAGS=-modcacherw) # a cache that rm -r can remove
  set(ENV{GOCACHE} ${PROJECT_BINARY_DIR}/go/cache)
  set(ENV{GOPATH} ${PROJECT_BINARY_DIR}/go/path)
endif()
