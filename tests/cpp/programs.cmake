# datablock.hpp: its tests, in each standard with each compiler, and the header alone.
#
# build/tests/cpp/test_transactions.COMPILER.STANDARD, and the same with .sanitized. gcc has both
# sanitizers. On some systems the runtime of clang's sanitizers is a separate package. Therefore
# clang has the undefined-behaviour sanitizer only, which ends the program and needs no runtime.
# `exported` uses the exported functions, as programs of other compilers do.

set(cpp_test_directory ${PROJECT_BINARY_DIR}/tests/cpp)
set(cpp_source ${PROJECT_SOURCE_DIR}/tests/cpp/test_transactions.cpp)
file(GLOB_RECURSE public_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/include/*)
set(sanitize.gcc ${sanitize})
set(sanitize.clang -O0 -fsanitize=undefined -fsanitize-trap=undefined -Dalways_inline=unused)

# cpp_transactions(label compiler flags...). With cpp_transactions_soak ON only `make soak` builds
# and runs the program: one compilation takes half a minute.
function(cpp_transactions label compiler)
  set(program ${cpp_test_directory}/test_transactions.${label})
  if(compiler)
    add_custom_command(OUTPUT ${program}
      COMMAND ${compiler} ${test_debug} ${strict_flags} -Wshadow -Wconversion -I${PROJECT_SOURCE_DIR}/include ${ARGN}
        -o ${program} ${cpp_source}
        -L${PROJECT_BINARY_DIR}/test -ldatablock -Wl,-rpath,${PROJECT_BINARY_DIR}/test -pthread
      DEPENDS datablock_crashpoints_go ${cpp_source} ${PROJECT_SOURCE_DIR}/tests/cpp/check.hpp ${public_headers}
      COMMENT "C++: test_transactions.${label}"
      VERBATIM)
    add_custom_target(cpp_transactions.${label} ALL DEPENDS ${program})
  endif()
  if(cpp_transactions_soak)
    set_property(GLOBAL APPEND PROPERTY datablock_soak_targets cpp_transactions.${label})
    datablock_test(cpp.transactions.${label} ONLY_SOAK ENVIRONMENT ${sanitized_environment}
      COMMAND ${build_and_run} cpp_transactions.${label} ${program})
  else()
    datablock_test(cpp.transactions.${label} ENVIRONMENT ${sanitized_environment} COMMAND ${program})
  endif()
endfunction()

file(MAKE_DIRECTORY ${cpp_test_directory})
foreach(family gcc clang)
  if(family STREQUAL gcc)
    find_program(CPP_gcc g++)
  else()
    find_program(CPP_clang clang++)
  endif()
  foreach(standard 17 20)
    # `make test` has each compiler and each standard once plain and once with sanitizers.
    set(cpp_transactions_soak OFF)
    if("${family}.${standard}" MATCHES "^(gcc.17|clang.20)$")
      set(cpp_transactions_soak ON)
    endif()
    cpp_transactions(${family}.c++${standard} "${CPP_${family}}" -std=c++${standard} -O2)
    if(cpp_transactions_soak)
      set(cpp_transactions_soak OFF)
    else()
      set(cpp_transactions_soak ON)
    endif()
    cpp_transactions(${family}.c++${standard}.sanitized "${CPP_${family}}" -std=c++${standard} ${sanitize.${family}})
    set(cpp_transactions_soak OFF)
    # `make soak` has C++17 here: header.COMPILER.strict compiles the same file in C++17 with more
    # warnings, without -O2.
    set(how_often "")
    if(standard EQUAL 17)
      set(how_often ONLY_SOAK)
    endif()
    foreach(inline WANT_INLINE WANT_NO_INLINE)
      string(TOLOWER ${inline} how)
      string(REPLACE want_ "" how ${how})
      datablock_test(header.${family}.hpp.${how}.c++${standard} ${how_often} LABELS abi COST 5
        COMMAND ${CPP_${family}} -std=c++${standard} ${inline_warnings} -D${inline} tests/abi/transactions.cpp)
    endforeach()
  endforeach()
endforeach()
cpp_transactions(exported "${CPP_gcc}" -std=c++17 -O0 -DTEST_EXPORTED)
datablock_test(cpp.transactions.go ENVIRONMENT DATABLOCK_TEST_GO=1
  COMMAND ${cpp_test_directory}/test_transactions.exported)

# The other parts of datablock.hpp, with each compiler and the sanitizers. `make soak` has clang,
# whose sanitizer finds less than those of gcc. With clang `make test` compiles every function
# (header.clang.strict) and runs test_transactions.
set(cpp_tests_soak closing) # `make soak` runs them for longer
foreach(test batch observer schema shared wait_any integrity recovery closing)
  set(how "")
  if(test IN_LIST cpp_tests_soak)
    set(how SOAK)
  endif()
  foreach(family gcc clang)
    if(CPP_${family})
      set(program ${cpp_test_directory}/test_${test}.${family})
      add_custom_command(OUTPUT ${program}
        COMMAND ${CPP_${family}} ${test_debug} -std=c++17 ${sanitize.${family}} ${strict_flags} -Wshadow -Wconversion
          -I${PROJECT_SOURCE_DIR}/include -o ${program} ${PROJECT_SOURCE_DIR}/tests/cpp/test_${test}.cpp
          -L${PROJECT_BINARY_DIR}/test -ldatablock -Wl,-rpath,${PROJECT_BINARY_DIR}/test -pthread
        DEPENDS datablock_crashpoints_go ${PROJECT_SOURCE_DIR}/tests/cpp/test_${test}.cpp
          ${PROJECT_SOURCE_DIR}/tests/cpp/check.hpp ${public_headers}
        COMMENT "C++: test_${test}.${family}"
        VERBATIM)
      add_custom_target(cpp_${test}.${family} ALL DEPENDS ${program})
    endif()
    if(family STREQUAL clang)
      set_property(GLOBAL APPEND PROPERTY datablock_soak_targets cpp_${test}.clang)
      datablock_test(cpp.${test}.clang ONLY_SOAK ENVIRONMENT ${sanitized_environment}
        COMMAND ${build_and_run} cpp_${test}.clang ${program})
    else()
      datablock_test(cpp.${test}.${family} ${how} ENVIRONMENT ${sanitized_environment} COMMAND ${program})
    endif()
  endforeach()
endforeach()

# Objects that are moved between shared objects. Each shared object has its own copy of the inline
# code, and one of them is loaded and unloaded.
foreach(family gcc clang)
  set(program ${cpp_test_directory}/test_moved.${family})
  if(CPP_${family})
    set(command ${CPP_${family}} ${test_debug} -std=c++17 -O2 -fvisibility=hidden -fvisibility-inlines-hidden
      ${strict_flags}
      -Wshadow -Wconversion -I${PROJECT_SOURCE_DIR}/include)
    set(against -L${PROJECT_BINARY_DIR}/test -ldatablock -Wl,-rpath,${PROJECT_BINARY_DIR}/test)
    set(library ${PROJECT_SOURCE_DIR}/tests/cpp/moved_library.cpp)
    add_custom_command(OUTPUT ${program}
      COMMAND ${command} -shared -fPIC -o ${program}.linked.so ${library} ${against}
      COMMAND ${command} -shared -fPIC -o ${program}.plugin.so ${library} ${against}
      COMMAND ${command} -DPLUGIN="${program}.plugin.so" -o ${program} ${PROJECT_SOURCE_DIR}/tests/cpp/test_moved.cpp
        ${program}.linked.so ${against} -pthread -ldl
      DEPENDS datablock_crashpoints_go ${library} ${PROJECT_SOURCE_DIR}/tests/cpp/test_moved.cpp
        ${PROJECT_SOURCE_DIR}/tests/cpp/check.hpp ${public_headers}
      COMMENT "C++: test_moved.${family}"
      VERBATIM)
    add_custom_target(cpp_moved.${family} ALL DEPENDS ${program})
  endif()
  datablock_test(cpp.moved.${family} COMMAND ${program})
endforeach()

foreach(example transactions next_slot video_frames control_loop two_cameras)
  datablock_test(example.cpp.${example} LABELS docs
    COMMAND sh examples/cpp/${example}/run.sh ${PROJECT_BINARY_DIR}/examples/cpp)
endforeach()
