# What a build can be told, and the compiler flags that follow.

set(MATRIX_PYTHON "" CACHE FILEPATH "Interpreter to embed (default: the one that runs the build)")
set(MATRIX_FENNEL "" CACHE FILEPATH "fennel.lua to carry (default: fetched, hash-checked)")
set(MATRIX_YYJSON "" CACHE PATH "Folder with yyjson.c and yyjson.h (default: fetched, hash-checked)")
set(MATRIX_LUA_HEADERS "" CACHE PATH
  "Folder with 5.4/lua.h or lua5.4/lua.h and so on, as /usr/include (default: fetched, hash-checked)")
set(MATRIX_CACHE "${PROJECT_SOURCE_DIR}/build/cache" CACHE PATH "Where fetched sources are kept")
set(MATRIX_LUA_VERSIONS "" CACHE STRING "Lua versions to build for, as 5.1;5.4 (default: all that have headers)")
set(MATRIX_CONTACT "libmatrix developers" CACHE STRING "Maintainer of the .deb, as Name <address>")
set(MATRIX_SANITIZE "" CACHE STRING "Sanitizer for the C parts: address or thread")
set_property(CACHE MATRIX_SANITIZE PROPERTY STRINGS "" address thread)
option(MATRIX_WERROR "Treat compiler warnings as errors" OFF)
option(MATRIX_PYTHON_MALLOC "Let Python allocate with malloc, for valgrind and ASan" OFF)
option(MATRIX_EXAMPLES "Build the examples" ON)
option(MATRIX_VERIFY "Check in every build that the tree is self-contained" ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Kind of build" FORCE)
endif()

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
find_package(Threads REQUIRED)

# The build tree has the shape of the install tree, so programs run from both.
set(MATRIX_LIB "${PROJECT_BINARY_DIR}/lib")
set(MATRIX_HOME "${MATRIX_LIB}/libmatrix")

# Flags of everything we wrote; yyjson and generated code of others do without the warnings.
add_library(matrix_flags INTERFACE)
target_compile_options(matrix_flags INTERFACE -Wall -Wextra)
if(MATRIX_WERROR)
  target_compile_options(matrix_flags INTERFACE -Werror)
endif()

if(MATRIX_SANITIZE STREQUAL "address")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=undefined
    -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=address,undefined)
  # A library loaded with RTLD_DEEPBIND would miss the sanitizer's malloc.
  add_compile_definitions(MATRIX_NO_DEEPBIND=1)
elseif(MATRIX_SANITIZE STREQUAL "thread")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=thread)
  add_compile_definitions(MATRIX_NO_DEEPBIND=1)
elseif(MATRIX_SANITIZE)
  message(FATAL_ERROR "MATRIX_SANITIZE is address or thread, not ${MATRIX_SANITIZE}")
else()
  add_link_options(-Wl,-z,defs)
endif()

# All our libraries stay mapped: their threads and exit handlers outlive a dlclose.
function(matrix_library_flags target map)
  target_link_libraries(${target} PRIVATE matrix_flags)
  # Empty, so that a source may define it for itself too.
  target_compile_definitions(${target} PRIVATE _GNU_SOURCE=)
  target_link_options(${target} PRIVATE -Wl,--version-script=${map} -Wl,-z,nodelete
    -Wl,-z,relro -Wl,-z,now -Wl,-Bsymbolic)
  set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${map})
endfunction()
