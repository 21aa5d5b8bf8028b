# Copies libmatrix from MATRIX_LIBRARY_DIR to MATRIX_TARGET; unchanged files are left alone.
file(REAL_PATH "${MATRIX_LIBRARY_DIR}/${MATRIX_SONAME}" library)
file(MAKE_DIRECTORY "${MATRIX_TARGET}")
configure_file("${library}" "${MATRIX_TARGET}/${MATRIX_SONAME}" COPYONLY)

set(parts bridge.so bundle.json lib python)
if(MATRIX_FENNEL)
  list(APPEND parts fennel)
endif()
foreach(part IN LISTS parts)
  file(COPY "${MATRIX_LIBRARY_DIR}/libmatrix/${part}" DESTINATION "${MATRIX_TARGET}/libmatrix")
endforeach()
foreach(version IN LISTS MATRIX_LUA)
  file(COPY "${MATRIX_LIBRARY_DIR}/lua/${version}/matrix.so"
    DESTINATION "${MATRIX_TARGET}/lua/${version}")
endforeach()

# Who passes the program on passes all of this on: the licences go with it.
file(COPY "${MATRIX_PREFIX}/share/doc/libmatrix/LICENSE" "${MATRIX_PREFIX}/share/doc/libmatrix/NOTICE"
  "${MATRIX_PREFIX}/share/doc/libmatrix/licenses" DESTINATION "${MATRIX_TARGET}/libmatrix/doc")
