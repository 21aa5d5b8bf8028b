/* SPDX-License-Identifier: Apache-2.0 */
/**
 * The C half of the Lua module: it moves data between Lua and the C interface and decides nothing.
 *
 * Callbacks, dispatch and checks are Lua (the *.lua files beside this one), so no lua_State and no
 * reference into one is ever stored. Every function of the `core` table has the same four
 * upvalues.
 */
#ifndef MATRIX_LUA_MODULE_H
#define MATRIX_LUA_MODULE_H

#include "compat.h"

#include <matrix/matrix.h>

#define UPVALUE_STATE lua_upvalueindex(1) /* struct state */
#define UPVALUE_ARRAY lua_upvalueindex(2) /* the metatable that marks a list */
#define UPVALUE_NULL lua_upvalueindex(3)  /* matrix.null */
#define UPVALUE_TEXTS lua_upvalueindex(4) /* list of strings, see struct text */

#define TYPE_STATE "matrix.state"
#define TYPE_NULL "matrix.null"
#define TYPE_CLIENT "matrix.client"
#define TYPE_REQUEST "matrix.request"
#define TYPE_SUBSCRIPTION "matrix.subscription"
#define TYPE_CALL "matrix.call"

#define PROBLEM_SIZE 512

/** Growing text. Its memory belongs to the struct state, so a Lua error leaks nothing. */
struct buffer {
    char *data;
    size_t size;
    size_t capacity;
};

/** A reply that matrix_shutdown() delivered, waiting for the Lua half to take it. */
struct kept {
    struct kept *next;
    matrix_reply *reply;
    void *user_data;
};

/** Short strings come again and again: keys, users, rooms. Those that came last are kept as Lua
 * strings, so that Lua need not hash them. Beyond SHORT_TEXT bytes nothing is. */
#define SHORT_TEXT 39
#define KEPT_TEXTS 256

struct text {
    unsigned char size;
    char data[SHORT_TEXT];
};

/**
 * What one lua_State has of libmatrix. A userdata made before every handle, so lua_close()
 * finalises it last. What a function needs of C memory hangs here, and is freed by the next one
 * when a Lua error jumped over it.
 */
struct state {
    matrix_context context; /* 0: none yet */
    bool closed;            /* lua_close() has come by */
    matrix_map *map;
    matrix_reply *reply; /* being decoded, */
    void *token;         /* for this callback, */
    int failures;        /* after an error so many times */
    struct buffer json;
    struct kept *first, *last;
    struct text texts[KEPT_TEXTS]; /* of the string at the same index, from 1, in UPVALUE_TEXTS */
    char problem[PROBLEM_SIZE];
};

/** Every handle of the C interface is one number; 0 when it was closed here. */
struct handle {
    uint64_t id;
};

/* module.c */
struct state *ml_state(lua_State *L);
/** The context, made at the first use. Raises when it cannot be had. */
matrix_context ml_context(lua_State *L);
/** Returns nil, the status as a string, and why; `why` may be NULL. */
int ml_refused(lua_State *L, matrix_status status, const char *why);

/* handles.c */
struct handle *ml_new_handle(lua_State *L, const char *type, uint64_t id);
struct handle *ml_check_handle(lua_State *L, int index, const char *type);
/** Makes the metatables of all handle types and puts them into the table on top of the stack. */
void ml_open_handles(lua_State *L);

/* encode.c */
/** state->map as made from the table at `index`. On failure state->problem says which key is wrong
 * and why. */
matrix_status ml_fill_map(lua_State *L, int index);
void ml_free_map(struct state *state);

/* json.c */
bool ml_is_utf8(const char *data, size_t size);
bool ml_append(struct buffer *buffer, const char *data, size_t size);
bool ml_append_string(struct buffer *buffer, const char *data, size_t size);
bool ml_append_int(struct buffer *buffer, int64_t value);
bool ml_append_double(struct buffer *buffer, double value);

/* decode.c */
void ml_push_int(lua_State *L, int64_t value);
/** Pushes a value as Lua. When it is nested too deep nothing is pushed and false returned. */
bool ml_push_value(lua_State *L, const matrix_value *value);

/* context.c, calls.c, values.c */
extern const luaL_Reg ml_context_functions[];
extern const luaL_Reg ml_call_functions[];
extern const luaL_Reg ml_value_functions[];
/** The callback of everything the module submits; outside a shutdown matrix_next() takes its place.
 */
void ml_deliver(const matrix_reply *reply, void *user_data);
/** Ends the context and forgets what it still delivered. */
void ml_drop_context(struct state *state, int timeout_ms);

#endif
