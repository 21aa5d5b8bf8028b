/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lua tables become a matrix_map, nested ones by way of JSON text.
 *
 * No function called here allocates Lua memory, so no finaliser of the program can run in between
 * and find the state's map or buffer half used. Tables are read raw, without metamethods, for the
 * same reason.
 */
#include "module.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 64             /* what the runtime accepts as well */
#define SHOWN_DEPTH 4            /* levels of a place that an error shows */
#define KEEP_CAPACITY (1u << 20) /* a larger buffer is given back after use */

/* The way from the outermost table to the value being written, innermost first. */
struct place {
    const struct place *up;
    const char *key; /* NULL: `index` counts */
    int64_t index;
    int depth;
};

struct encoder {
    lua_State *L;
    struct state *state;
};

/* "content.tags[3]"; of a deep place the first levels and the last. */
static size_t describe(const struct place *place, int deepest, char *text, size_t size) {
    size_t used = place->up ? describe(place->up, deepest, text, size) : 0;
    bool hidden = place->depth >= SHOWN_DEPTH && place->depth < deepest;
    if (hidden && place->depth > SHOWN_DEPTH)
        return used;
    int added;
    if (hidden)
        added = snprintf(text + used, size - used, "...");
    else if (place->key == NULL)
        added = snprintf(text + used, size - used, "[%lld]", (long long)place->index);
    else
        added = snprintf(text + used, size - used, "%s%.80s", place->up ? "." : "", place->key);
    used += (size_t)added;
    return used < size ? used : size - 1;
}

__attribute__((format(printf, 3, 4))) static bool
problem(struct encoder *encoder, const struct place *place, const char *format, ...) {
    char *text = encoder->state->problem;
    va_list values;
    size_t used = describe(place, place->depth, text, PROBLEM_SIZE / 2);
    used += (size_t)snprintf(text + used, PROBLEM_SIZE - used, ": ");
    va_start(values, format);
    vsnprintf(text + used, PROBLEM_SIZE - used, format, values);
    va_end(values);
    return false;
}

static bool no_memory(struct encoder *encoder, const struct place *place) {
    return problem(encoder, place, "out of memory");
}

/* What the keys of a table say about it. */
struct shape {
    size_t strings;
    size_t numbers;
    int64_t largest;
};

static bool measure_key(struct encoder *encoder, const struct place *place, struct shape *shape) {
    lua_State *L = encoder->L;
    int64_t index;
    if (lua_type(L, -2) == LUA_TSTRING) {
        shape->strings++;
        return true;
    }
    if (lua_type(L, -2) != LUA_TNUMBER)
        return problem(encoder, place, "has a %s as key; only strings and 1, 2, 3… can be",
                       lua_typename(L, lua_type(L, -2)));
    if (!compat_tointeger(L, -2, &index) || index < 1)
        return problem(encoder, place, "has the number %.14g as key; lists count from 1",
                       (double)lua_tonumber(L, -2));
    shape->numbers++;
    if (index > shape->largest)
        shape->largest = index;
    return true;
}

static bool measure(struct encoder *encoder, const struct place *place, int table,
                    struct shape *shape) {
    lua_State *L = encoder->L;
    *shape = (struct shape){0, 0, 0};
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
        if (!measure_key(encoder, place, shape))
            return false;
    return true;
}

static bool is_marked(lua_State *L, int table) {
    if (!lua_getmetatable(L, table))
        return false;
    bool marked = lua_rawequal(L, -1, UPVALUE_ARRAY);
    lua_pop(L, 1);
    return marked;
}

static bool write_value(struct encoder *encoder, const struct place *place);

static bool write_list(struct encoder *encoder, const struct place *place, int table,
                       const struct shape *shape) {
    struct buffer *json = &encoder->state->json;
    struct place item = {place, NULL, 0, place->depth + 1};
    if (!ml_append(json, "[", 1))
        return no_memory(encoder, place);
    for (item.index = 1; item.index <= shape->largest; item.index++) {
        if (item.index > 1 && !ml_append(json, ",", 1))
            return no_memory(encoder, place);
        lua_rawgeti(encoder->L, table, (int)item.index);
        if (lua_isnil(encoder->L, -1))
            return problem(encoder, &item, "is missing; a list has no holes (use matrix.null)");
        if (!write_value(encoder, &item))
            return false;
        lua_pop(encoder->L, 1);
    }
    return ml_append(json, "]", 1) || no_memory(encoder, place);
}

