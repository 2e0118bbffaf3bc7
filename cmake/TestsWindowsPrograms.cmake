# The programs of DataBlock for Windows, under Wine: `make test-windows`. They need what
# cmake/Windows.cmake builds. windows_test() is in cmake/TestsWindowsLibrary.cmake.

set(windows_python_test tests/portability/windows/python_package.py ${PROJECT_BINARY_DIR})
windows_test(python ${windows_python_test} loader writes ends copies interrupt paths sizes)
windows_test(python.exchange ${windows_python_test} deliveries kills)
windows_test(python.pytest LONG ${windows_python_test} pytest)

set(windows_admin_test tests/portability/windows/admin.py ${PROJECT_BINARY_DIR})
windows_test(admin ${windows_admin_test} living dead damage garbage)
windows_test(admin.names ${windows_admin_test} schemas refusals)

set(windows_cpp_test tests/portability/windows/cpp.py ${PROJECT_BINARY_DIR})
windows_test(cpp ${windows_cpp_test} test_batch test_integrity test_observer test_schema test_shared)
windows_test(cpp.waits ${windows_cpp_test} test_closing test_wait_any)
windows_test(cpp.transactions ${windows_cpp_test} test_transactions)
windows_test(statuses tests/portability/windows/statuses.py ${PROJECT_BINARY_DIR})
