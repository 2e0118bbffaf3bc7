# Everything in the build except the library: the administration program, the demo, the examples.

set(strict_flags -Wall -Wextra -Wpedantic -Werror)

# A Go program: datablock_go_program(TARGET file module package [tags]). The module is the
# folder of its go.mod, in which the package is.
function(datablock_go_program target file module package)
  # main.release is set in a program that has this variable.
  add_custom_target(${target} ALL
    COMMAND ${go_build} -tags=${ARGN} "-ldflags=-X main.release=${PROJECT_VERSION}" -o ${file} ${package}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}/${module}
    COMMENT "Go: ${target}"
    VERBATIM)
endfunction()

file(GLOB admin_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cmd/datablock-admin/*.go)
if(admin_sources)
  datablock_go_program(datablock-admin ${PROJECT_BINARY_DIR}/datablock-admin cmd ./datablock-admin)
  # Its man pages and its completion, from the definitions of its commands.
  set(admin_generated ${PROJECT_BINARY_DIR}/generated)
  add_custom_command(TARGET datablock-admin POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${admin_generated}
    COMMAND ${PROJECT_BINARY_DIR}/datablock-admin generate ${admin_generated} --release ${PROJECT_VERSION}
    VERBATIM)
endif()

set(demo ${target_prefix}demo)
add_custom_target(${demo})
add_dependencies(${demo} datablock_go)
if(EXISTS ${PROJECT_SOURCE_DIR}/examples/demo/CMakeLists.txt)
  add_subdirectory(examples/demo demo)
  get_property(demo_targets DIRECTORY examples/demo PROPERTY BUILDSYSTEM_TARGETS)
  if(demo_targets)
    add_dependencies(${demo} ${demo_targets})
  endif()
endif()
if(EXISTS ${PROJECT_SOURCE_DIR}/examples/c/CMakeLists.txt)
  add_subdirectory(examples/c examples/c)
endif()
if(EXISTS ${PROJECT_SOURCE_DIR}/examples/cpp/CMakeLists.txt)
  add_subdirectory(examples/cpp examples/cpp)
endif()
