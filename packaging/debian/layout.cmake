# Run by cpack on the tree to be packed: Debian has libraries and Lua modules in multiarch folders
# (LuaJIT looks nowhere else), a copyright file and a changelog.
if(NOT CPACK_GENERATOR STREQUAL "DEB")
  return()
endif()
execute_process(COMMAND dpkg-architecture -q DEB_HOST_MULTIARCH
  OUTPUT_VARIABLE triplet OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
set(usr ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr)
file(RENAME ${usr}/lib ${usr}/${triplet})
file(MAKE_DIRECTORY ${usr}/lib)
file(RENAME ${usr}/${triplet} ${usr}/lib/${triplet})

set(pkgconfig ${usr}/lib/${triplet}/pkgconfig/matrix.pc)
file(READ ${pkgconfig} text)
string(REPLACE "prefix=\${pcfiledir}/../.." "prefix=\${pcfiledir}/../../.." text "${text}")
file(WRITE ${pkgconfig} "${text}")

set(documents ${usr}/share/doc/libmatrix)
file(READ ${documents}/NOTICE notice)
file(WRITE ${documents}/copyright
"${notice}
The full text of the Apache License 2.0 is in /usr/share/common-licenses/Apache-2.0; the texts of the
other licences are in /usr/share/doc/libmatrix/licenses.
")
file(REMOVE ${documents}/LICENSE)

set(author "${CPACK_PACKAGE_CONTACT}")
if(NOT author MATCHES "<.*>$")
  string(APPEND author " <>")
endif()
string(TIMESTAMP date "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE ${documents}/changelog
"libmatrix (${CPACK_PACKAGE_VERSION}) unstable; urgency=medium

  * Built by make package.

 -- ${author}  ${date}
")
execute_process(COMMAND gzip -9nf ${documents}/changelog COMMAND_ERROR_IS_FATAL ANY)
file(COPY ${CMAKE_CURRENT_LIST_DIR}/overrides/libmatrix DESTINATION ${usr}/share/lintian/overrides)

# dpkg-shlibdeps must not look for the private libraries in other packages.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${usr}/lib/${triplet} ${usr}/lib/${triplet}/libmatrix/lib)
