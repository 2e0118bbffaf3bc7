# How DataBlock is built, found and packaged. These tests configure builds of their own, in folders of their own.

foreach(case subproject fetch_content spaces pkg_config plain_make old_go no_home declarations wheel)
  datablock_test(build.${case} TIMEOUT 300 COMMAND ${venv_python} -B tests/build/run.py ${PROJECT_BINARY_DIR} ${case})
  set_tests_properties(build.${case} PROPERTIES LABELS build SKIP_RETURN_CODE 77)
endforeach()
