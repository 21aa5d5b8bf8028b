# The install tree; every path is relative, so that it can be moved.
include(CMakePackageConfigHelpers)

if(SKBUILD)
  # A wheel cannot hold symbolic links: keep one name for the loader and one for the linker.
  set_property(TARGET matrix PROPERTY VERSION)
endif()
# Whatever an older build left in the folders that are wholly ours must go.
install(CODE "file(REMOVE_RECURSE
  \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/libmatrix\"
  \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share/doc/libmatrix\")")
install(TARGETS matrix LIBRARY DESTINATION lib)
install(TARGETS bridge LIBRARY DESTINATION lib/libmatrix)
install(DIRECTORY ffi/include/matrix DESTINATION include FILES_MATCHING PATTERN "*.h")
install(DIRECTORY ${MATRIX_HOME}/lib ${MATRIX_HOME}/python DESTINATION lib/libmatrix)
install(FILES ${MATRIX_HOME}/bundle.json DESTINATION lib/libmatrix)
install(DIRECTORY ${MATRIX_HOME}/fennel DESTINATION lib/libmatrix)

get_property(built GLOBAL PROPERTY MATRIX_LUA_BUILT)
foreach(version IN LISTS built)
  string(REPLACE "." "" short ${version})
  install(TARGETS lua${short} LIBRARY DESTINATION lib/lua/${version})
endforeach()

install(FILES LICENSE ${PROJECT_BINARY_DIR}/share/doc/libmatrix/NOTICE DESTINATION share/doc/libmatrix)
install(DIRECTORY ${PROJECT_BINARY_DIR}/share/doc/libmatrix/licenses DESTINATION share/doc/libmatrix)
install(FILES README.md DESTINATION share/doc/libmatrix)
install(DIRECTORY docs DESTINATION share/doc/libmatrix FILES_MATCHING PATTERN "*.md")
install(DIRECTORY examples DESTINATION share/doc/libmatrix FILES_MATCHING
  PATTERN "*.c" PATTERN "*.lua" PATTERN "*.fnl" PATTERN "*.md")
install(FILES lua/types/matrix.gen.lua DESTINATION share/libmatrix/lua-types)

configure_file(packaging/cmake/matrix.pc.in ${PROJECT_BINARY_DIR}/matrix.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/matrix.pc DESTINATION lib/pkgconfig)
configure_file(packaging/cmake/matrixConfig.cmake.in ${PROJECT_BINARY_DIR}/matrixConfig.cmake @ONLY)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/matrixConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/matrixConfig.cmake
  ${PROJECT_BINARY_DIR}/matrixConfigVersion.cmake
  packaging/cmake/matrixBundle.cmake
  packaging/cmake/matrixCopy.cmake
  DESTINATION lib/cmake/matrix)
