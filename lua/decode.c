/* SPDX-License-Identifier: Apache-2.0 */
/* A matrix_value becomes Lua: maps plain tables, lists marked ones, null is matrix.null. */
#include "module.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX_DEPTH 128 /* twice what the runtime lets through */
#define NEEDED 6      /* stack of a table, a key, a value and what is made on the way */

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

/* ---- strings -------------------------------------------------------------------------------- */

/* Where a short string is kept, if it is. */
static size_t text_slot(const char *data, size_t size) {
    uint64_t first = 0, last = 0;
    if (size >= sizeof first) {
        memcpy(&first, data, sizeof first);
        memcpy(&last, data + size - sizeof last, sizeof last);
    } else {
        memcpy(&first, data, size);
    }
    first = (first ^ size) * UINT64_C(0x9e3779b97f4a7c15);
    last = (last ^ first >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return (size_t)(last >> 40) % KEPT_TEXTS;
}

static void push_short(lua_State *L, struct text *texts, const char *data, size_t size) {
    size_t slot = text_slot(data, size);
    struct text *text = &texts[slot];
    if (size != 0 && text->size == size && memcmp(text->data, data, size) == 0) {
        lua_rawgeti(L, UPVALUE_TEXTS, (int)slot + 1);
        return;
    }
    lua_pushlstring(L, data, size);
    lua_pushvalue(L, -1);
    lua_rawseti(L, UPVALUE_TEXTS, (int)slot + 1);
    text->size = (unsigned char)size;
    memcpy(text->data, data, size);
}

#define LONG_TEXTS 4

/* The outermost table, and what of it comes again deeper: the content of an event, which is the
 * same table in the raw event, and long strings. */
struct outermost {
    int index;
    struct text *kept;
    const matrix_entry *content;
    const matrix_entry *texts[LONG_TEXTS];
    size_t text_count;
};

static void push_text(lua_State *L, const char *data, size_t size,
                      const struct outermost *outermost) {
    if (size <= SHORT_TEXT) {
        push_short(L, outermost->kept, data, size);
        return;
    }
    for (size_t i = 0; i < outermost->text_count; i++) {
        if (outermost->texts[i]->value.as.string.data == data) {
            lua_getfield(L, outermost->index, outermost->texts[i]->key);
            return;
        }
    }
    lua_pushlstring(L, data, size);
}

/* An entry is in the outermost table now. */
static void note_entry(const matrix_entry *entry, struct outermost *outermost) {
    if (entry->value.type == MATRIX_TYPE_STRING) {
        if (entry->value.as.string.size > SHORT_TEXT && outermost->text_count < LONG_TEXTS)
            outermost->texts[outermost->text_count++] = entry;
    } else if (entry->value.type == MATRIX_TYPE_MAP && entry->value.as.map.count &&
               strcmp(entry->key, "content") == 0) {
        outermost->content = entry->value.as.map.entries;
    }
}

/* ---- values --------------------------------------------------------------------------------- */

static bool push(lua_State *L, const matrix_value *value, int depth, struct outermost *outermost);

static bool push_list(lua_State *L, const matrix_value *value, int depth,
                      struct outermost *outermost) {
    size_t count = value->as.list.count;
    luaL_checkstack(L, NEEDED, "a value nested too deep");
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

static bool push_map(lua_State *L, const matrix_value *value, int depth,
                     struct outermost *outermost) {
    size_t count = value->as.map.count;
    if (count && value->as.map.entries == outermost->content) {
        lua_getfield(L, outermost->index, "content");
        return true;
    }
    luaL_checkstack(L, NEEDED, "a value nested too deep");
    lua_createtable(L, 0, (int)count + (depth == 1)); /* the outermost gets one more field, `ok` */
    for (size_t i = 0; i < count; i++) {
        const matrix_entry *entry = &value->as.map.entries[i];
        push_text(L, entry->key, entry->key_size, outermost);
        if (!push(L, &entry->value, depth, outermost)) {
            lua_pop(L, 2);
            return false;
        }
        lua_rawset(L, -3);
        if (depth == 1)
            note_entry(entry, outermost);
    }
    return true;
}

static bool push(lua_State *L, const matrix_value *value, int depth, struct outermost *outermost) {
    if (depth >= MAX_DEPTH)
        return false;
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
        push_text(L, value->as.string.data, value->as.string.size, outermost);
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
    struct outermost outermost = {.index = lua_gettop(L) + 1, .kept = ml_state(L)->texts};
    luaL_checkstack(L, NEEDED, "no room for a value");
    return push(L, value, 0, &outermost);
}
