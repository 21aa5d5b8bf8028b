/* SPDX-License-Identifier: Apache-2.0 */
/* While Python holds its lock, everything a host may call in a frame still goes through. */
#include "check.h"

enum { COUNT = 2000 };

int main(void) {
    matrix_context context = open_context();
    matrix_client client, temporary;
    matrix_map *options = matrix_map_new();
    matrix_subscription subscription = {0};
    struct tally busy = {0}, pings = {0};

    CHECK_OK(matrix_wait_ready(context, 20000));
    client = open_client(context);
    ping(client, 0, count_reply, &pings);
    pump(context, &pings.ok, 1);
    CHECK_OK(matrix_map_set_int(options, "busy_ms", 3000));
    CHECK_OK(matrix_ping(client, options, count_reply, &busy, NULL));
    for (int i = 0; i < COUNT; i++) {
        matrix_request request = ping(client, 0, count_reply, &pings);
        CHECK_OK(matrix_cancel(request));
        temporary = open_client(context);
        CHECK_OK(matrix_subscribe(temporary, "message", NULL, matrix_ignore, NULL, &subscription));
        CHECK_OK(matrix_unsubscribe(subscription));
        CHECK_OK(matrix_close_client(temporary));
        CHECK(matrix_dispatch(context, 0, 1000) >= 0);
        CHECK(matrix_fd(context) >= 0);
    }
    /* Had one of them waited for Python, the busy operation would have ended by now. */
    CHECK(matrix_dispatch(context, 0, 0) >= 0);
    CHECK(tally_count(&busy) == 0);
    pump(context, &busy.ok, 1);
    while (tally_count(&pings) < COUNT + 1)
        CHECK(matrix_dispatch(context, 20000, 0) > 0);
    CHECK_OK(matrix_shutdown(context, -1));
    matrix_map_free(options);
    return 0;
}
