# The version that programs print, and what `cmake --install` copies: programs,
# settings, man pages and completions, which the programs themselves write.
set(version_source ${PROJECT_BINARY_DIR}/build_version.cc)
add_custom_target(build_version BYPRODUCTS ${version_source}
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR}
          -DOUTPUT=${version_source} -DVERSION=${PROJECT_VERSION}
          -DCUDA=${cuda_is_on} -P ${PROJECT_SOURCE_DIR}/launch/version.cmake)
add_library(launch_version STATIC ${version_source})
add_dependencies(launch_version build_version)
target_link_libraries(launch_flags PUBLIC launch_version)

include(GNUInstallDirs)
set(pages ${PROJECT_BINARY_DIR}/pages)
file(MAKE_DIRECTORY ${pages})
foreach(program ${programs})
  set(name subgen_${program})
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} OPTIONAL)
  # Only of programs that were built: the quick start builds two.
  install(CODE "
    set(program \"${PROJECT_BINARY_DIR}/${name}\")
    if(EXISTS \"\${program}\")
      execute_process(COMMAND \"\${program}\" --man OUTPUT_FILE
                      ${pages}/${name}.1 COMMAND_ERROR_IS_FATAL ANY)
      execute_process(COMMAND \"\${program}\" --completion OUTPUT_FILE
                      ${pages}/${name} COMMAND_ERROR_IS_FATAL ANY)
    endif()")
  install(FILES ${pages}/${name}.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1
          OPTIONAL)
  install(FILES ${pages}/${name} OPTIONAL
          DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
endforeach()
install(DIRECTORY configs DESTINATION ${CMAKE_INSTALL_DATADIR}/subgen)
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
