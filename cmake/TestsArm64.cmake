# Linux on arm64, cross-built by gcc and Go, and run under the user mode of QEMU. `make test` has an
# exchange with native processes and the instructions of the memory orders. `make test-arm64` has
# the rest: the C, C++ and Go tests. tests/portability/arm64/left_out.py names what does not run.

set(arm64_tests ${venv_python} -B tests/portability/arm64)

datablock_test(arm64 LONG LABELS portability TIMEOUT 600 COST 100
  COMMAND ${arm64_tests}/exchange.py ${PROJECT_BINARY_DIR} ${soname} ${go_ldflags})
datablock_test(arm64.orders LABELS portability TIMEOUT 300 COMMAND ${arm64_tests}/orders.py)

add_test(NAME arm64.build
  COMMAND ${arm64_tests}/build.py ${PROJECT_BINARY_DIR} ${soname} ${go_ldflags}
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} CONFIGURATIONS arm64)
set_tests_properties(arm64.build PROPERTIES
  LABELS arm64 TIMEOUT 3600 PROCESSORS 2 FIXTURES_SETUP arm64_build ENVIRONMENT "${test_environment}")

# arm64_test(name command...)
function(arm64_test name)
  add_test(NAME arm64.${name} COMMAND ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} CONFIGURATIONS arm64)
  set_tests_properties(arm64.${name} PROPERTIES
    LABELS arm64 TIMEOUT 7200 FIXTURES_REQUIRED "shared_memory;arm64_build" ENVIRONMENT "${test_environment}")
endfunction()

arm64_test(exchange ${arm64_tests}/exchange.py ${PROJECT_BINARY_DIR} --all)
arm64_test(admin ${arm64_tests}/admin.py ${PROJECT_BINARY_DIR})

execute_process(COMMAND ${arm64_tests}/left_out.py tests/c tests/cpp
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE arm64_programs COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]+" arm64_programs "${arm64_programs}")
foreach(test IN LISTS arm64_programs)
  string(REGEX REPLACE "/test_" "." name ${test})
  arm64_test(${name} ${arm64_tests}/c_tests.py ${PROJECT_BINARY_DIR} ${test})
endforeach()

# What the ordinary runs with crash points leave out as well: cmake/TestsGo.cmake.
foreach(package . schema capi internal/platform internal/core/channel internal/core/recovery cmd/internal/command
    internal/platform.crashpoints internal/core/channel.crashpoints internal/core/recovery.crashpoints
    cmd/internal/command.crashpoints)
  set(skipped "")
  if(package MATCHES "crashpoints$")
    set(skipped ${go_crashpoints_skip})
  endif()
  string(REGEX REPLACE "^[.]$" datablock name ${package})
  arm64_test(go.${name} ${arm64_tests}/go_tests.py ${PROJECT_BINARY_DIR} ${package} ${skipped})
endforeach()

# The test of go.process.idle is in left_out.py. The long tests start first (COST).
foreach(name regex IN ZIP_LISTS process_names process_regexes)
  if(NOT name STREQUAL "idle")
    arm64_test(process.${name} ${arm64_tests}/go_tests.py ${PROJECT_BINARY_DIR} processes -test.run "${regex}")
    set_tests_properties(arm64.process.${name} PROPERTIES PROCESSORS 2 COST 500)
  endif()
endforeach()
arm64_test(process.others ${arm64_tests}/go_tests.py ${PROJECT_BINARY_DIR} processes -test.skip "${process_all}")
set_tests_properties(arm64.process.others PROPERTIES PROCESSORS 2 COST 1000)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS tests/portability/arm64/left_out.py)
