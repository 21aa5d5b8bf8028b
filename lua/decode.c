/* SPDX-License-Identifier: Apache-2.0 */
/* A matrix_value becomes Lua: maps plain tables, lists marked ones, null is matrix.null. */
#include "module.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX_DEPTH 128 /* twice what the runtime lets through */

void ml_push_int(lua_State *L, int64_t value) {
#if COMPAT_HAS_INTEGERS
    lua_pushinteger(L, (lua_Integer)value);
#else
    if (value >= -COMPAT_DOUBLE_MAX && value <= COMPAT_DOUBLE_MAX) {
        lua_pushnumber(L, (lua_Number)value);
    } else {
        char text[24];
        snprintf(text, sizeof text, "%" PRId64, value);
        lua_pushstring(L, text);
    }
#endif
}

/* The outermost table, once it holds the content of an event: that map comes again inside the raw
 * event, and is the same table there. */
struct outermost {
    int index;
    const matrix_entry *content;
};

static bool push(lua_State *L, const matrix_value *value, int depth, struct outermost *outermost);

static bool push_list(lua_State *L, const matrix_value *value, int depth,
                      struct outermost *outermost) {
    size_t count = value->as.list.count;
    lua_createtable(L, (int)count, 0);
    lua_pushvalue(L, UPVALUE_ARRAY);
    lua_setmetatable(L, -2);
    for (size_t i = 0; i < count; i++) {
        if (!push(L, &value->as.list.items[i], depth, outermost)) {
            lua_pop(L, 1);
            return false;
        }
        lua_rawseti(L, -2, (int)i + 1);
    }
    return true;
}

static void note_content(const matrix_entry *entry, struct outermost *outermost) {
    if (entry->value.type == MATRIX_TYPE_MAP && entry->value.as.map.count &&
        strcmp(entry->key, "content") == 0)
        outermost->content = entry->value.as.map.entries;
}

static bool push_map(lua_State *L, const matrix_value *value, int depth,
                     struct outermost *outermost) {
    size_t count = value->as.map.count;
    if (count && value->as.map.entries == outermost->content) {
        lua_getfield(L, outermost->index, "content");
        return true;
    }
    lua_createtable(L, 0, (int)count + (depth == 1)); /* the outermost gets one more field, `ok` */
    for (size_t i = 0; i < count; i++) {
        const matrix_entry *entry = &value->as.map.entries[i];
        lua_pushlstring(L, entry->key, entry->key_size);
        if (!push(L, &entry->value, depth, outermost)) {
            lua_pop(L, 2);
            return false;
        }
        lua_rawset(L, -3);
        if (depth == 1)
            note_content(entry, outermost);
    }
    return true;
}

static bool push(lua_State *L, const matrix_value *value, int depth, struct outermost *outermost) {
    if (depth >= MAX_DEPTH)
        return false;
    luaL_checkstack(L, 6, "a value nested too deep");
    switch (value->type) {
    case MATRIX_TYPE_BOOL:
        lua_pushboolean(L, value->as.boolean);
        return true;
    case MATRIX_TYPE_INT:
        ml_push_int(L, value->as.integer);
        return true;
    case MATRIX_TYPE_DOUBLE:
        lua_pushnumber(L, (lua_Number)value->as.number);
        return true;
    case MATRIX_TYPE_STRING:
        lua_pushlstring(L, value->as.string.data, value->as.string.size);
        return true;
    case MATRIX_TYPE_LIST:
        return push_list(L, value, depth + 1, outermost);
    case MATRIX_TYPE_MAP:
        return push_map(L, value, depth + 1, outermost);
    case MATRIX_TYPE_NULL:
        break;
    }
    lua_pushvalue(L, UPVALUE_NULL); /* also for types a later library adds */
    return true;
}

bool ml_push_value(lua_State *L, const matrix_value *value) {
    struct outermost outermost = {lua_gettop(L) + 1, NULL};
    return push(L, value, 0, &outermost);
}
