/* SPDX-License-Identifier: Apache-2.0 */
/** What the tests of the core share: checks that stop the program, a context with a client,
 * tallies, a pump. */
#ifndef CORE_CHECK_H
#define CORE_CHECK_H

#include <sched.h>
#include <unistd.h>

#include "../host/c/checks.h"
#include "fake_bridge.h"
#include "internal.h"

#define CHECK_TEXT(text, expected)                                                                 \
    do {                                                                                           \
        const char *text_ = (text);                                                                \
        if (strcmp(text_, expected) != 0) {                                                        \
            fprintf(stderr, "%s:%d: \"%s\" is not \"%s\"\n", __FILE__, __LINE__, text_, expected); \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define CHECK_TEXT_BEGINS(text, beginning)                                                         \
    do {                                                                                           \
        const char *text_ = (text);                                                                \
        if (strncmp(text_, beginning, strlen(beginning)) != 0) {                                   \
            fprintf(stderr, "%s:%d: \"%s\" does not begin with \"%s\"\n", __FILE__, __LINE__,      \
                    text_, beginning);                                                             \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/** Longer than the shortest budget: a dispatch with a budget of 1 then runs one callback. It is
 * time that budgets measure, so there is nothing else to wait for. */
static inline void take_time(void) {
    usleep(2);
}

static inline void count_reply(const matrix_reply *reply, void *user_data) {
    struct tally *tally = user_data;

    CHECK(matrix_reply_get_kind(reply) == MATRIX_REPLY_RESULT);
    take_time();
    if (matrix_reply_ok(reply)) {
        CHECK(matrix_reply_error(reply) == NULL);
        tally->ok++;
        return;
    }
    tally->failed++;
    snprintf(tally->code, sizeof tally->code, "%s", matrix_reply_error(reply)->code);
}

static inline void pump(matrix_context context, const int *counter, int wanted) {
    while (*counter < wanted) {
        CHECK(matrix_dispatch(context, 20000, 0) >= 0);
    }
}

static inline matrix_map *map_of(const char *json) {
    matrix_map *map = NULL;

    CHECK_OK(matrix_map_from_json(json, strlen(json), &map));
    return map;
}

static inline matrix_context open_context(const char *options_json) {
    matrix_context context = {0};
    matrix_map *options = options_json ? map_of(options_json) : NULL;

    CHECK_OK(matrix_init(options, &context));
    matrix_map_free(options);
    return context;
}

static inline matrix_client open_client(matrix_context context) {
    matrix_client client = {0};
    matrix_map *options = map_of("{\"homeserver\":\"http://127.0.0.1:9\"}");

    CHECK_OK(matrix_create_client(context, options, &client));
    matrix_map_free(options);
    return client;
}

/** A ping with options as JSON text; `{"delay_ms":1000}` and more is never answered by the fake. */
static inline matrix_request ping(matrix_client client, const char *options_json,
                                  matrix_callback callback, void *user_data) {
    matrix_request request = {0};
    matrix_map *options = options_json ? map_of(options_json) : NULL;

    CHECK_OK(matrix_ping(client, options, callback, user_data, &request));
    matrix_map_free(options);
    return request;
}

#define FOREVER "{\"delay_ms\":600000}"

/** Waits until so many threads are in matrix_wait(), which the core counts. */
static inline void until_waiting(matrix_context context, unsigned wanted) {
    unsigned count;

    do {
        struct context *own = core_lock_context(context.id);

        CHECK(own);
        count = own->waiters;
        pthread_mutex_unlock(&own->lock);
        sched_yield();
    } while (count != wanted);
}

/** Waits until the runtime has handled everything that was sent so far; runs no callback. */
static inline void settle(matrix_client client) {
    matrix_reply *reply = NULL;

    CHECK_OK(matrix_wait(ping(client, NULL, NULL, NULL), 20000, &reply));
    matrix_reply_free(reply);
}

#endif
