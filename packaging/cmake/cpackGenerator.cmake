# Read by cpack once for each generator. A .deb goes under /usr; an archive has the folder libmatrix at
# its top, so that an update takes the place of what it updates.
set(CPACK_INCLUDE_TOPLEVEL_DIRECTORY OFF)
if(CPACK_GENERATOR STREQUAL "DEB")
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
else()
  set(CPACK_PACKAGING_INSTALL_PREFIX /libmatrix)
endif()
