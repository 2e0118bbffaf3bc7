# The library for Windows (cmake/Windows.cmake) and its headers, under Wine: `make test-windows`.
# The tests use one Wine prefix, one after the other.

add_test(NAME windows.build
  COMMAND ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR} --target windows --target windows_test_dll
  CONFIGURATIONS windows)
set_tests_properties(windows.build PROPERTIES LABELS windows TIMEOUT 900 FIXTURES_SETUP windows_build
  SKIP_REGULAR_EXPRESSION "missing: .*make setup WINDOWS=1")

function(windows_test name)
  add_test(NAME windows.${name} COMMAND ${venv_python} -B ${ARGN} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    CONFIGURATIONS windows)
  set_tests_properties(windows.${name} PROPERTIES LABELS windows TIMEOUT 3000 SKIP_RETURN_CODE 77
    RESOURCE_LOCK wine FIXTURES_REQUIRED windows_build)
endfunction()

windows_test(exports tests/abi/exports.py ${PROJECT_BINARY_DIR}/windows/datablock.dll include/datablock_inline.h)
windows_test(exports.test tests/abi/exports.py ${PROJECT_BINARY_DIR}/windows/test/datablock.dll
  include/datablock_inline.h datablock_crash_point)
windows_test(headers tests/portability/windows/headers.py)
windows_test(package tests/portability/windows/package.py ${PROJECT_BINARY_DIR})
windows_test(library tests/portability/windows/library.py ${PROJECT_BINARY_DIR})
windows_test(exchange.c tests/portability/windows/exchange.py ${PROJECT_BINARY_DIR})
