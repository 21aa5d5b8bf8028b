-- The module `matrix` for a Lua that has LuaRocks, built against an installed libmatrix:
--   luarocks make packaging/luarocks/libmatrix-scm-1.rockspec MATRIX_DIR=/opt/libmatrix
rockspec_format = "3.0"
package = "libmatrix"
version = "scm-1"
source = { url = "git+file://." }
description = {
  summary = "Embeddable Matrix client library for C, Lua and Fennel",
  detailed = "Needs libmatrix, its package or its archive unpacked, which carries everything else.",
  license = "Apache-2.0",
}
supported_platforms = { "linux" }
dependencies = { "lua >= 5.1, < 5.6" }
external_dependencies = { MATRIX = { header = "matrix/matrix.h", library = "matrix" } }
build = {
  type = "make",
  makefile = "packaging/luarocks/Makefile",
  build_pass = false,
  variables = {
    CC = "$(CC)",
    CFLAGS = "$(CFLAGS)",
    LIBFLAG = "$(LIBFLAG)",
    LUA_INCDIR = "$(LUA_INCDIR)",
    MATRIX_INCDIR = "$(MATRIX_INCDIR)",
    MATRIX_LIBDIR = "$(MATRIX_LIBDIR)",
    INST_LIBDIR = "$(LIBDIR)",
  },
}
