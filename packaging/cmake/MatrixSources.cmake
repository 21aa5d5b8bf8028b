# Sources of others that are compiled in or carried: named by an option, or fetched by their hash.

function(matrix_fetch name folder expected)
  if(NOT EXISTS ${folder}/${expected})
    message(STATUS "Fetching ${name}")
    execute_process(
      COMMAND ${MATRIX_PYTHON} -B ${PROJECT_SOURCE_DIR}/packaging/bootstrap fetch-${name}
        --output ${folder}
      RESULT_VARIABLE status)
    if(NOT status EQUAL 0 OR NOT EXISTS ${folder}/${expected})
      string(TOUPPER ${name} option)
      string(REPLACE - _ option ${option})
      message(FATAL_ERROR
        "${name} could not be fetched; name a local copy with -DMATRIX_${option}=…")
    endif()
  endif()
endfunction()

set(MATRIX_YYJSON_FOLDER ${MATRIX_YYJSON})
if(NOT MATRIX_YYJSON)
  set(MATRIX_YYJSON_FOLDER ${MATRIX_CACHE}/yyjson)
  matrix_fetch(yyjson ${MATRIX_YYJSON_FOLDER} yyjson.c)
endif()
set(MATRIX_LUA_HEADERS_FOLDER ${MATRIX_LUA_HEADERS})
if(NOT MATRIX_LUA_HEADERS)
  set(MATRIX_LUA_HEADERS_FOLDER ${MATRIX_CACHE}/lua)
  matrix_fetch(lua-headers ${MATRIX_LUA_HEADERS_FOLDER} 5.5/lua.h)
endif()
set(MATRIX_FENNEL_SOURCE ${MATRIX_FENNEL})
if(NOT MATRIX_FENNEL)
  set(MATRIX_FENNEL_SOURCE ${MATRIX_CACHE}/fennel.lua)
  matrix_fetch(fennel ${MATRIX_CACHE} fennel.lua)
endif()
foreach(file ${MATRIX_YYJSON_FOLDER}/yyjson.c ${MATRIX_FENNEL_SOURCE})
  if(NOT EXISTS ${file})
    message(FATAL_ERROR "${file} does not exist")
  endif()
endforeach()

# Their licences are in the files themselves; the distribution's statement lies beside Fennel's.
set(MATRIX_LICENCES --licence yyjson=${MATRIX_YYJSON_FOLDER}/yyjson.h
  --licence fennel=${MATRIX_FENNEL_SOURCE})
cmake_path(REPLACE_EXTENSION MATRIX_FENNEL_SOURCE copyright OUTPUT_VARIABLE statement)
if(EXISTS ${statement})
  list(APPEND MATRIX_LICENCES --licence fennel=${statement})
endif()
