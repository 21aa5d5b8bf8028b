/* SPDX-License-Identifier: Apache-2.0 */
/* The context of a lua_State: its start, its queue, its end. */
#include "module.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_FAILURES 2 /* a payload that could not be decoded so often comes as an error */

/* The state whose matrix_shutdown() is running on this thread, else NULL. */
static _Thread_local struct state *collecting;

static void keep(struct state *state, const matrix_reply *reply, void *user_data) {
    struct kept *kept = malloc(sizeof *kept);
    if (kept == NULL)
        return;
    *kept = (struct kept){NULL, matrix_reply_keep(reply), user_data};
    if (kept->reply == NULL) {
        free(kept);
        return;
    }
    if (state->last != NULL)
        state->last->next = kept;
    else
        state->first = kept;
    state->last = kept;
}

void ml_deliver(const matrix_reply *reply, void *user_data) {
    if (collecting != NULL)
        keep(collecting, reply, user_data);
}

static bool take_kept(struct state *state, matrix_reply **reply, void **user_data) {
    struct kept *kept = state->first;
    if (kept == NULL)
        return false;
    *reply = kept->reply;
    *user_data = kept->user_data;
    state->first = kept->next;
    if (state->first == NULL)
        state->last = NULL;
    free(kept);
    return true;
}

void ml_drop_context(struct state *state, int timeout_ms) {
    matrix_reply *reply;
    void *user_data;
    matrix_reply_free(state->reply);
    state->reply = NULL;
    if (state->context.id != 0)
        (void)matrix_shutdown(state->context, timeout_ms);
    state->context.id = 0;
    while (take_kept(state, &reply, &user_data))
        matrix_reply_free(reply);
}

matrix_context ml_context(lua_State *L) {
    struct state *state = ml_state(L);
    if (state->closed)
        luaL_error(L, "matrix: this lua_State is closing");
    if (state->context.id == 0) {
        matrix_status status = matrix_init(NULL, &state->context);
        if (status < 0)
            luaL_error(L, "matrix: %s", matrix_status_string(status));
    }
    return state->context;
}

/* init(options) -> true, or refused */
static int init(lua_State *L) {
    struct state *state = ml_state(L);
    char why[PROBLEM_SIZE];
    luaL_checktype(L, 1, LUA_TTABLE);
    if (state->context.id != 0 || state->closed)
        return ml_refused(L, MATRIX_E_BUSY,
                          "the context is in use already; call matrix.init first");
    matrix_status status = ml_fill_map(L, 1);
    if (status < 0)
        return ml_refused(L, status, state->problem);
    status = matrix_init(state->map, &state->context);
    strncpy(why, matrix_map_error(state->map), sizeof why - 1);
    why[sizeof why - 1] = '\0';
    ml_free_map(state);
    if (status < 0)
        return ml_refused(L, status, why);
    lua_pushboolean(L, 1);
    return 1;
}

/* wait_ready(timeout_ms) -> true, or refused */
static int wait_ready(lua_State *L) {
    matrix_status status = matrix_wait_ready(ml_context(L), (int)luaL_checkinteger(L, 1));
    if (status < 0)
        return ml_refused(L, status, NULL);
    lua_pushboolean(L, 1);
    return 1;
}

/* shutdown(timeout_ms) -> true, or refused. What was still delivered comes out of next(). */
static int shut_down(lua_State *L) {
    struct state *state = ml_state(L);
    int timeout_ms = (int)luaL_checkinteger(L, 1);
    if (state->context.id != 0) {
        collecting = state;
        matrix_status status = matrix_shutdown(state->context, timeout_ms);
        collecting = NULL;
        if (status < 0 && status != MATRIX_E_INVALID_HANDLE)
            return ml_refused(L, status, NULL);
        state->context.id = 0;
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int fd(lua_State *L) {
    int number = matrix_fd(ml_context(L));
    if (number < 0)
        return ml_refused(L, (matrix_status)number, NULL);
    lua_pushinteger(L, number);
    return 1;
}

static void push_error(lua_State *L, const char *code, const char *message) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, code);
    lua_setfield(L, -2, "code");
    lua_pushstring(L, message);
    lua_setfield(L, -2, "message");
}

/* Pushes the payload as Lua sees it, and whether it is an error. */
static void push_payload(lua_State *L, const struct state *state, matrix_reply_kind kind) {
    bool ok = matrix_reply_ok(state->reply);
    if (state->failures >= MAX_FAILURES) {
        ok = false;
        push_error(L, "E_NO_MEMORY", "Lua has no memory for the payload");
    } else if (!ml_push_value(L, matrix_reply_value(state->reply))) {
        ok = false;
        push_error(L, "E_INVALID_RESPONSE", "the payload is nested too deep for Lua");
    }
    if (kind == MATRIX_REPLY_RESULT && ok) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "ok");
    }
    lua_pushboolean(L, !ok);
}

/* Sees that state->reply is the reply to hand out next. Returns 1, 0 when there is none, or a
 * negative status. */
static int take_reply(struct state *state, int timeout_ms) {
    if (state->reply !=
        NULL) { /* an error, of memory, jumped out while it was decoded: it is not lost */
        state->failures++;
        return 1;
    }
    state->failures = 0;
    if (take_kept(state, &state->reply, &state->token))
        return 1;
    if (state->context.id == 0)
        return 0;
    return matrix_next(state->context, timeout_ms, &state->reply, &state->token);
}

/* next(timeout_ms) -> kind, token, payload, is error [, call]; nothing when nothing came; or
 * refused */
static int next_reply(lua_State *L) {
    struct state *state = ml_state(L);
    int timeout_ms = (int)luaL_checkinteger(L, 1);
    if (timeout_ms != 0)
        ml_context(L);
    int got = take_reply(state, timeout_ms);
    if (got < 0)
        return ml_refused(L, (matrix_status)got, NULL);
    if (got == 0)
        return 0;
    matrix_reply_kind kind = matrix_reply_get_kind(state->reply);
    lua_pushinteger(L, (lua_Integer)kind);
    lua_pushinteger(L, (lua_Integer)(uintptr_t)state->token);
    push_payload(L, state, kind);
    if (kind == MATRIX_REPLY_CALL)
        ml_new_handle(L, TYPE_CALL, matrix_reply_call_id(state->reply));
    matrix_reply_free(state->reply);
    state->reply = NULL;
    return kind == MATRIX_REPLY_CALL ? 5 : 4;
}

/* clock() -> microseconds of a clock that never goes back */
static int clock_us(lua_State *L) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    lua_pushnumber(L, (lua_Number)now.tv_sec * 1e6 + (lua_Number)now.tv_nsec / 1e3);
    return 1;
}

const luaL_Reg ml_context_functions[] = {
    {"init", init}, {"wait_ready", wait_ready}, {"shutdown", shut_down},
    {"fd", fd},     {"next", next_reply},       {"clock", clock_us},
    {NULL, NULL},
};
