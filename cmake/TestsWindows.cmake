# The Go tests for Windows, under Wine: `make test-windows`. Without the tools each test is skipped,
# and ctest names it at the end. One test at a time has the Wine prefix of the build.

foreach(part internal/platform internal/platform.crashpoints internal/core/channel internal/core/channel.crashpoints
    internal/core/recovery internal/core/recovery.crashpoints schema . processes)
  string(REPLACE "/" "_" name ${part})
  if(part STREQUAL .)
    set(name datablock)
  endif()
  add_test(NAME windows.${name}
    COMMAND ${venv_python} -B tests/portability/windows/run.py ${PROJECT_BINARY_DIR} ${part}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} CONFIGURATIONS windows)
  set_tests_properties(windows.${name} PROPERTIES
    LABELS windows TIMEOUT 7200 RESOURCE_LOCK wine SKIP_RETURN_CODE 77 ENVIRONMENT "${test_environment}")
endforeach()
