/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What programs share that talk to a homeserver as two users, Alice and Bob. MATRIX_HOMESERVER;
 * MATRIX_USER, MATRIX_PASSWORD, MATRIX_USER_ID and MATRIX_TOKEN are Alice's, and Bob's are the same
 * with a 2; MATRIX_ROOM is a room that both are in, where a program needs one.
 */
#ifndef PEOPLE_H
#define PEOPLE_H

#include <stdarg.h>

#include "check.h"

static matrix_context context;

/** What the environment says; it must say it. */
static inline const char *env(const char *name) {
    const char *value = getenv(name);

    if (!value)
        fprintf(stderr, "%s is not set\n", name);
    CHECK(value);
    return value;
}

/** A map of JSON text; the caller frees it. */
static inline matrix_map *map_of(const char *json) {
    matrix_map *map = NULL;

    CHECK_OK(matrix_map_from_json(json, strlen(json), &map));
    return map;
}

/** Options by a format of JSON; they live until the next ones. */
__attribute__((format(printf, 1, 2))) static inline matrix_map *with(const char *format, ...) {
    static matrix_map *map;
    char json[8192];
    va_list arguments;

    va_start(arguments, format);
    CHECK(vsnprintf(json, sizeof json, format, arguments) < (int)sizeof json);
    va_end(arguments);
    matrix_map_free(map);
    map = map_of(json);
    return map;
}

/** The request of a call without a callback. */
#define ASK(call)                                                                                  \
    ({                                                                                             \
        matrix_request request = {0};                                                              \
        CHECK_OK(call);                                                                            \
        request;                                                                                   \
    })

static inline matrix_client open_with_token(const char *token, const char *user_id) {
    matrix_map *options = matrix_map_new();
    matrix_client client = {0};

    CHECK_OK(matrix_map_set_string(options, "homeserver", env("MATRIX_HOMESERVER")));
    CHECK_OK(matrix_map_set_string(options, "access_token", env(token)));
    CHECK_OK(matrix_map_set_string(options, "user_id", env(user_id)));
    CHECK_OK(matrix_create_client(context, options, &client));
    matrix_map_free(options);
    return client;
}

/** The reply of a request submitted without a callback; events that come meanwhile are given. */
static inline matrix_reply *take(matrix_request request) {
    matrix_reply *reply = NULL;

    while (matrix_wait(request, 10, &reply) == MATRIX_E_TIMEOUT)
        CHECK(matrix_dispatch(context, 0, 0) >= 0);
    CHECK(reply);
    return reply;
}

/** The same for one that must succeed. */
static inline matrix_reply *take_ok(matrix_request request) {
    matrix_reply *reply = take(request);

    if (!matrix_reply_ok(reply))
        fprintf(stderr, "%s\n", matrix_reply_json(reply, NULL));
    CHECK(matrix_reply_ok(reply));
    return reply;
}

/** For one that must succeed and says no more. */
static inline void done(matrix_request request) {
    matrix_reply_free(take_ok(request));
}

/** For one that must fail with this code. */
static inline void fails(matrix_request request, const char *code) {
    matrix_reply *reply = take(request);

    CHECK(!matrix_reply_ok(reply));
    if (strcmp(matrix_reply_error(reply)->code, code) != 0)
        fprintf(stderr, "%s\n", matrix_reply_json(reply, NULL));
    CHECK(!strcmp(matrix_reply_error(reply)->code, code));
    matrix_reply_free(reply);
}

/** A string of the result, copied into `into`, and `into`. */
static inline char *string_of(matrix_request request, const char *key, char *into, size_t size) {
    matrix_reply *reply = take_ok(request);

    snprintf(into, size, "%s", matrix_value_get_string(matrix_reply_value(reply), key, ""));
    CHECK(into[0]);
    matrix_reply_free(reply);
    return into;
}

/** An integer of the result. */
static inline int64_t int_of(matrix_request request, const char *key) {
    matrix_reply *reply = take_ok(request);
    int64_t value = matrix_value_get_int(matrix_reply_value(reply), key, -1);

    matrix_reply_free(reply);
    return value;
}

/** A truth of the result. */
static inline bool bool_of(matrix_request request, const char *key) {
    matrix_reply *reply = take_ok(request);
    bool value = matrix_value_get_bool(matrix_reply_value(reply), key, false);

    matrix_reply_free(reply);
    return value;
}

/** How long a list of the result is. */
static inline size_t count_of(matrix_request request, const char *key) {
    matrix_reply *reply = take_ok(request);
    size_t count = matrix_value_count(matrix_value_get(matrix_reply_value(reply), key));

    matrix_reply_free(reply);
    return count;
}

/** Logs in with a user's name and password; the suffix is "" or "2". */
static inline matrix_request log_in_as(matrix_client client, const char *suffix) {
    char user[40], password[40];

    snprintf(user, sizeof user, "MATRIX_USER%s", suffix);
    snprintf(password, sizeof password, "MATRIX_PASSWORD%s", suffix);
    return ASK(matrix_login_password(client, env(user), env(password), NULL, NULL, NULL, &request));
}

/** Answers that the password is good, when the user must prove who it is. */
static inline void give_password(const matrix_reply *reply) {
    const matrix_host_call *call = matrix_reply_as_host_call(reply, matrix_reply_value(reply));

    CHECK(!strcmp(call->name, "user_interactive_auth"));
    CHECK_OK(matrix_respond(context, matrix_reply_call_id(reply),
                            with("{\"auth\":{\"type\":\"m.login.password\",\"password\":\"%s\","
                                 "\"identifier\":{\"type\":\"m.id.user\",\"user\":\"%s\"}}}",
                                 env("MATRIX_PASSWORD"), env("MATRIX_USER"))));
}

/** Syncs until the reply of the last matching event is there, and gives it; freed by the caller. */
struct hearing {
    const char *event_id;
    matrix_reply *reply;
};

static inline void hear_one(const matrix_reply *reply, void *user_data) {
    struct hearing *hearing = user_data;
    const matrix_event *event = matrix_reply_as_event(reply, matrix_reply_value(reply));

    if (!hearing->reply && hearing->event_id && !strcmp(event->event_id, hearing->event_id))
        hearing->reply = matrix_reply_keep(reply);
}

static inline const matrix_event *hear(matrix_client client, struct hearing *hearing,
                                       const char *event_id) {
    matrix_map *options = map_of("{\"timeout_ms\": 5000}");
    matrix_request request = {0};

    matrix_reply_free(hearing->reply);
    *hearing = (struct hearing){event_id, NULL};
    for (int i = 0; i < 60 && !hearing->reply; i++) {
        CHECK_OK(matrix_sync_once(client, options, NULL, NULL, &request));
        done(request);
        CHECK(matrix_dispatch(context, 0, 0) >= 0);
    }
    matrix_map_free(options);
    CHECK(hearing->reply);
    return matrix_reply_as_event(hearing->reply, matrix_reply_value(hearing->reply));
}

#endif
