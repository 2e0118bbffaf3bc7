# C and C++ programs that use the library. `test_*` are tests. Each runs in five ways, except the
# tests of c_tests_all_ways and c_tests_not_go: plain, with
# the address and undefined-behaviour sanitizers, both again with the inline functions
# (NAME.inline), and with every call through Go (NAME.go in ctest). `make soak` has one of the five,
# the sanitizers without the inline functions: NAME.inline.sanitized checks the same code of the
# test, and the header's; the library itself has no sanitizers. Every other program is a helper that
# tests start: build/tests/c/NAME. All link the library with the crash points, which is otherwise
# the same as the released library.

# Tests that measure, or that are valid only on an otherwise idle machine.
set(c_tests_serial)
# Tests that `make soak` runs for longer.
set(c_tests_soak test_capi_mixed test_hostile test_memory_gone)
# Tests that choose for each call: exported, inline, or through Go.
set(c_tests_all_ways test_capi_mixed)
# Tests of properties that calls through Go do not have.
set(c_tests_not_go test_system_calls)
# Helpers that also exist with the inline functions.
set(c_programs_inline errors)
# The tiers of tests, by the beginning of their names. All others are conformance tests.
set(c_tiers test_capi_handles=concurrency test_threads=concurrency test_capi_processes=process test_deaths=process
  test_hostile=format test_memory_gone=process test_host=process)

# -O0: at -O1 the sanitizers compile for three times as long, and find the same. Without
# always_inline the compiler makes one function of each inline function, not one copy for each call:
# a sixth of the time, and the sanitizers check the same code.
set(sanitize -O0 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
  -Dalways_inline=unused)
set(c_test_directory ${PROJECT_BINARY_DIR}/tests/c)
# Debug information of tests: functions and lines, for the sanitizers' reports. More takes longer.
set(test_debug -g1)

# Programs of `make soak` are built by their tests: build_and_run TARGET PROGRAM.
set(build_and_run sh -c "\"$1\" --build \"$2\" --target \"$3\" && \"$4\"" sh ${CMAKE_COMMAND} ${PROJECT_BINARY_DIR})

find_package(Threads REQUIRED)

function(c_program target source)
  add_executable(${target} ${source})
  set_target_properties(${target} PROPERTIES
    C_STANDARD 11 C_EXTENSIONS ON CXX_STANDARD 17
    RUNTIME_OUTPUT_DIRECTORY ${c_test_directory}
    BUILD_RPATH ${PROJECT_BINARY_DIR}/test)
  target_compile_options(${target} PRIVATE ${strict_flags} ${test_debug} ${ARGN})
  target_link_options(${target} PRIVATE ${ARGN})
  target_link_libraries(${target} PRIVATE datablock_crashpoints Threads::Threads)
endfunction()

# The C++ worker: build/tests/cpp/worker.
c_program(cpp_worker ${PROJECT_SOURCE_DIR}/tests/cpp/worker.cpp)
set_target_properties(cpp_worker PROPERTIES
  OUTPUT_NAME worker RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests/cpp)

set(sanitized_environment
  ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1)

file(GLOB c_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/c/*.c ${PROJECT_SOURCE_DIR}/tests/c/*.cpp)
foreach(source IN LISTS c_sources)
  get_filename_component(name ${source} NAME_WE)
  set(ways .)
  if(name IN_LIST c_programs_inline OR (name MATCHES "^test_" AND NOT name IN_LIST c_tests_all_ways))
    list(APPEND ways .inline.)
  endif()
  set(how "")
  if(name IN_LIST c_tests_serial)
    list(APPEND how SERIAL)
  endif()
  if(name IN_LIST c_tests_soak)
    list(APPEND how SOAK)
  endif()
  foreach(tier IN LISTS c_tiers)
    if(tier MATCHES "^${name}=(.*)$")
      list(APPEND how LABELS ${CMAKE_MATCH_1})
    endif()
  endforeach()
  string(REGEX REPLACE "^test_" "c." test ${name})
  foreach(way IN LISTS ways)
    string(REGEX REPLACE "[.]$" "" suffix ${way})
    string(REPLACE . _ target c_${name}${suffix})
    set(flags "")
    if(way STREQUAL .inline.)
      set(flags -DTEST_INLINE)
      if(name IN_LIST c_programs_inline)
        list(APPEND flags -O1 -Dalways_inline=unused) # as the sanitized programs
      endif()
    endif()
    c_program(${target} ${source} ${flags})
    set_target_properties(${target} PROPERTIES OUTPUT_NAME ${name}${suffix})
    if(name MATCHES "^test_")
      datablock_test(${test}${suffix} ${how} COMMAND ${c_test_directory}/${name}${suffix})
      c_program(${target}_sanitized ${source} ${flags} ${sanitize})
      set_target_properties(${target}_sanitized PROPERTIES OUTPUT_NAME ${name}${suffix}.sanitized)
      set(program ${c_test_directory}/${name}${suffix}.sanitized)
      set(sanitized_test ${test}${suffix}.sanitized ${how} ENVIRONMENT ${sanitized_environment})
      if(way STREQUAL .inline. OR name IN_LIST c_tests_all_ways)
        datablock_test(${sanitized_test} COMMAND ${program})
      else()
        set_property(GLOBAL APPEND PROPERTY datablock_soak_targets ${target}_sanitized)
        datablock_test(${sanitized_test} ONLY_SOAK COMMAND ${build_and_run} ${target}_sanitized ${program})
      endif()
    endif()
  endforeach()
  if(name MATCHES "^test_" AND NOT name IN_LIST c_tests_all_ways AND NOT name IN_LIST c_tests_not_go)
    datablock_test(${test}.go ${how} ENVIRONMENT DATABLOCK_TEST_GO=1 COMMAND ${c_test_directory}/${name})
  endif()
endforeach()

# CRC32C without the instruction of the processor: the library computes all checksums, in software.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
  set(no_instruction GODEBUG=cpu.crc32=off)
else()
  set(no_instruction GODEBUG=cpu.sse42=off)
endif()
datablock_test(c.checksum.software ENVIRONMENT ${no_instruction} COMMAND ${c_test_directory}/test_checksum)
datablock_test(c.checksum.inline.software ENVIRONMENT ${no_instruction}
  COMMAND ${c_test_directory}/test_checksum.inline)

# Handles and threads with the thread sanitizer, which sees inline code, but not the library.
set(thread_sanitizer -O1 -fsanitize=thread -Dalways_inline=unused)
if(CMAKE_C_COMPILER_ID STREQUAL GNU)
  list(APPEND thread_sanitizer -Wno-tsan) # for a fence that machines without membarrier need
endif()
c_program(c_test_capi_handles_tsan ${PROJECT_SOURCE_DIR}/tests/c/test_capi_handles.c -DTEST_INLINE ${thread_sanitizer})
set_target_properties(c_test_capi_handles_tsan PROPERTIES OUTPUT_NAME test_capi_handles.inline.tsan)
datablock_test(c.capi_handles.inline.tsan LABELS concurrency COMMAND ${c_test_directory}/test_capi_handles.inline.tsan)

datablock_test(example.c.sensor_stream LABELS docs
  COMMAND sh examples/c/sensor_stream/run.sh ${PROJECT_BINARY_DIR}/examples/c)
