include(CMakePackageConfigHelpers)

install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h" PATTERN "*.hpp")

install(PROGRAMS
  ${PROJECT_BINARY_DIR}/libdatablock.so.${PROJECT_VERSION}
  ${PROJECT_BINARY_DIR}/${soname}
  ${PROJECT_BINARY_DIR}/libdatablock.so
  DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET datablock-admin)
  install(PROGRAMS ${PROJECT_BINARY_DIR}/datablock-admin DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(DIRECTORY ${admin_generated}/man1 DESTINATION ${CMAKE_INSTALL_MANDIR})
  # The folders in which each shell searches.
  set(completions ${admin_generated}/completions)
  install(FILES ${completions}/datablock-admin.bash
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME datablock-admin)
  install(FILES ${completions}/_datablock-admin DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
  install(FILES ${completions}/datablock-admin.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()

# Both files find the installation relative to their own place. Therefore DESTDIR, and another
# prefix at install time, do no harm.
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/datablock)
configure_package_config_file(cmake/datablockConfig.cmake.in ${PROJECT_BINARY_DIR}/install/datablockConfig.cmake
  INSTALL_DESTINATION ${package_dir}
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/install/datablockConfigVersion.cmake
  COMPATIBILITY SameMajorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/install/datablockConfig.cmake
  ${PROJECT_BINARY_DIR}/install/datablockConfigVersion.cmake
  DESTINATION ${package_dir})

# The same for pkg-config. A folder with an absolute path does not depend on the prefix. pkg-config
# --define-prefix takes the second folder above the file for the prefix, also in lib/MACHINE, and
# changes the variables that follow `prefix` and begin with it. Therefore `prefix` comes last.
function(escaped variable path)
  string(REGEX REPLACE "([ \\])" "\\\\\\1" path "${path}")
  set(${variable} "${path}" PARENT_SCOPE)
endfunction()
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  escaped(pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH pc_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" pc_prefix "\${pcfiledir}/${pc_prefix}")
endif()
foreach(folder LIBDIR INCLUDEDIR)
  escaped(pc_${folder} "${CMAKE_INSTALL_${folder}}")
  if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_${folder}}")
    set(pc_${folder} "${pc_prefix}/${pc_${folder}}")
  endif()
endforeach()
configure_file(cmake/datablock.pc.in ${PROJECT_BINARY_DIR}/install/datablock.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/install/datablock.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
