# The public headers: alone, in every standard and with every compiler that they support, and in
# agreement with the library.

set(header_warnings -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I${PROJECT_SOURCE_DIR}/include)
# Inline code is compiled with its users' warnings. Some appear only with optimization.
set(inline_warnings
  -O2 -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror -I${PROJECT_SOURCE_DIR}/include -c -o /dev/null)
find_program(GCC gcc)
find_program(GXX g++)
find_program(CLANG clang)
find_program(CLANGXX clang++)
foreach(family GCC CLANG)
  string(REPLACE GCC GXX cxx ${family})
  string(REPLACE CLANG CLANGXX cxx ${cxx})
  string(TOLOWER ${family} label)
  # A compiler that is missing makes its tests fail, not vanish.
  if(NOT ${family})
    set(${family} ${label})
  endif()
  if(NOT ${cxx})
    set(${cxx} ${label}++)
  endif()
  foreach(standard c99 c11)
    datablock_test(header.${label}.${standard}
      COMMAND ${${family}} -std=${standard} ${header_warnings} tests/abi/public.c)
  endforeach()
  foreach(standard c++17 c++20)
    datablock_test(header.${label}.${standard}
      COMMAND ${${cxx}} -std=${standard} ${header_warnings} -x c++ tests/abi/public.c)
  endforeach()
  foreach(standard c99 c++14)
    set(no_inline.${standard} -DWANT_NO_INLINE)
  endforeach()
  foreach(standard c99 c11 c17 gnu17)
    datablock_test(header.${label}.inline.${standard}
      COMMAND ${${family}} -std=${standard} ${inline_warnings} ${no_inline.${standard}} tests/abi/inline.c)
  endforeach()
  foreach(standard c++14 c++17 c++20)
    datablock_test(header.${label}.inline.${standard}
      COMMAND ${${cxx}} -std=${standard} ${inline_warnings} ${no_inline.${standard}} -x c++ tests/abi/inline.c)
  endforeach()
  datablock_test(header.${label}.inline.units
    COMMAND sh tests/abi/units.sh ${${family}} ${${cxx}} ${PROJECT_BINARY_DIR})
  set(only_gcc "")
  if("${family}" STREQUAL "CLANG")
    set(only_gcc ONLY_SOAK)
  endif()
  datablock_test(header.${label}.alone ${only_gcc} TIMEOUT 600 COMMAND sh tests/abi/alone.sh ${${family}} ${${cxx}})
  datablock_test(header.${label}.strict LONG SOAK COST 30 TIMEOUT 300 COMMAND sh tests/abi/strict.sh ${${cxx}})
  datablock_test(header.${label}.no_exceptions
    COMMAND sh tests/abi/one_error.sh ${${cxx}} "datablock.hpp needs exceptions" -std=c++17 -fno-exceptions)
  datablock_test(header.${label}.schema_refused ${only_gcc} TIMEOUT 300
    COMMAND sh tests/abi/schema_refused.sh ${${family}} ${${cxx}})
  datablock_test(header.${label}.too_old
    COMMAND sh tests/abi/one_error.sh ${${cxx}} "datablock.hpp needs C++17" -std=c++14)
  datablock_test(header.${label}.layout.c11 COMMAND ${${family}} -std=c11 ${header_warnings} tests/abi/layout.c)
  datablock_test(header.${label}.layout.c++17
    COMMAND ${${cxx}} -std=c++17 ${header_warnings} -x c++ tests/abi/layout.c)
endforeach()

# The test library also exports its crash points.
foreach(flavour . test)
  string(REPLACE . release label ${flavour})
  set(besides "")
  if(flavour STREQUAL test)
    set(besides datablock_crash_point)
  endif()
  datablock_test(exports.${label}
    COMMAND ${venv_python} tests/abi/exports.py ${PROJECT_BINARY_DIR}/${flavour}/libdatablock.so
      include/datablock_inline.h ${besides})
endforeach()

# The interface of the released library is recorded in tests/abi/recorded.
foreach(case library headers verdicts)
  datablock_test(interface.${case} COMMAND ${venv_python} tests/abi/interface.py ${PROJECT_BINARY_DIR} ${case})
  set_tests_properties(interface.${case} PROPERTIES SKIP_RETURN_CODE 77)
endforeach()

# The form of C and C++. The files of tests/ and examples/ are not formatted yet.
cmake_path(GET venv_python PARENT_PATH venv_programs)
datablock_test(lint.clang-format LABELS lint COMMAND sh tests/abi/format.sh ${venv_programs}/clang-format)

datablock_test(install TIMEOUT 180 COMMAND sh tests/abi/install.sh ${PROJECT_BINARY_DIR})
