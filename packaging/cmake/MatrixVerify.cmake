# Every build ends with a check that the tree is self-contained and that all modules import.
if(NOT MATRIX_VERIFY OR MATRIX_SANITIZE)
  return()
endif()

add_executable(probe ${PROJECT_SOURCE_DIR}/packaging/bundle/probe.c)
target_link_libraries(probe PRIVATE bundled_python matrix_flags)
set_target_properties(probe PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/packaging)
add_dependencies(probe runtime)

set(modules "")
get_property(built GLOBAL PROPERTY MATRIX_LUA_BUILT)
foreach(version IN LISTS built)
  string(REPLACE "." "" short ${version})
  list(APPEND modules lua${short})
endforeach()
add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/verify.stamp
  COMMAND ${MATRIX_BUNDLE} verify --root ${PROJECT_BINARY_DIR} --probe $<TARGET_FILE:probe>
  COMMAND ${CMAKE_COMMAND} -E touch ${PROJECT_BINARY_DIR}/verify.stamp
  DEPENDS probe matrix bridge ${modules} ${PROJECT_BINARY_DIR}/package.stamp
  COMMENT "Checking that the bundle needs nothing from outside"
  VERBATIM)
add_custom_target(verify ALL DEPENDS ${PROJECT_BINARY_DIR}/verify.stamp)
add_custom_target(sizes
  COMMAND ${MATRIX_BUNDLE} sizes --root ${PROJECT_BINARY_DIR} VERBATIM)
add_dependencies(sizes verify fennel)
