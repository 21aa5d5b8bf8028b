/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Two clients in one room, for scenarios: MATRIX_HOMESERVER, MATRIX_TOKEN, MATRIX_TOKEN2,
 * MATRIX_USER_ID, MATRIX_USER_ID2, MATRIX_ROOM.
 */
#ifndef PAIR_H
#define PAIR_H

#include "check.h"

static matrix_context context;

/** A map of JSON text; the caller frees it. */
static inline matrix_map *map_of(const char *json) {
    matrix_map *map = NULL;

    CHECK_OK(matrix_map_from_json(json, strlen(json), &map));
    return map;
}

static inline matrix_client open_with_token(const char *token, const char *user_id) {
    matrix_map *options = matrix_map_new();
    matrix_client client = {0};

    CHECK_OK(matrix_map_set_string(options, "homeserver", getenv("MATRIX_HOMESERVER")));
    CHECK_OK(matrix_map_set_string(options, "access_token", getenv(token)));
    CHECK_OK(matrix_map_set_string(options, "user_id", getenv(user_id)));
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
