/* SPDX-License-Identifier: Apache-2.0 */
/* luaopen_matrix: checks the library, pins the module, hands the core to the Lua half. */
#include "module.h"

#include "chunks.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define REGISTRY_KEY "libmatrix.module"
#define CLOSE_TIMEOUT_MS                                                                           \
    200 /* lua_close() drops what is pending; it must not make the program wait */

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
int luaopen_matrix(lua_State *L);

struct state *ml_state(lua_State *L) {
    return lua_touserdata(L, UPVALUE_STATE);
}

int ml_refused(lua_State *L, matrix_status status, const char *why) {
    const char *code = matrix_status_string(status);
    lua_pushnil(L);
    lua_pushstring(L, code);
    lua_pushstring(L, why != NULL ? why : "");
    return 3;
}

static int state_gc(lua_State *L) {
    struct state *state = luaL_checkudata(L, 1, TYPE_STATE);
    state->closed = true;
    ml_drop_context(state, CLOSE_TIMEOUT_MS);
    ml_free_map(state);
    free(state->json.data);
    state->json = (struct buffer){NULL, 0, 0};
    return 0;
}

/* The library keeps a pointer to a callback of this module, so its code must stay when Lua closes
 * it. */
static void pin(void) {
    static const char here;
    Dl_info info;
    if (dladdr(&here, &info) != 0 && info.dli_fname != NULL)
        (void)dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

static void check_version(lua_State *L) {
    uint32_t loaded = matrix_version()->api_version;
    if (loaded >> 16 != MATRIX_API_VERSION >> 16 || loaded < MATRIX_API_VERSION)
        luaL_error(L, "this module needs libmatrix with API %d.%d, but the one loaded has %d.%d",
                   MATRIX_API_VERSION >> 16, MATRIX_API_VERSION & 0xffff, (int)(loaded >> 16),
                   (int)(loaded & 0xffff));
}

/* chunk(name) -> the compiled function of a file of the Lua half */
static int chunk(lua_State *L) {
    const char *name = luaL_checkstring(L, 1);
    for (const struct matrix_chunk *at = matrix_chunks; at->name != NULL; at++) {
        if (strcmp(at->name, name) != 0)
            continue;
        lua_pushfstring(L, "@matrix/%s.lua", name);
        if (luaL_loadbuffer(L, at->source, at->size, lua_tostring(L, -1)) != 0)
            return lua_error(L);
        return 1;
    }
    return luaL_error(L, "matrix: no chunk '%s'", name);
}

/* thread() -> the running coroutine, also when it is the main one */
static int thread(lua_State *L) {
    lua_pushthread(L);
    return 1;
}

/* is_active(coroutine, f) -> whether f is running in it, not unwound by an error */
static int is_active(lua_State *L) {
    lua_State *other = lua_tothread(L, 1);
    lua_Debug frame;
    bool found = false;
    if (other == NULL || lua_status(other) > LUA_YIELD)
        return 0;
    for (int level = 0; !found && lua_getstack(other, level, &frame); level++) {
        if (!lua_checkstack(other, 1) || !lua_getinfo(other, "f", &frame))
            break;
        lua_xmove(other, L, other == L ? 0 : 1);
        found = lua_rawequal(L, -1, 2);
        lua_pop(L, 1);
    }
    lua_pushboolean(L, found);
    return 1;
}

/* home() -> the folder of what belongs to the library, beside libmatrix.so; nil when it cannot be
 * told */
static int home(lua_State *L) {
    char path[PATH_MAX];
    Dl_info info;
    char *slash = NULL;
    if (dladdr(matrix_version(), &info) != 0 && realpath(info.dli_fname, path) != NULL)
        slash = strrchr(path, '/');
    if (slash == NULL)
        return 0;
    *slash = '\0';
    lua_pushfstring(L, "%s/libmatrix", path);
    return 1;
}

static int version(lua_State *L) {
    const matrix_version_info *info = matrix_version();
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, (lua_Integer)info->api_version);
    lua_setfield(L, -2, "api_version");
    lua_pushstring(L, info->version);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, info->python);
    lua_setfield(L, -2, "python");
    lua_pushstring(L, info->yyjson);
    lua_setfield(L, -2, "yyjson");
    return 1;
}

static const luaL_Reg module_functions[] = {
    {"chunk", chunk}, {"thread", thread},   {"is_active", is_active},
    {"home", home},   {"version", version}, {NULL, NULL},
};

static void add_functions(lua_State *L, const luaL_Reg *functions) {
    for (int upvalue = 0; upvalue < 4; upvalue++)
        lua_pushvalue(L, -5);
    compat_setfuncs(L, functions, 4);
}

/* Pushes the core table: functions, metatables, the array mark and null. */
static void push_core(lua_State *L) {
    struct state *state = compat_newuserdata(L, sizeof *state);
    memset(state, 0, sizeof *state);
    luaL_newmetatable(L, TYPE_STATE);
    lua_pushcfunction(L, state_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_newtable(L); /* state, array */
    compat_newuserdata(L, 1);
    lua_createtable(L, KEPT_TEXTS, 0);
    lua_newtable(L); /* state, array, null, texts, core */
    ml_open_handles(L);
    add_functions(L, module_functions);
    add_functions(L, ml_context_functions);
    add_functions(L, ml_call_functions);
    add_functions(L, ml_value_functions);
    lua_pushvalue(L, -4);
    lua_setfield(L, -2, "array_mark");
    lua_pushvalue(L, -3);
    luaL_getmetatable(L, TYPE_NULL);
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "null_value");
}

/**
 * The module, made once for each lua_State: a second require, after package.loaded was cleared,
 * gives the same one, for the callbacks in it go on.
 */
int luaopen_matrix(lua_State *L) {
    lua_getfield(L, LUA_REGISTRYINDEX, REGISTRY_KEY);
    if (!lua_isnil(L, -1))
        return 1;
    check_version(L);
    pin();
    push_core(L);
    lua_getfield(L, -1, "chunk");
    lua_pushliteral(L, "module");
    lua_call(L, 1, 1);
    lua_pushvalue(L, -2);
    lua_call(L, 1, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, REGISTRY_KEY);
    return 1;
}
