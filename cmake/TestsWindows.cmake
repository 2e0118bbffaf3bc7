# The tests for Windows, under Wine. `make test-windows` runs the short form: the label and the
# configuration `windows`. `make soak-windows` runs the long form: `windows-long`. Without the tools
# each test is skipped, and ctest names it at the end. One test at a time has the Wine prefix of the
# build.

# windows_test(NAME [SHORT | LONG] script [arguments]): the test is part of both forms, or of one
# alone. In the long form its name is windows-long.NAME. It needs the fixture windows_needs.
function(windows_test name)
  set(forms windows windows-long)
  if("${ARGV1}" STREQUAL "SHORT")
    set(forms windows)
  elseif("${ARGV1}" STREQUAL "LONG")
    set(forms windows-long)
  endif()
  list(REMOVE_ITEM ARGN SHORT LONG)
  foreach(form IN LISTS forms)
    add_test(NAME ${form}.${name} COMMAND ${venv_python} -B ${ARGN}
      WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} CONFIGURATIONS ${form})
    set_tests_properties(${form}.${name} PROPERTIES LABELS ${form} TIMEOUT 7200 RESOURCE_LOCK wine
      SKIP_RETURN_CODE 77 FIXTURES_REQUIRED "${windows_needs}" ENVIRONMENT "${test_environment}")
  endforeach()
endfunction()

# The Go tests of the library.
set(windows_needs "")
set(windows_run tests/portability/windows/run.py ${PROJECT_BINARY_DIR})
windows_test(datablock ${windows_run} .)
windows_test(internal_platform ${windows_run} internal/platform)
foreach(part IN ITEMS internal/platform.crashpoints internal/core/channel internal/core/channel.crashpoints
    internal/core/recovery internal/core/recovery.crashpoints schema)
  string(REPLACE "/" "_" name ${part})
  windows_test(${name} LONG ${windows_run} ${part})
endforeach()
