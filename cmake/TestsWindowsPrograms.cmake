# The programs of DataBlock for Windows, under Wine: `make test-windows`. They need what
# cmake/Windows.cmake builds. windows_test() is in cmake/TestsWindowsLibrary.cmake.

set(windows_python_test tests/portability/windows/python_package.py ${PROJECT_BINARY_DIR})
windows_test(python ${windows_python_test} loader writes interrupt)
windows_test(python.exchange ${windows_python_test} deliveries kills)
windows_test(python.pytest ${windows_python_test} pytest)
