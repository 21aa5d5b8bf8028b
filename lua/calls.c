/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the Lua half asks for: clients, requests, subscriptions, log records and answers.
 *
 * A token is a small number the Lua half chose; it comes back with each reply and is the key of its
 * callback. Handles are made before the call, so that nothing can fail once it was accepted.
 */
#include "module.h"

#include <string.h>

static void *token_at(lua_State *L, int index) {
    return (void *)(uintptr_t)luaL_checknumber(L, index);
}

static matrix_client client_at(lua_State *L, int index) {
    return (matrix_client){ml_check_handle(L, index, TYPE_CLIENT)->id};
}

/* Keeps why a map was refused, then frees it: nothing of C memory is left when an error is raised.
 */
static matrix_status finish_map(struct state *state, matrix_status status) {
    strncpy(state->problem, status < 0 ? matrix_map_error(state->map) : "", PROBLEM_SIZE - 1);
    state->problem[PROBLEM_SIZE - 1] = '\0';
    ml_free_map(state);
    return status;
}

static int answer(lua_State *L, matrix_status status) {
    if (status < 0)
        return ml_refused(L, status, ml_state(L)->problem);
    return 1;
}

/* create_client(options) -> client, or refused */
static int create_client(lua_State *L) {
    struct state *state = ml_state(L);
    matrix_context context = ml_context(L);
    luaL_checktype(L, 1, LUA_TTABLE);
    struct handle *handle = ml_new_handle(L, TYPE_CLIENT, 0);
    matrix_client client = {0};
    matrix_status status = ml_fill_map(L, 1);
    if (status >= 0)
        status = finish_map(state, matrix_create_client(context, state->map, &client));
    handle->id = status < 0 ? 0 : client.id;
    return answer(L, status);
}

/* close_client(client) -> whether it was open */
static int close_client(lua_State *L) {
    struct handle *handle = ml_check_handle(L, 1, TYPE_CLIENT);
    bool open = handle->id != 0 && matrix_close_client((matrix_client){handle->id}) >= 0;
    handle->id = 0;
    lua_pushboolean(L, open);
    return 1;
}

/* is_open(handle of any kind) -> bool */
static int is_open(lua_State *L) {
    const struct handle *handle = lua_touserdata(L, 1);
    lua_pushboolean(L, handle != NULL && handle->id != 0);
    return 1;
}

/* What submit and subscribe do once their arguments are read; `*id` gets the handle. */
typedef matrix_status (*sender)(matrix_client client, const char *name, matrix_map *map,
                                void *token, uint64_t *id);

/* (client, name, map, token) -> handle of a type, or refused */
static int send_map(lua_State *L, const char *type, sender send) {
    struct state *state = ml_state(L);
    matrix_client client = client_at(L, 1);
    const char *name = luaL_checkstring(L, 2);
    luaL_checktype(L, 3, LUA_TTABLE);
    void *token = token_at(L, 4);
    struct handle *handle = ml_new_handle(L, type, 0);
    uint64_t id = 0;
    matrix_status status = ml_fill_map(L, 3);
    if (status >= 0)
        status = finish_map(state, send(client, name, state->map, token, &id));
    handle->id = status < 0 ? 0 : id;
    return answer(L, status);
}

static matrix_status send_request(matrix_client client, const char *operation, matrix_map *map,
                                  void *token, uint64_t *id) {
    matrix_request request = {0};
    matrix_status status = matrix_submit(client, operation, map, ml_deliver, token, &request);
    *id = request.id;
    return status;
}

static matrix_status send_subscription(matrix_client client, const char *kind, matrix_map *map,
                                       void *token, uint64_t *id) {
    matrix_subscription made = {0};
    matrix_status status = matrix_subscribe(client, kind, map, ml_deliver, token, &made);
    *id = made.id;
    return status;
}

/* submit(client, operation, arguments, token) -> request, or refused */
static int submit(lua_State *L) {
    return send_map(L, TYPE_REQUEST, send_request);
}

/* progress(request, token) -> true, or refused */
static int progress(lua_State *L) {
    matrix_request request = {ml_check_handle(L, 1, TYPE_REQUEST)->id};
    matrix_status status = matrix_set_progress_callback(request, ml_deliver, token_at(L, 2));
    if (status < 0)
        return ml_refused(L, status, NULL);
    lua_pushboolean(L, 1);
    return 1;
}

/* cancel(request) -> whether it was still open */
static int cancel(lua_State *L) {
    const struct handle *handle = ml_check_handle(L, 1, TYPE_REQUEST);
    lua_pushboolean(L, handle->id != 0 && matrix_cancel((matrix_request){handle->id}) >= 0);
    return 1;
}

/* subscribe(client, kind, filter, token) -> subscription, or refused */
static int subscribe(lua_State *L) {
    return send_map(L, TYPE_SUBSCRIPTION, send_subscription);
}

/* unsubscribe(subscription) -> whether it was active */
static int unsubscribe(lua_State *L) {
    struct handle *handle = ml_check_handle(L, 1, TYPE_SUBSCRIPTION);
    bool active = handle->id != 0 && matrix_unsubscribe((matrix_subscription){handle->id}) >= 0;
    handle->id = 0;
    lua_pushboolean(L, active);
    return 1;
}

/* set_log(level as a number, token or nil) -> true, or refused */
static int set_log(lua_State *L) {
    matrix_log_level level = (matrix_log_level)luaL_checkinteger(L, 1);
    bool on = !lua_isnoneornil(L, 2);
    matrix_status status = matrix_set_log_callback(ml_context(L), level, on ? ml_deliver : NULL,
                                                   on ? token_at(L, 2) : NULL);
    if (status < 0)
        return ml_refused(L, status, NULL);
    lua_pushboolean(L, 1);
    return 1;
}

/* set_call(token or nil) -> true, or refused */
static int set_call(lua_State *L) {
    bool on = !lua_isnoneornil(L, 1);
    matrix_status status =
        matrix_set_call_callback(ml_context(L), on ? ml_deliver : NULL, on ? token_at(L, 1) : NULL);
    if (status < 0)
        return ml_refused(L, status, NULL);
    lua_pushboolean(L, 1);
    return 1;
}

/* respond(call, answer) -> true, or refused */
static int respond(lua_State *L) {
    struct state *state = ml_state(L);
    struct handle *call = ml_check_handle(L, 1, TYPE_CALL);
    luaL_checktype(L, 2, LUA_TTABLE);
    matrix_status status = ml_fill_map(L, 2);
    if (status >= 0)
        status = finish_map(state, matrix_respond(state->context, call->id, state->map));
    if (status >= 0)
        call->id = 0;
    lua_pushboolean(L, 1);
    return answer(L, status);
}

const luaL_Reg ml_call_functions[] = {
    {"create_client", create_client},
    {"close_client", close_client},
    {"is_open", is_open},
    {"submit", submit},
    {"progress", progress},
    {"cancel", cancel},
    {"subscribe", subscribe},
    {"unsubscribe", unsubscribe},
    {"set_log", set_log},
    {"set_call", set_call},
    {"respond", respond},
    {NULL, NULL},
};
