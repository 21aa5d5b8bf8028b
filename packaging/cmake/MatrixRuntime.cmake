# The carried Python: lib/libmatrix/{lib,python}. Made anew when the lock file or the bundler changes.

file(GLOB bundler CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/packaging/bundle/*.py)
set(MATRIX_LOCK ${PROJECT_SOURCE_DIR}/packaging/locks/runtime.txt)
set(MATRIX_INSTALLED ${PROJECT_BINARY_DIR}/installed)
set(MATRIX_PYTHON_BUNDLED ${MATRIX_HOME}/lib/${MATRIX_PYTHON_private_library})

add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/runtime.stamp
  BYPRODUCTS ${MATRIX_PYTHON_BUNDLED}
  COMMAND ${MATRIX_BUNDLE} collect --root ${PROJECT_BINARY_DIR} --lock ${MATRIX_LOCK}
    --installed ${MATRIX_INSTALLED} --notice ${PROJECT_SOURCE_DIR}/NOTICE
    ${MATRIX_LICENCES}
  COMMAND ${CMAKE_COMMAND} -E touch ${PROJECT_BINARY_DIR}/runtime.stamp
  DEPENDS ${bundler} ${MATRIX_LOCK} ${MATRIX_PYTHON_library} ${PROJECT_SOURCE_DIR}/NOTICE
  COMMENT "Collecting Python ${MATRIX_PYTHON_version} for the bundle"
  VERBATIM)

# Our own package goes in last, so that editing it does not collect the rest again.
file(GLOB_RECURSE own CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/libmatrix/*.py)
add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/package.stamp
  COMMAND ${MATRIX_BUNDLE} package ${PROJECT_SOURCE_DIR}/src/libmatrix
    ${MATRIX_HOME}/python/site/libmatrix
  COMMAND ${CMAKE_COMMAND} -E touch ${PROJECT_BINARY_DIR}/package.stamp
  DEPENDS ${own} ${PROJECT_BINARY_DIR}/runtime.stamp
  COMMENT "Compiling the runtime's own package"
  VERBATIM)
add_custom_target(runtime ALL
  DEPENDS ${PROJECT_BINARY_DIR}/runtime.stamp ${PROJECT_BINARY_DIR}/package.stamp)

# Link against the copy, so that its private SONAME is what gets recorded.
add_library(bundled_python SHARED IMPORTED GLOBAL)
set_target_properties(bundled_python PROPERTIES
  IMPORTED_LOCATION ${MATRIX_PYTHON_BUNDLED}
  INTERFACE_INCLUDE_DIRECTORIES ${MATRIX_PYTHON_include})
add_dependencies(bundled_python runtime)

# What core and bridge must know of the Python they were built with.
add_library(runtime_facts INTERFACE)
target_compile_definitions(runtime_facts INTERFACE
  MATRIX_PYTHON_VERSION="${MATRIX_PYTHON_version}"
  MATRIX_PYTHON_LIBRARY="${MATRIX_PYTHON_private_library}"
  MATRIX_CRYPTO_LIBRARY="${MATRIX_PYTHON_private_crypto}")