static bool write_key(struct encoder *encoder, const struct place *place, bool first) {
    struct buffer *json = &encoder->state->json;
    size_t size;
    const char *key = lua_tolstring(encoder->L, -2, &size);
    if (!ml_is_utf8(key, size))
        return problem(encoder, place, "the key is not valid UTF-8");
    return ((first || ml_append(json, ",", 1)) && ml_append_string(json, key, size) &&
            ml_append(json, ":", 1)) ||
           no_memory(encoder, place);
}

static bool write_map(struct encoder *encoder, const struct place *place, int table) {
    lua_State *L = encoder->L;
    struct place entry = {place, NULL, 0, place->depth + 1};
    bool first = true;
    if (!ml_append(&encoder->state->json, "{", 1))
        return no_memory(encoder, place);
    for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
        entry.key = lua_tostring(L, -2);
        if (!write_key(encoder, &entry, first) || !write_value(encoder, &entry))
            return false;
        first = false;
    }
    return ml_append(&encoder->state->json, "}", 1) || no_memory(encoder, place);
}

/* A table with [1…n] is a list, one with names is a map; an empty one is a map unless it is marked.
 */
static bool write_table(struct encoder *encoder, const struct place *place) {
    lua_State *L = encoder->L;
    int table = lua_gettop(L);
    struct shape shape;
    if (place->depth >= MAX_DEPTH || !lua_checkstack(L, 8))
        return problem(encoder, place, "is nested deeper than %d levels, or contains itself",
                       MAX_DEPTH);
    if (!measure(encoder, place, table, &shape))
        return false;
    bool marked = is_marked(L, table);
    if (shape.strings > 0 && (shape.numbers > 0 || marked))
        return problem(encoder, place, "has both numbered and named entries");
    if (shape.numbers == 0 && !marked)
        return write_map(encoder, place, table);
    if (shape.largest > INT32_MAX)
        return problem(encoder, place, "has an entry %lld; a list has no holes",
                       (long long)shape.largest);
    return write_list(encoder, place, table, &shape);
}

static bool write_number(struct encoder *encoder, const struct place *place) {
    struct buffer *json = &encoder->state->json;
    int64_t integer;
    lua_Number number = lua_tonumber(encoder->L, -1);
    if (compat_tointeger(encoder->L, -1, &integer))
        return ml_append_int(json, integer) || no_memory(encoder, place);
    if (!isfinite(number))
        return problem(encoder, place, "%s cannot be written as JSON",
                       isnan(number) ? "NaN" : "infinity");
    return ml_append_double(json, (double)number) || no_memory(encoder, place);
}

static bool write_string(struct encoder *encoder, const struct place *place) {
    size_t size;
    const char *data = lua_tolstring(encoder->L, -1, &size);
    if (!ml_is_utf8(data, size))
        return problem(encoder, place, "is not valid UTF-8");
    return ml_append_string(&encoder->state->json, data, size) || no_memory(encoder, place);
}

static bool unfit(struct encoder *encoder, const struct place *place) {
    return problem(encoder, place, "a %s cannot be passed",
                   lua_typename(encoder->L, lua_type(encoder->L, -1)));
}

static bool write_word(struct encoder *encoder, const struct place *place, const char *word) {
    return ml_append(&encoder->state->json, word, strlen(word)) || no_memory(encoder, place);
}

/* Writes the value on top of the stack and leaves it there. */
static bool write_value(struct encoder *encoder, const struct place *place) {
    lua_State *L = encoder->L;
    switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN:
        return write_word(encoder, place, lua_toboolean(L, -1) ? "true" : "false");
    case LUA_TNUMBER:
        return write_number(encoder, place);
    case LUA_TSTRING:
        return write_string(encoder, place);
    case LUA_TTABLE:
        return write_table(encoder, place);
    default:
        if (lua_rawequal(L, -1, UPVALUE_NULL))
            return write_word(encoder, place, "null");
        return unfit(encoder, place);
    }
}

