# Sources of others that are compiled in or carried: named by an option, or fetched by their hash.

function(matrix_fetch name expected result)
  if(NOT EXISTS ${expected})
    cmake_path(GET expected PARENT_PATH folder)
    message(STATUS "Fetching ${name}")
    execute_process(
      COMMAND ${MATRIX_PYTHON} -B ${PROJECT_SOURCE_DIR}/packaging/bootstrap fetch-${name}
        --output ${folder}
      RESULT_VARIABLE status)
    if(NOT status EQUAL 0 OR NOT EXISTS ${expected})
      string(TOUPPER ${name} option)
      message(FATAL_ERROR
        "${name} could not be fetched; name a local copy with -DMATRIX_${option}=…")
    endif()
  endif()
  set(${result} ${expected} PARENT_SCOPE)
endfunction()

if(MATRIX_YYJSON)
  set(MATRIX_YYJSON_SOURCE ${MATRIX_YYJSON}/yyjson.c)
else()
  matrix_fetch(yyjson ${MATRIX_CACHE}/yyjson/yyjson.c MATRIX_YYJSON_SOURCE)
endif()
cmake_path(GET MATRIX_YYJSON_SOURCE PARENT_PATH MATRIX_YYJSON_INCLUDE)

if(MATRIX_FENNEL)
  set(MATRIX_FENNEL_SOURCE ${MATRIX_FENNEL})
else()
  matrix_fetch(fennel ${MATRIX_CACHE}/fennel.lua MATRIX_FENNEL_SOURCE)
endif()
foreach(file ${MATRIX_YYJSON_SOURCE} ${MATRIX_FENNEL_SOURCE})
  if(NOT EXISTS ${file})
    message(FATAL_ERROR "${file} does not exist")
  endif()
endforeach()
