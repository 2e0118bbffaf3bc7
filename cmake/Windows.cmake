# The library for Windows, cross-built by MinGW: the target `windows` makes build/windows/ with all
# that a program for Windows needs. `make windows` builds it. The tests of the library are in
# tests/portability/windows.

set(windows_directory ${PROJECT_BINARY_DIR}/windows)
set(windows_compiler x86_64-w64-mingw32-gcc)
set(windows_missing "")
foreach(tool IN ITEMS ${windows_compiler} x86_64-w64-mingw32-dlltool llvm-dlltool)
  string(MAKE_C_IDENTIFIER WINDOWS_${tool} found)
  find_program(${found} ${tool})
  mark_as_advanced(${found})
  if(NOT ${found})
    list(APPEND windows_missing ${tool})
  endif()
endforeach()
if(windows_missing)
  list(JOIN windows_missing " and " windows_missing)
  foreach(target windows windows_test_dll)
    add_custom_target(${target}
      COMMAND ${CMAKE_COMMAND} -E echo "missing: ${windows_missing}: `make setup WINDOWS=1` installs it"
      COMMAND ${CMAKE_COMMAND} -E false
      VERBATIM)
  endforeach()
  return()
endif()

set(windows_go ${go_alone} CGO_ENABLED=1 CC=${windows_compiler} GOOS=windows GOARCH=amd64 GOFLAGS= ${go_caches}
  ${GO} build -buildvcs=false -trimpath -overlay ${go_overlay})

# The marks DATABLOCK_API of the headers say what the DLL exports, as they do on Linux. The linker
# writes the list to a .def file, from which the import libraries are made. Without the first flag
# of the linker Go would export its own functions; the second one undoes the first one's effect.
function(windows_ldflags variable def)
  set(${variable} "-s -w -X runtime.godebugDefault=asyncpreemptoff=1 -extldflags '-static-libgcc \
-Wl,--export-all-symbols -Wl,--exclude-all-symbols -Xlinker \"--output-def=${def}\"'" PARENT_SCOPE)
endfunction()

# A DLL with its import libraries for MinGW and for Microsoft's linker.
function(windows_library target directory tags)
  set(def ${PROJECT_BINARY_DIR}/go/${target}/linked.def)
  windows_ldflags(ldflags ${def})
  add_custom_target(${target}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${directory} ${PROJECT_BINARY_DIR}/go/${target}
    COMMAND ${windows_go} -buildmode=c-shared -tags=${tags} "-ldflags=${ldflags}"
      -o ${PROJECT_BINARY_DIR}/go/${target}/datablock.dll ./capi
    COMMAND ${CMAKE_COMMAND} -E copy_if_different ${PROJECT_BINARY_DIR}/go/${target}/datablock.dll ${directory}
    COMMAND sh -c [[{ echo "LIBRARY datablock.dll"; sed 's/ @.*//' "$1"; } >"$2"]] sh ${def} ${directory}/datablock.def
    COMMAND ${CMAKE_COMMAND} -E chdir ${directory}
      x86_64-w64-mingw32-dlltool --temp-prefix datablock -d datablock.def -l libdatablock.dll.a
    COMMAND ${CMAKE_COMMAND} -E chdir ${directory}
      llvm-dlltool -m i386:x86-64 -d datablock.def -l datablock.lib
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    COMMENT "Go: datablock.dll in ${directory}"
    VERBATIM)
endfunction()

windows_library(windows_dll ${windows_directory} "")
# With the crash points, for the tests.
windows_library(windows_test_dll ${windows_directory}/test crashpoints)

file(CONFIGURE OUTPUT ${windows_directory}/datablock.pc CONTENT [[prefix=${pcfiledir}

Name: datablock
Description: Crash-proof shared-memory data exchange
Version: @PROJECT_VERSION@
Libs: -L${prefix} -ldatablock
Cflags: -I${prefix}/include
]] @ONLY)
file(CONFIGURE OUTPUT ${windows_directory}/datablockConfig.cmake CONTENT [[if(NOT TARGET datablock::datablock)
  if(MINGW)
    set(datablock_import_library libdatablock.dll.a)
  else()
    set(datablock_import_library datablock.lib)
  endif()
  add_library(datablock::datablock SHARED IMPORTED)
  set_target_properties(datablock::datablock PROPERTIES
    IMPORTED_LOCATION "${CMAKE_CURRENT_LIST_DIR}/datablock.dll"
    IMPORTED_IMPLIB "${CMAKE_CURRENT_LIST_DIR}/${datablock_import_library}"
    INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_LIST_DIR}/include")
endif()
]] @ONLY)

add_custom_target(windows
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${windows_directory}/include
  COMMAND ${CMAKE_COMMAND} -E copy_directory ${PROJECT_SOURCE_DIR}/include ${windows_directory}/include
  COMMAND ${CMAKE_COMMAND} -E chdir ${PROJECT_SOURCE_DIR}/cmd
    ${go_alone} CGO_ENABLED=0 GOOS=windows GOARCH=amd64 GOFLAGS= ${go_caches} ${GO} build -buildvcs=false -trimpath
    "-ldflags=-X main.release=${PROJECT_VERSION}" -o ${windows_directory}/datablock-admin.exe ./datablock-admin
  COMMENT "Windows: ${windows_directory}"
  VERBATIM)
add_dependencies(windows windows_dll)
