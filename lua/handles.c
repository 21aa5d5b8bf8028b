/* SPDX-License-Identifier: Apache-2.0 */
/* The userdata that stand for clients, requests, subscriptions and questions to the host. */
#include "module.h"

#include <string.h>

struct handle *ml_new_handle(lua_State *L, const char *type, uint64_t id) {
    struct handle *handle = compat_newuserdata(L, sizeof *handle);
    handle->id = id;
    compat_setmetatable(L, type);
    return handle;
}

struct handle *ml_check_handle(lua_State *L, int index, const char *type) {
    return luaL_checkudata(L, index, type);
}

static int name_of(lua_State *L, const char *type) {
    const struct handle *handle = ml_check_handle(L, 1, type);
    if (handle->id == 0)
        lua_pushfstring(L, "%s (closed)", type);
    else
        lua_pushfstring(L, "%s: %p", type, (const void *)handle);
    return 1;
}

static int client_tostring(lua_State *L) {
    return name_of(L, TYPE_CLIENT);
}

static int request_tostring(lua_State *L) {
    return name_of(L, TYPE_REQUEST);
}

static int subscription_tostring(lua_State *L) {
    return name_of(L, TYPE_SUBSCRIPTION);
}

static int call_tostring(lua_State *L) {
    return name_of(L, TYPE_CALL);
}

static int null_tostring(lua_State *L) {
    lua_pushliteral(L, "null");
    return 1;
}

/* Garbage: the client is closed, and what it had in flight is cancelled. */
static int client_gc(lua_State *L) {
    struct handle *handle = ml_check_handle(L, 1, TYPE_CLIENT);
    if (handle->id != 0)
        (void)matrix_close_client((matrix_client){handle->id});
    handle->id = 0;
    return 0;
}

/* The Lua half holds on to active subscriptions, so this is for those a lua_close() finds. */
static int subscription_gc(lua_State *L) {
    struct handle *handle = ml_check_handle(L, 1, TYPE_SUBSCRIPTION);
    if (handle->id != 0)
        (void)matrix_unsubscribe((matrix_subscription){handle->id});
    handle->id = 0;
    return 0;
}

/* A dropped request goes on: its callback is what matters. Only the handle is void. */
static int request_gc(lua_State *L) {
    ml_check_handle(L, 1, TYPE_REQUEST)->id = 0;
    return 0;
}

static void make(lua_State *L, const char *type, lua_CFunction tostring, lua_CFunction gc) {
    luaL_newmetatable(L, type);
    lua_pushstring(L, type);
    lua_setfield(L, -2, "__name");
    lua_pushcfunction(L, tostring);
    lua_setfield(L, -2, "__tostring");
    if (gc != NULL) {
        lua_pushcfunction(L, gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setfield(L, -2, strchr(type, '.') + 1); /* core.client and so on, for the Lua half */
}

void ml_open_handles(lua_State *L) {
    make(L, TYPE_CLIENT, client_tostring, client_gc);
    make(L, TYPE_REQUEST, request_tostring, request_gc);
    make(L, TYPE_SUBSCRIPTION, subscription_tostring, subscription_gc);
    make(L, TYPE_CALL, call_tostring, NULL);
    make(L, TYPE_NULL, null_tostring, NULL);
}
