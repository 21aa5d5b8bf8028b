# `cpack`: a TGZ that runs from any folder, and a .deb.
if(SKBUILD)
  return()
endif()

set(CPACK_PACKAGE_NAME libmatrix)
set(CPACK_PACKAGE_VENDOR "libmatrix developers")
set(CPACK_PACKAGE_CONTACT "${MATRIX_CONTACT}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR}/packages)
set(CPACK_PACKAGE_FILE_NAME
  libmatrix-${PROJECT_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR}-python${MATRIX_PYTHON_version})
set(CPACK_GENERATOR TGZ DEB)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/packaging/cmake/cpackGenerator.cmake)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/packaging/debian/layout.cmake)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS
  "lua5.4 | lua5.3 | lua5.2 | lua5.1 | luajit, pkg-config, ca-certificates")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"A C program, a game, an editor or any Lua host takes part in Matrix with it:
log in, sync, rooms, messages, encryption. It carries its own Python and needs
none installed. The Lua modules, the headers and Fennel are in this package.")

# Who links with the library depends on this package; CPack would list the private ones as well.
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/debian/shlibs @ONLY CONTENT
"libmatrix @PROJECT_VERSION_MAJOR@ libmatrix (>= @PROJECT_VERSION@)
")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${PROJECT_BINARY_DIR}/debian/shlibs)
include(CPack)
