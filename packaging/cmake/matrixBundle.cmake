# matrix_bundle(<program> [DESTINATION <folder>] [LIBRARY_DIR <folder>] [LUA <version>…] [FENNEL])
#
# Makes a program carry libmatrix: links it to matrix::matrix and puts the library with its Python,
# the named Lua modules and Fennel into LIBRARY_DIR (default: lib), relative to the program, both
# in the build tree and where the program is installed (DESTINATION, default: bin). The program finds
# them by an $ORIGIN RUNPATH, so the folder can be moved as a whole.
set(_matrix_copy "${CMAKE_CURRENT_LIST_DIR}/matrixCopy.cmake")

function(matrix_bundle target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "FENNEL" "DESTINATION;LIBRARY_DIR" "LUA")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "matrix_bundle: ${arg_UNPARSED_ARGUMENTS} is not understood")
  endif()
  if(NOT arg_DESTINATION)
    set(arg_DESTINATION bin)
  endif()
  if(NOT arg_LIBRARY_DIR)
    set(arg_LIBRARY_DIR lib)
  endif()
  foreach(version IN LISTS arg_LUA)
    if(NOT EXISTS "${MATRIX_LIBRARY_DIR}/lua/${version}/matrix.so")
      message(FATAL_ERROR "matrix_bundle: this libmatrix has no module for Lua ${version}")
    endif()
  endforeach()

  target_link_libraries(${target} PRIVATE matrix::matrix)
  set_target_properties(${target} PROPERTIES
    BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "$ORIGIN/${arg_LIBRARY_DIR}")

  set(stamp "${CMAKE_CURRENT_BINARY_DIR}/matrix_bundle_${target}.stamp")
  set(settings "-DMATRIX_LIBRARY_DIR=${MATRIX_LIBRARY_DIR}" "-DMATRIX_PREFIX=${MATRIX_PREFIX}"
    "-DMATRIX_SONAME=${MATRIX_SONAME}" "-DMATRIX_LUA=${arg_LUA}" "-DMATRIX_FENNEL=${arg_FENNEL}")
  add_custom_command(OUTPUT "${stamp}"
    COMMAND "${CMAKE_COMMAND}" ${settings}
      "-DMATRIX_TARGET=$<TARGET_FILE_DIR:${target}>/${arg_LIBRARY_DIR}" -P "${_matrix_copy}"
    COMMAND "${CMAKE_COMMAND}" -E touch "${stamp}"
    DEPENDS "${MATRIX_LIBRARY_DIR}/${MATRIX_SONAME}" "${MATRIX_HOME}/bundle.json"
    COMMENT "Putting libmatrix beside ${target}"
    VERBATIM)
  add_custom_target(${target}_matrix_bundle ALL DEPENDS "${stamp}")

  string(JOIN "\n" variables
    "set(MATRIX_LIBRARY_DIR [==[${MATRIX_LIBRARY_DIR}]==])"
    "set(MATRIX_PREFIX [==[${MATRIX_PREFIX}]==])"
    "set(MATRIX_SONAME [==[${MATRIX_SONAME}]==])"
    "set(MATRIX_LUA [==[${arg_LUA}]==])"
    "set(MATRIX_FENNEL ${arg_FENNEL})"
    "set(MATRIX_TARGET \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${arg_DESTINATION}/${arg_LIBRARY_DIR}\")"
    "include([==[${_matrix_copy}]==])")
  install(CODE "${variables}")
endfunction()
