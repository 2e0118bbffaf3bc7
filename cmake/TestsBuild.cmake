# How DataBlock is built, found and packaged. Each of these tests configures its own build, in its
# own folder.

foreach(case subproject fetch_content spaces pkg_config find_package plain_make old_go no_home declarations wheel)
  datablock_test(build.${case} LONG LABELS abi build TIMEOUT 300
    COMMAND ${venv_python} tests/build/run.py ${PROJECT_BINARY_DIR} ${case})
  set_tests_properties(build.${case} PROPERTIES SKIP_RETURN_CODE 77)
endforeach()

foreach(case reproducible offline refusals)
  datablock_test(build.dist.${case} LONG LABELS abi build COST 60 TIMEOUT 1200
    COMMAND ${venv_python} tests/build/dist.py ${PROJECT_BINARY_DIR} ${case})
  set_tests_properties(build.dist.${case} PROPERTIES SKIP_RETURN_CODE 77)
endforeach()
