# Every test of the project, in one list: `ctest -N` prints the names.

set(venv_python ${PROJECT_SOURCE_DIR}/.venv/bin/python)
if(NOT EXISTS ${venv_python})
  find_program(venv_python_fallback python3 REQUIRED)
  set(venv_python ${venv_python_fallback})
endif()

# Tests find the build here. They have their own block directory in shared memory, which must be
# empty after all tests. Python keeps its compiled files in the build: a worker starts in half of
# the time, and the source tree stays clean.
string(SHA1 build_id ${PROJECT_BINARY_DIR})
string(SUBSTRING ${build_id} 0 12 build_id)
set(test_environment
  DATABLOCK_BUILD=${PROJECT_BINARY_DIR}
  DATABLOCK_DIR=/dev/shm/datablock-test-${build_id}
  PYTHONPYCACHEPREFIX=${PROJECT_BINARY_DIR}/pycache
  PYTHONDONTWRITEBYTECODE=
  ${go_test_flags}
  ${go_caches}
  CC=${CMAKE_C_COMPILER})

# datablock_test(NAME [SERIAL] [SOAK] [ONLY_SOAK] [LONG] [LABELS tier...] [TIMEOUT s] [PROCESSORS n]
#   [COST s] [ENVIRONMENT ...] COMMAND ...)
# SERIAL: nothing else runs meanwhile. SOAK: also runs in `make soak`, longer, with
# DATABLOCK_SOAK=1. ONLY_SOAK: runs in `make soak` only. LONG: `make check` leaves it out. COST: its
# seconds; long tests start first. tests/README.md describes the tiers. A test without LABELS has
# those of test_tier.
function(datablock_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg
    "SERIAL;SOAK;ONLY_SOAK;LONG" "TIMEOUT;PROCESSORS;COST" "LABELS;ENVIRONMENT;COMMAND")
  if(NOT arg_LABELS)
    set(arg_LABELS ${test_tier})
  endif()
  if(NOT arg_LABELS)
    message(FATAL_ERROR "${name} has no tier: see tests/README.md")
  endif()
  if(arg_LONG)
    list(APPEND arg_LABELS long)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(NOT arg_PROCESSORS)
    set(arg_PROCESSORS 1)
  endif()
  if(NOT arg_ONLY_SOAK)
    add_test(NAME ${name} COMMAND ${arg_COMMAND} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(${name} PROPERTIES
      LABELS "${arg_LABELS}"
      TIMEOUT ${arg_TIMEOUT}
      PROCESSORS ${arg_PROCESSORS}
      RUN_SERIAL ${arg_SERIAL}
      FIXTURES_REQUIRED shared_memory
      ENVIRONMENT "${test_environment};${arg_ENVIRONMENT}")
    if(arg_COST)
      set_tests_properties(${name} PROPERTIES COST ${arg_COST})
    endif()
  endif()
  if(arg_SOAK OR arg_ONLY_SOAK)
    add_test(NAME soak.${name} COMMAND ${arg_COMMAND} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} CONFIGURATIONS soak)
    set_tests_properties(soak.${name} PROPERTIES
      LABELS soak
      TIMEOUT 7200
      RUN_SERIAL ON
      FIXTURES_REQUIRED shared_memory
      ENVIRONMENT "${test_environment};${arg_ENVIRONMENT};DATABLOCK_SOAK=1")
  endif()
endfunction()

# The tests must leave no file in shared memory.
foreach(step before after)
  add_test(NAME shared-memory.${step}
    COMMAND ${venv_python} tests/abi/leftovers.py ${step} ${PROJECT_BINARY_DIR}/shared-memory.json
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(shared-memory.${step} PROPERTIES TIMEOUT 60 ENVIRONMENT "${test_environment}")
endforeach()
set_tests_properties(shared-memory.before PROPERTIES FIXTURES_SETUP shared_memory)
set_tests_properties(shared-memory.after PROPERTIES FIXTURES_CLEANUP shared_memory)

set(test_tier abi)
include(cmake/TestsBuild.cmake)
include(cmake/TestsAbi.cmake)
include(cmake/TestsGo.cmake)
include(cmake/TestsProcess.cmake)
set(test_tier conformance)
include(tests/c/programs.cmake)
include(tests/cpp/programs.cmake)
include(cmake/TestsPython.cmake)
include(cmake/TestsRust.cmake)
include(cmake/TestsNode.cmake)
set(test_tier process)
include(cmake/TestsHosts.cmake)

# Instructions are counted, not timed. The result is the same on a busy machine.
datablock_test(instructions LABELS perf COST 18 COMMAND ${venv_python} tests/perf/run.py ${PROJECT_BINARY_DIR})
datablock_test(instructions.watched LABELS perf COST 8
  COMMAND ${venv_python} tests/perf/watched.py ${PROJECT_BINARY_DIR})

include(cmake/TestsArm64.cmake)
include(cmake/TestsWindows.cmake)
if(PROJECT_IS_TOP_LEVEL)
  include(cmake/TestsWindowsLibrary.cmake)
  include(cmake/TestsWindowsPrograms.cmake)
  include(cmake/TestsPackages.cmake)
  include(cmake/TestsSite.cmake)
endif()

if(EXISTS ${PROJECT_SOURCE_DIR}/tests/proof/model/run.py)
  datablock_test(model LABELS proof TIMEOUT 300 PROCESSORS 2 COST 160 COMMAND ${venv_python} tests/proof/model/run.py)
  add_test(NAME soak.model COMMAND ${venv_python} tests/proof/model/run.py --large
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} CONFIGURATIONS soak)
  set_tests_properties(soak.model PROPERTIES LABELS soak TIMEOUT 7200 RUN_SERIAL ON)
endif()

set(test_tier format)
datablock_test(vectors COMMAND ${venv_python} tests/format/vectors/check.py)
foreach(language c cpp go python)
  datablock_test(vectors.${language} TIMEOUT 300
    COMMAND ${venv_python} tests/format/vectors/native.py ${PROJECT_BINARY_DIR} ${language})
endforeach()
datablock_test(vectors.types TIMEOUT 300
  COMMAND ${venv_python} tests/format/vectors/native_types.py ${PROJECT_BINARY_DIR})
set(test_tier proof)
datablock_test(weak TIMEOUT 300 PROCESSORS 2 COST 150
  COMMAND ${venv_python} tests/proof/weak/run.py --workdir ${PROJECT_BINARY_DIR}/weak)
add_test(NAME soak.weak COMMAND ${venv_python} tests/proof/weak/run.py --large --workdir ${PROJECT_BINARY_DIR}/weak
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} CONFIGURATIONS soak)
set_tests_properties(soak.weak PROPERTIES LABELS soak TIMEOUT 7200 RUN_SERIAL ON)

# The inline functions between threads, under ThreadSanitizer.
foreach(compiler gcc clang)
  datablock_test(c.tsan.${compiler} SOAK PROCESSORS 2
    COMMAND ${venv_python} tests/proof/tsan/run.py --compiler ${compiler})
endforeach()

if(EXISTS ${PROJECT_SOURCE_DIR}/examples/demo/run.sh)
  datablock_test(demo SERIAL LABELS process TIMEOUT 120 COMMAND examples/demo/run.sh --quick)
endif()
