# The packages of cmake/Wheels.cmake and of scripts: `make test-packages` builds, installs and uses
# them. A test without its tools is skipped, and ctest names it at the end.

function(package_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "NEEDS;COMMAND")
  add_test(NAME package.${name} COMMAND ${arg_COMMAND}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} CONFIGURATIONS packages)
  set_tests_properties(package.${name} PROPERTIES LABELS package TIMEOUT 3600 SKIP_RETURN_CODE 77
    FIXTURES_REQUIRED "shared_memory;${arg_NEEDS}" ENVIRONMENT "${test_environment}")
endfunction()

# The wheels and, for the tests, what they are compared with.
foreach(system linux windows)
  package_test(build.${system} COMMAND ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR} --target wheel_${system})
  set_tests_properties(package.build.${system} PROPERTIES FIXTURES_SETUP package_${system}
    SKIP_REGULAR_EXPRESSION "missing: .*make setup" RESOURCE_LOCK package_build)
endforeach()
package_test(build.source COMMAND ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR} --target wheel_source)
set_tests_properties(package.build.source PROPERTIES FIXTURES_SETUP package_source
  SKIP_REGULAR_EXPRESSION "missing: .*make setup" RESOURCE_LOCK package_build)

set(packages_tests ${venv_python} -B tests/packages)
foreach(case same_bytes symbols audit install extension host musl)
  package_test(${case} NEEDS package_linux COMMAND ${packages_tests}/wheels.py ${PROJECT_BINARY_DIR} ${case})
endforeach()
package_test(contents NEEDS package_linux package_windows
  COMMAND ${packages_tests}/wheels.py ${PROJECT_BINARY_DIR} contents)
package_test(source NEEDS package_source COMMAND ${packages_tests}/wheels.py ${PROJECT_BINARY_DIR} source)
package_test(arm64 NEEDS package_linux COMMAND ${packages_tests}/arm64.py ${PROJECT_BINARY_DIR})
package_test(windows NEEDS package_windows COMMAND ${packages_tests}/windows.py ${PROJECT_BINARY_DIR})
set_tests_properties(package.windows PROPERTIES RESOURCE_LOCK wine)

package_test(build.deb COMMAND ${PROJECT_SOURCE_DIR}/scripts/deb.sh ${PROJECT_BINARY_DIR}/dist)
set_tests_properties(package.build.deb PROPERTIES FIXTURES_SETUP package_deb
  SKIP_REGULAR_EXPRESSION "missing: .*make setup;is no clone of the repository" RESOURCE_LOCK package_build)
package_test(deb NEEDS package_deb COMMAND ${packages_tests}/deb.py ${PROJECT_BINARY_DIR} minimal_root)
package_test(deb.lintian NEEDS package_deb COMMAND ${packages_tests}/deb.py ${PROJECT_BINARY_DIR} lintian)
package_test(deb.same_bytes NEEDS package_deb COMMAND ${packages_tests}/deb.py ${PROJECT_BINARY_DIR} same_bytes)

foreach(case proxy replace)
  package_test(go.${case} COMMAND ${packages_tests}/go_module.py ${PROJECT_BINARY_DIR} ${case})
endforeach()

package_test(pkg_config COMMAND ${packages_tests}/pkg_config.py ${PROJECT_BINARY_DIR})

foreach(case properties changed)
  package_test(library.${case} NEEDS package_deb
    COMMAND ${packages_tests}/library.py ${PROJECT_BINARY_DIR} ${case})
endforeach()

# One block, used at once by programs from every package.
package_test(together NEEDS package_linux package_deb
  COMMAND ${packages_tests}/together.py ${PROJECT_BINARY_DIR})
set_tests_properties(package.together PROPERTIES PROCESSORS 2)

# The commands of the documents, from nothing to the first message. No time is compared.
package_test(trial.python NEEDS package_linux COMMAND ${packages_tests}/trial.py ${PROJECT_BINARY_DIR} python)
package_test(trial.deb NEEDS package_deb COMMAND ${packages_tests}/trial.py ${PROJECT_BINARY_DIR} deb)
set_tests_properties(package.trial.python package.trial.deb PROPERTIES TIMEOUT 600)
