# Python wheels with the library inside, and the source distribution. The targets wheel_linux,
# wheel_windows and wheel_source make them in dist/ of the build folder, and `wheel` makes all.
# `make setup PACKAGES=1 WINDOWS=1` installs the tools. The tests are in tests/packages.

set(wheels ${PROJECT_BINARY_DIR}/dist)
set(packages_python ${PROJECT_SOURCE_DIR}/.tools/packages/bin/python)
set(make_wheel ${packages_python} ${PROJECT_SOURCE_DIR}/scripts/wheel.py ${PROJECT_VERSION} ${wheels})

if(NOT EXISTS ${packages_python})
  foreach(target wheel wheel_linux wheel_windows wheel_source)
    add_custom_target(${target}
      COMMAND ${CMAKE_COMMAND} -E echo "missing: .tools/packages: `make setup PACKAGES=1` installs it"
      COMMAND ${CMAKE_COMMAND} -E false
      VERBATIM)
  endforeach()
  return()
endif()

# The oldest C library of the wheels for Linux. The compiler links with stubs of this version, so
# that the library cannot need a newer function.
set(wheel_glibc 2.28)
string(REPLACE . _ wheel_policy manylinux_${wheel_glibc})

# The normal build with another compiler: clang, which PyPI's ziglang contains with these stubs.
set(wheel_environment ${go_environment})
list(FILTER wheel_environment EXCLUDE REGEX "^CC=")
set(zig_cache ZIG_GLOBAL_CACHE_DIR=${PROJECT_BINARY_DIR}/zig ZIG_LOCAL_CACHE_DIR=${PROJECT_BINARY_DIR}/zig)

add_custom_target(wheel_linux)
function(linux_wheel machine go_machine)
  set(library ${PROJECT_BINARY_DIR}/wheels/${machine}/${soname})
  set(compiler "'${packages_python}' -m ziglang cc -target ${machine}-linux-gnu.${wheel_glibc}")
  add_custom_target(wheel_${machine}
    COMMAND ${wheel_environment} ${zig_cache} GOOS=linux GOARCH=${go_machine} "CC=${compiler}"
      ${GO} ${go_library_flags} -o ${library} ./capi
    COMMAND ${make_wheel} ${wheel_policy}_${machine} ${library}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    COMMENT "Wheel: ${wheel_policy}_${machine}"
    VERBATIM)
  add_dependencies(wheel_linux wheel_${machine})
endfunction()
linux_wheel(x86_64 amd64)
linux_wheel(aarch64 arm64)

add_custom_target(wheel_source
  COMMAND ${make_wheel} source
  COMMENT "Source distribution of the Python package"
  VERBATIM)

add_custom_target(wheel_windows)
if(windows_missing)
  add_dependencies(wheel_windows windows) # says what is missing
else()
  add_custom_target(wheel_win_amd64
    COMMAND ${make_wheel} win_amd64 ${windows_directory}/datablock.dll
    COMMENT "Wheel: win_amd64"
    VERBATIM)
  add_dependencies(wheel_win_amd64 windows_dll)
  add_dependencies(wheel_windows wheel_win_amd64)
endif()

add_custom_target(wheel)
add_dependencies(wheel wheel_linux wheel_windows wheel_source)
