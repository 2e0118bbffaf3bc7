# Hosts of the library under signals: tests/hosts. They run with the released library.

set(hosts_source ${PROJECT_SOURCE_DIR}/tests/hosts)
set(hosts_build ${PROJECT_BINARY_DIR}/tests/hosts)
file(MAKE_DIRECTORY ${hosts_build})

# hosts_program(target output source flags...)
function(hosts_program target output source)
  add_executable(${target} ${hosts_source}/${source})
  set_target_properties(${target} PROPERTIES
    C_STANDARD 11 C_EXTENSIONS ON CXX_STANDARD 17
    OUTPUT_NAME ${output} RUNTIME_OUTPUT_DIRECTORY ${hosts_build}
    BUILD_RPATH "${PROJECT_BINARY_DIR};${hosts_build}")
  target_compile_options(${target} PRIVATE ${strict_flags} ${ARGN})
  target_link_options(${target} PRIVATE ${ARGN})
  target_link_libraries(${target} PRIVATE datablock hosts_handlers Threads::Threads)
endfunction()

add_library(hosts_handlers SHARED ${hosts_source}/handlers.c)
set_target_properties(hosts_handlers PROPERTIES
  C_STANDARD 11 C_EXTENSIONS ON OUTPUT_NAME handlers LIBRARY_OUTPUT_DIRECTORY ${hosts_build})
target_compile_options(hosts_handlers PRIVATE ${strict_flags})
# A host may unload this library at its end, when signals still arrive.
target_link_options(hosts_handlers PRIVATE -Wl,-z,nodelete)
target_link_libraries(hosts_handlers PRIVATE Threads::Threads)

add_executable(hosts_signaller ${hosts_source}/signaller.c)
set_target_properties(hosts_signaller PROPERTIES
  C_STANDARD 11 C_EXTENSIONS ON OUTPUT_NAME signaller RUNTIME_OUTPUT_DIRECTORY ${hosts_build})
target_compile_options(hosts_signaller PRIVATE ${strict_flags})

hosts_program(hosts_c host host.c)
hosts_program(hosts_c_inline host.inline host.c -DTEST_INLINE)
hosts_program(hosts_cpp host_cpp host.cpp -Wshadow -Wconversion)
hosts_program(hosts_cases cases cases.c)
hosts_program(hosts_cases_inline cases.inline cases.c -DTEST_INLINE)
hosts_program(hosts_exits exits exits.cpp -Wshadow -Wconversion)
hosts_program(hosts_profiled profiled profiled.c -pg)

# Without a toolchain the host is not built, and run.py skips the test.
find_program(RUSTC rustc)
if(RUSTC)
  add_custom_command(OUTPUT ${hosts_build}/host_rust
    COMMAND ${CMAKE_COMMAND} -E env --unset=MAKEFLAGS --unset=MFLAGS ${RUSTC} --edition 2021 -O -D warnings
      -L ${PROJECT_BINARY_DIR} -L ${hosts_build} -C link-arg=-Wl,-rpath,${PROJECT_BINARY_DIR}:${hosts_build}
      -o ${hosts_build}/host_rust ${hosts_source}/host.rs
    DEPENDS datablock_go hosts_handlers ${hosts_source}/host.rs
    COMMENT "Rust: host_rust"
    VERBATIM)
  add_custom_target(hosts_rust ALL DEPENDS ${hosts_build}/host_rust)
endif()
find_program(JAVAC javac)
set(jna ${PROJECT_SOURCE_DIR}/.tools/java/jna.jar)
if(JAVAC AND EXISTS ${jna})
  add_custom_command(OUTPUT ${hosts_build}/java/Host.class
    COMMAND ${JAVAC} -Xlint:all -cp ${jna} -d ${hosts_build}/java ${hosts_source}/Host.java
    DEPENDS ${hosts_source}/Host.java ${jna}
    COMMENT "Java: Host"
    VERBATIM)
  add_custom_target(hosts_java ALL DEPENDS ${hosts_build}/java/Host.class)
endif()

# hosts_test(NAME KIND [SOAK] [NEED what...] [EXCEPT signals] [OPTIONS o...] [TIMEOUT s]
#   COMMAND c...)
# KIND as in run.py. If something that NEED names is missing, the test is skipped.
function(hosts_test name kind)
  cmake_parse_arguments(PARSE_ARGV 2 arg "SOAK" "EXCEPT;TIMEOUT" "NEED;OPTIONS;COMMAND")
  set(options ${arg_OPTIONS})
  foreach(need IN LISTS arg_NEED)
    list(APPEND options --need ${need})
  endforeach()
  if(arg_EXCEPT)
    list(APPEND options --except ${arg_EXCEPT})
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300) # run.py has its own deadlines, and ends its host then
  endif()
  set(soak "")
  if(arg_SOAK)
    set(soak SOAK)
  endif()
  datablock_test(${name} ${soak} TIMEOUT ${arg_TIMEOUT}
    ENVIRONMENT DATABLOCK_LIBRARY=${PROJECT_BINARY_DIR}/libdatablock.so
    COMMAND ${venv_python} ${hosts_source}/run.py ${PROJECT_BINARY_DIR} ${kind} ${options} -- ${arg_COMMAND})
  set_tests_properties(${name} PROPERTIES SKIP_RETURN_CODE 77)
  if(arg_SOAK)
    set_tests_properties(soak.${name} PROPERTIES SKIP_RETURN_CODE 77)
  endif()
endfunction()

hosts_test(hosts.c stress SOAK COMMAND ${hosts_build}/host)
hosts_test(hosts.c.inline stress SOAK COMMAND ${hosts_build}/host.inline)
hosts_test(hosts.c.small stress SOAK COMMAND ${hosts_build}/host small)
hosts_test(hosts.cpp stress SOAK COMMAND ${hosts_build}/host_cpp)
hosts_test(hosts.rust stress SOAK NEED rustc COMMAND ${hosts_build}/host_rust)
# faulthandler handles SIGABRT and the signals of faults. Python turns SIGINT into an exception.
hosts_test(hosts.python stress SOAK EXCEPT "2 4 6 7 8 11" COMMAND ${venv_python} ${hosts_source}/host.py)
# The virtual machine uses these signals: 4, 7, 8 and 11 for faults, 13 and 25 to ignore SIGPIPE and
# SIGXFSZ, 12 to suspend threads, and 62 to interrupt input and output. With -Xrs it does not use
# the others.
hosts_test(hosts.java stress SOAK NEED java javac ${jna} EXCEPT "4 7 8 11 12 13 25 62"
  COMMAND java -Xrs -Xss8m -cp ${hosts_build}/java:${jna} Host ${PROJECT_BINARY_DIR})
hosts_test(hosts.node stress SOAK NEED node ${PROJECT_SOURCE_DIR}/.tools/node/node_modules/koffi
  COMMAND node ${hosts_source}/host.js ${PROJECT_BINARY_DIR} ${PROJECT_SOURCE_DIR}/.tools/node/node_modules/koffi)

hosts_test(hosts.cases cases SOAK TIMEOUT 900 COMMAND ${hosts_build}/cases)
# The inline functions differ in the fast path only.
hosts_test(hosts.cases.inline cases SOAK TIMEOUT 900 OPTIONS --only fast COMMAND ${hosts_build}/cases.inline)
hosts_test(hosts.exits exits SOAK TIMEOUT 600 COMMAND ${hosts_build}/exits)
hosts_test(hosts.profiled plain OPTIONS --makes gmon.out COMMAND ${hosts_build}/profiled)
