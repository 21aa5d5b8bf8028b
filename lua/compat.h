/* SPDX-License-Identifier: Apache-2.0 */
/** What differs between the C interfaces of Lua 5.1 (and LuaJIT), 5.2, 5.3, 5.4 and 5.5. */
#ifndef MATRIX_LUA_COMPAT_H
#define MATRIX_LUA_COMPAT_H

/* Included before every system header: dladdr(), clock_gettime(). */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <lauxlib.h>
#include <lua.h>

#include <stdint.h>

/* The largest integer a double holds together with all below it. */
#define COMPAT_DOUBLE_MAX (INT64_C(1) << 53)

#if LUA_VERSION_NUM >= 503
#define COMPAT_HAS_INTEGERS 1
#else
#define COMPAT_HAS_INTEGERS 0
#endif

static inline void *compat_newuserdata(lua_State *L, size_t size) {
#if LUA_VERSION_NUM >= 504
    return lua_newuserdatauv(L, size, 0);
#else
    return lua_newuserdata(L, size);
#endif
}

static inline void compat_setmetatable(lua_State *L, const char *type) {
    luaL_getmetatable(L, type);
    lua_setmetatable(L, -2);
}

/** The userdata at `index` when it is of that type, else NULL. Index must not be relative. */
static inline void *compat_testudata(lua_State *L, int index, const char *type) {
    void *data = lua_touserdata(L, index);
    if (data == NULL || !lua_getmetatable(L, index))
        return NULL;
    luaL_getmetatable(L, type);
    if (!lua_rawequal(L, -1, -2))
        data = NULL;
    lua_pop(L, 2);
    return data;
}

/** Adds functions to the table below the `count` upvalues on top of the stack, and pops those. */
static inline void compat_setfuncs(lua_State *L, const luaL_Reg *functions, int count) {
    for (; functions->name != NULL; functions++) {
        for (int i = 0; i < count; i++)
            lua_pushvalue(L, -count);
        lua_pushcclosure(L, functions->func, count);
        lua_setfield(L, -(count + 2), functions->name);
    }
    lua_pop(L, count);
}

/** Whether the number at `index` is a whole one that fits `*value`. */
static inline int compat_tointeger(lua_State *L, int index, int64_t *value) {
#if COMPAT_HAS_INTEGERS
    if (lua_isinteger(L, index)) {
        *value = (int64_t)lua_tointeger(L, index);
        return 1;
    }
#endif
    lua_Number number = lua_tonumber(L, index);
    if (!(number >= -(lua_Number)COMPAT_DOUBLE_MAX && number <= (lua_Number)COMPAT_DOUBLE_MAX))
        return 0;
    *value = (int64_t)number;
    return (lua_Number)*value == number;
}

#endif
