# The Go tool makes the library, and decides what is out of date. Targets: `datablock`, which
# programs link, and for tests `datablock_crashpoints`, the same library with the crash points
# compiled in.

set(soname libdatablock.so.${PROJECT_VERSION_MAJOR})
# Go builds a package again when a file in the package's own folder changes, and checks no other
# folder. Therefore an overlay shows Go the public headers in capi/. A header of a folder below
# include/ has the folder in its name there, because Go checks no folder below the package either.
set(go_overlay ${PROJECT_BINARY_DIR}/overlay.json)
file(GLOB_RECURSE headers RELATIVE ${PROJECT_SOURCE_DIR}/include CONFIGURE_DEPENDS include/*.h)
set(replaced "")
foreach(header ${headers})
  string(REPLACE / _ shown ${header})
  list(APPEND replaced "\"${PROJECT_SOURCE_DIR}/capi/${shown}\": \"${PROJECT_SOURCE_DIR}/include/${header}\"")
endforeach()
list(JOIN replaced ", " replaced)
file(CONFIGURE OUTPUT ${go_overlay} CONTENT "{\"Replace\": {${replaced}}}\n")

# In a host's process Go's own packages must not change what belongs to the host. The library is
# built with some of their files replaced: the files in capi/_go say which, and why. The build fails
# if a version of Go does not have what these files need.
execute_process(COMMAND ${go_alone} ${GO} env GOROOT
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE go_root OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY)
if(NOT EXISTS ${go_root}/src/syscall/rlimit.go)
  message(FATAL_ERROR "capi/_go/rlimit.go replaces syscall/rlimit.go, which this version of Go (${go_root}) \
does not have: find out what raises RLIMIT_NOFILE there")
endif()
foreach(own runtime/datablock.go=runtime.go internal/poll/datablock.go=poll.go syscall/rlimit.go=rlimit.go)
  string(REGEX REPLACE "^(.+)=(.+)$" "\"${go_root}/src/\\1\": \"${PROJECT_SOURCE_DIR}/capi/_go/\\2\"" own ${own})
  string(APPEND replaced ", " ${own})
endforeach()

# The Go runtime unblocks some signals on every thread that runs Go. A signal handler of the host
# would then run on a goroutine's stack. The library's table of signals has this mark only for
# SIGSEGV and SIGBUS, and for 32 and 33, which belong to glibc.
set(signal_table src/runtime/sigtab_linux_generic.go)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${go_root}/${signal_table})
file(READ ${go_root}/${signal_table} signals)
foreach(name SIGILL SIGTRAP SIGFPE SIGSTKFLT SIGCHLD SIGPROF "signal 34")
  set(before "${signals}")
  string(REGEX REPLACE "( \\+ _SigUnblock)([^\n]*\"${name}[:\"])" "\\2" signals "${signals}")
  if(signals STREQUAL before)
    message(FATAL_ERROR "${go_root}/${signal_table} has changed: ${name} is not unblocked in it. \
See cmake/Library.cmake.")
  endif()
endforeach()
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/go/signals CONTENT "@signals@" @ONLY)
string(APPEND replaced ", \"${go_root}/${signal_table}\": \"${PROJECT_BINARY_DIR}/go/signals\"")
set(library_overlay ${PROJECT_BINARY_DIR}/overlay_library.json)
file(CONFIGURE OUTPUT ${library_overlay} CONTENT "{\"Replace\": {${replaced}}}\n")

# The runtime does not send SIGURG, for which a host may have a handler. It keeps no descriptors of
# the control group's limits open.
set(go_debug asyncpreemptoff=1,containermaxprocs=0,updatemaxprocs=0)

# Paths may have spaces. GOFLAGS, the flags of the linker, and the flags of the linker that it calls
# are each split at spaces outside of quotation marks.
set(go_test_flags "GOFLAGS=\"-overlay=${go_overlay}\" -buildvcs=false" GOWORK=${go_work})
set(go_build ${go_environment} ${GO} build -buildvcs=false -trimpath -overlay ${go_overlay})
# Go links again when a flag changes, and does not look into the version script. Therefore the copy
# that it gets has the hash of the contents in its name.
set(version_script ${PROJECT_SOURCE_DIR}/capi/datablock.map)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${version_script})
file(SHA256 ${version_script} version_script_hash)
string(SUBSTRING ${version_script_hash} 0 16 version_script_hash)
set(version_script_copy ${PROJECT_BINARY_DIR}/go/datablock-${version_script_hash}.map)
configure_file(${version_script} ${version_script_copy} COPYONLY)
set(go_ldflags
    "-s -w -X runtime.godebugDefault=${go_debug} -extldflags '-Wl,-soname,${soname} \
-Xlinker \"--version-script=${version_script_copy}\" -Wl,-z,relro,-z,now'")
# Go's build id depends on the paths of the sources, and tells the next build whether it has to
# link. Without the id each build links, and the same sources make the same bytes in every folder.
option(DATABLOCK_REPRODUCIBLE "Make the same library of the same sources, whatever their folder" OFF)
if(DATABLOCK_REPRODUCIBLE)
  string(REPLACE "-s -w " "-s -w -buildid= -B none " go_ldflags "${go_ldflags}")
  string(REPLACE "-Wl,-z,relro" "-Wl,--build-id=sha1 -Wl,-z,relro" go_ldflags "${go_ldflags}")
endif()
# How Go makes the library, with any C compiler: cmake/Wheels.cmake uses another one.
set(go_library_flags build -buildvcs=false -trimpath -overlay ${library_overlay} -buildmode=c-shared
  "-ldflags=${go_ldflags}")

# A running program may have the old library mapped. The new library takes the name by a rename, and
# only if it differs.
set(replace_if_different [[cmp -s "$1" "$2" || { cp "$1" "$2.new" && mv "$2.new" "$2"; }]])

# datablock_library(TARGET directory tags [DEBUG]): DEBUG keeps what debuggers and abidw read.
function(datablock_library target directory tags)
  if("${ARGV3}" STREQUAL "DEBUG")
    string(REPLACE "-s -w " "" go_library_flags "${go_library_flags}")
  endif()
  set(file ${directory}/libdatablock.so.${PROJECT_VERSION})
  set(fresh ${PROJECT_BINARY_DIR}/go/${target}/libdatablock.so)
  add_custom_target(${target}_go ALL
    COMMAND ${go_environment} ${GO} ${go_library_flags} -tags=${tags} -o ${fresh} ./capi
    COMMAND ${CMAKE_COMMAND} -E make_directory ${directory}
    COMMAND sh -c "${replace_if_different}" sh ${fresh} ${file}
    COMMAND ${CMAKE_COMMAND} -E chdir ${directory}
      ${CMAKE_COMMAND} -E create_symlink libdatablock.so.${PROJECT_VERSION} ${soname}
    COMMAND ${CMAKE_COMMAND} -E chdir ${directory} ${CMAKE_COMMAND} -E create_symlink ${soname} libdatablock.so
    BYPRODUCTS ${file}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    COMMENT "Go: ${target}"
    VERBATIM)
  add_library(${target} SHARED IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES
    IMPORTED_LOCATION ${file}
    IMPORTED_SONAME ${soname}
    INTERFACE_INCLUDE_DIRECTORIES ${PROJECT_SOURCE_DIR}/include)
  add_dependencies(${target} ${target}_go)
endfunction()

datablock_library(datablock ${PROJECT_BINARY_DIR} "")
add_library(datablock::datablock ALIAS datablock)
