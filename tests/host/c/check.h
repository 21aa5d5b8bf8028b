/* SPDX-License-Identifier: Apache-2.0 */
/** What the host programs of the promise tests share: checks that stop the program, a context, a
 * client, a pump. */
#ifndef CHECK_H
#define CHECK_H

#include "checks.h"

static inline void count_reply(const matrix_reply *reply, void *user_data) {
    struct tally *tally = user_data;

    if (matrix_reply_ok(reply)) {
        tally->ok++;
        return;
    }
    tally->failed++;
    snprintf(tally->code, sizeof tally->code, "%s", matrix_reply_error(reply)->code);
}

/** Dispatches until `*counter` has reached `wanted`; ends the program when nothing comes for 20 s.
 */
static inline void pump(matrix_context context, const int *counter, int wanted) {
    while (*counter < wanted)
        CHECK(matrix_dispatch(context, 20000, 0) > 0);
}

static inline matrix_context open_context(void) {
    matrix_context context = {0};

    CHECK_OK(matrix_init(NULL, &context));
    return context;
}

static inline matrix_client open_client_at(matrix_context context, const char *homeserver) {
    matrix_client client = {0};
    matrix_map *options = matrix_map_new();

    CHECK_OK(matrix_map_set_string(options, "homeserver", homeserver));
    CHECK_OK(matrix_create_client(context, options, &client));
    matrix_map_free(options);
    return client;
}

/** A client of a homeserver that is not there: for operations that need none. */
static inline matrix_client open_client(matrix_context context) {
    return open_client_at(context, "http://127.0.0.1:9");
}

/** Submits a ping that is answered after `delay_ms`. */
static inline matrix_request ping(matrix_client client, int delay_ms, matrix_callback callback,
                                  void *user_data) {
    matrix_request request = {0};
    matrix_map *options = matrix_map_new();

    CHECK_OK(matrix_map_set_int(options, "delay_ms", delay_ms));
    CHECK_OK(matrix_ping(client, options, callback, user_data, &request));
    matrix_map_free(options);
    return request;
}

#endif
