# The library for Windows (cmake/Windows.cmake), its headers, and processes that share a block: see
# cmake/TestsWindows.cmake.

add_test(NAME windows.build
  COMMAND ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR} --target windows --target windows_test_dll
  CONFIGURATIONS windows windows-long)
set_tests_properties(windows.build PROPERTIES LABELS windows TIMEOUT 900 FIXTURES_SETUP windows_build
  SKIP_REGULAR_EXPRESSION "missing: .*make setup WINDOWS=1")

set(windows_needs windows_build)
set(windows_tests tests/portability/windows)
windows_test(exports tests/abi/exports.py ${PROJECT_BINARY_DIR}/windows/datablock.dll include/datablock_inline.h)
windows_test(exports.test tests/abi/exports.py ${PROJECT_BINARY_DIR}/windows/test/datablock.dll
  include/datablock_inline.h datablock_crash_point)
windows_test(headers ${windows_tests}/headers.py)
windows_test(package ${windows_tests}/package.py ${PROJECT_BINARY_DIR})
windows_test(library SHORT ${windows_tests}/library.py ${PROJECT_BINARY_DIR}
  test_capi test_batch test_read_copy test_shared)
windows_test(library LONG ${windows_tests}/library.py ${PROJECT_BINARY_DIR})
windows_test(exchange SHORT ${windows_tests}/exchange.py ${PROJECT_BINARY_DIR} --messages=300 --kills=2)
windows_test(exchange LONG ${windows_tests}/exchange.py ${PROJECT_BINARY_DIR} --messages=100000 --kills=50)
windows_test(processes SHORT ${windows_run} processes)
windows_test(kill_points LONG ${windows_run} processes --long -test.run=^TestKilledAtEveryPoint$)
windows_test(processes LONG ${windows_run} processes --long -test.skip=^TestKilledAtEveryPoint$ -test.short)
# These do not need the prefix.
foreach(name IN ITEMS exports exports.test headers)
  set_tests_properties(windows.${name} windows-long.${name} PROPERTIES RESOURCE_LOCK "")
endforeach()
