# cmake --install: awm with awm-helper beside it in bin, the rooms as static libraries, their headers in include/awm/ROOM, and a package:
#
#   find_package(awm REQUIRED)
#   target_link_libraries(mine PRIVATE awm::core)      # every room; or awm::event, awm::http, … for one and those below it
#
# $<TARGET_FILE:awm::awm-helper> is the helper, for programs that make sandboxes and lie elsewhere.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

get_property(rooms GLOBAL PROPERTY AWM_ROOMS)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/awm)

add_library(awm_core INTERFACE)
target_compile_features(awm_core INTERFACE cxx_std_23)
set_target_properties(awm_core PROPERTIES EXPORT_NAME core)
set_target_properties(awm_helper_wire PROPERTIES EXPORT_NAME helper_wire)
foreach(room ${rooms})
  target_link_libraries(awm_core INTERFACE awm_${room})
  target_compile_features(awm_${room} PUBLIC cxx_std_23)
  set_target_properties(awm_${room} PROPERTIES EXPORT_NAME ${room})
  install(TARGETS awm_${room} EXPORT awm ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY ${CMAKE_SOURCE_DIR}/src/${room}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/awm/${room} FILES_MATCHING PATTERN "*.h")
endforeach()
install(TARGETS awm_core awm_helper_wire awm-helper EXPORT awm RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${CMAKE_SOURCE_DIR}/src/helper/wire.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/awm/helper)
if(TARGET awm)
  # Beside the helper: that is where it looks for it.
  install(TARGETS awm RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()

install(EXPORT awm NAMESPACE awm:: FILE awmTargets.cmake DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/awmConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_SOURCE_DIR}/cmake/awmConfig.cmake ${CMAKE_BINARY_DIR}/awmConfigVersion.cmake DESTINATION ${package_dir})
