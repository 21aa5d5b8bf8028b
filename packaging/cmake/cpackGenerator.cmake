# Read by cpack once for each generator. A .deb goes under /usr; an archive has one folder at its top.
if(CPACK_GENERATOR STREQUAL "DEB")
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
endif()
