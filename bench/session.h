/* SPDX-License-Identifier: Apache-2.0 */
/** The session that the benchmark programs have from their servers, without a login. */
#ifndef SESSION_H
#define SESSION_H

#include "../tests/host/c/check.h"

/** Options of such a client; `store` may be NULL. */
static inline matrix_map *session_options(const char *url, const char *store) {
    matrix_map *options = matrix_map_new();

    CHECK_OK(matrix_map_set_string(options, "homeserver", url));
    if (store)
        CHECK_OK(matrix_map_set_string(options, "store_path", store));
    CHECK_OK(matrix_map_set_string(options, "user_id", "@bench:localhost"));
    CHECK_OK(matrix_map_set_string(options, "access_token", "token"));
    return options;
}

/** Makes the client and frees its options. */
static inline matrix_client open_session(matrix_context context, matrix_map *options) {
    matrix_client client = {0};

    CHECK_OK(matrix_create_client(context, options, &client));
    matrix_map_free(options);
    return client;
}

#endif