static matrix_status set_number(struct encoder *encoder, const struct place *place) {
    int64_t integer;
    lua_Number number = lua_tonumber(encoder->L, -1);
    if (compat_tointeger(encoder->L, -1, &integer))
        return matrix_map_set_int(encoder->state->map, place->key, integer);
    if (isfinite(number))
        return matrix_map_set_double(encoder->state->map, place->key, (double)number);
    problem(encoder, place, "%s cannot be passed", isnan(number) ? "NaN" : "infinity");
    return MATRIX_E_INVALID_ARGUMENT;
}

static matrix_status set_string(struct encoder *encoder, const struct place *place) {
    size_t size;
    const char *data = lua_tolstring(encoder->L, -1, &size);
    if (ml_is_utf8(data, size))
        return matrix_map_set_text(encoder->state->map, place->key, data, size);
    problem(encoder, place, "is not valid UTF-8");
    return MATRIX_E_INVALID_ARGUMENT;
}

static matrix_status set_table(struct encoder *encoder, const struct place *place) {
    struct buffer *json = &encoder->state->json;
    json->size = 0;
    if (!write_table(encoder, place))
        return MATRIX_E_INVALID_ARGUMENT;
    return matrix_map_set_json(encoder->state->map, place->key, json->data, json->size);
}

/* Sets the value on top of the stack. */
static matrix_status set_value(struct encoder *encoder, const struct place *place) {
    lua_State *L = encoder->L;
    matrix_map *map = encoder->state->map;
    switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN:
        return matrix_map_set_bool(map, place->key, lua_toboolean(L, -1));
    case LUA_TNUMBER:
        return set_number(encoder, place);
    case LUA_TSTRING:
        return set_string(encoder, place);
    case LUA_TTABLE:
        return set_table(encoder, place);
    default:
        if (lua_rawequal(L, -1, UPVALUE_NULL))
            return matrix_map_set_null(map, place->key);
        unfit(encoder, place);
        return MATRIX_E_INVALID_ARGUMENT;
    }
}

static matrix_status set_entry(struct encoder *encoder) {
    lua_State *L = encoder->L;
    size_t size;
    struct place place = {NULL, "?", 0, 0};
    if (lua_type(L, -2) != LUA_TSTRING) {
        problem(encoder, &place, "a map has names as keys, not a %s",
                lua_typename(L, lua_type(L, -2)));
        return MATRIX_E_INVALID_ARGUMENT;
    }
    place.key = lua_tolstring(L, -2, &size);
    if (strlen(place.key) != size || !ml_is_utf8(place.key, size)) {
        problem(encoder, &place, "the key holds a NUL or is not valid UTF-8");
        return MATRIX_E_INVALID_ARGUMENT;
    }
    matrix_status status = set_value(encoder, &place);
    const char *why = matrix_map_error(encoder->state->map);
    if (status < 0 && encoder->state->problem[0] == '\0' && why[0] != '\0')
        snprintf(encoder->state->problem, PROBLEM_SIZE, "%s", why);
    return status;
}

void ml_free_map(struct state *state) {
    matrix_map_free(state->map);
    state->map = NULL;
    if (state->json.capacity > KEEP_CAPACITY) {
        free(state->json.data);
        state->json = (struct buffer){NULL, 0, 0};
    }
}

matrix_status ml_fill_map(lua_State *L, int index) {
    struct state *state = ml_state(L);
    struct encoder encoder = {L, state};
    int top = lua_gettop(L);
    ml_free_map(state);
    state->problem[0] = '\0';
    state->map = matrix_map_new();
    if (state->map == NULL || !lua_checkstack(L, 8))
        return MATRIX_E_NO_MEMORY;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        matrix_status status = set_entry(&encoder);
        if (status < 0) {
            lua_settop(L, top);
            ml_free_map(state);
            return status;
        }
    }
    return MATRIX_OK;
}
