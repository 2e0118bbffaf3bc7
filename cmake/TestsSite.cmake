# The reference site of `make docs`, only in `make test-docs`: it needs tools that
# `make setup DOCS=1` installs.

find_program(site_python NAMES python PATHS ${PROJECT_SOURCE_DIR}/.tools/docs/bin NO_DEFAULT_PATH NO_CACHE)
if(NOT site_python)
  set(site_python ${venv_python}) # the test then says what is missing
endif()
add_test(NAME site COMMAND ${site_python} -B tests/site/site.py ${PROJECT_BINARY_DIR}
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} CONFIGURATIONS docs)
set_tests_properties(site PROPERTIES LABELS site TIMEOUT 1200 SKIP_RETURN_CODE 77
  ENVIRONMENT "${go_test_flags};${go_caches}")
