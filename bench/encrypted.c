/* SPDX-License-Identifier: Apache-2.0 */
/** encrypted stream URL STORE EVENTS: from the first decrypted event to the last.
 * encrypted send URL STORE ROOM: a first message to a room, after a sync.
 * encrypted open URL STORE: from making a client to its own keys, the library being up.
 * Each prints the seconds. */
#include "clock.h"
#include "session.h"

static int events;
static int64_t first;

static void on_event(const matrix_reply *reply, void *user_data) {
    const matrix_event *event = matrix_reply_as_event(reply, matrix_reply_value(reply));

    (void)user_data;
    CHECK(event && event->body && event->body[0]);
    if (!events++)
        first = clock_ns(CLOCK_MONOTONIC);
}

static matrix_client open_bench(matrix_context context, char **argv) {
    matrix_map *options = session_options(argv[2], argv[3]);

    CHECK_OK(matrix_map_set_string(options, "device_id", "D"));
    return open_session(context, options);
}

int main(int argc, char **argv) {
    matrix_context context = open_context();
    struct tally tally = {0};
    matrix_client client;
    int64_t start;

    CHECK(argc >= 4);
    CHECK_OK(matrix_wait_ready(context, 20000));
    start = clock_ns(CLOCK_MONOTONIC);
    client = open_bench(context, argv);
    if (!strcmp(argv[1], "stream")) {
        CHECK_OK(matrix_subscribe(client, "message", NULL, on_event, NULL, NULL));
        CHECK_OK(matrix_sync_loop_start(client, NULL, matrix_ignore, NULL, NULL));
        pump(context, &events, atoi(argv[4]));
        start = first;
    } else {
        CHECK_OK(matrix_encryption_status(client, NULL, count_reply, &tally, NULL));
        pump(context, &tally.ok, 1);
        if (!strcmp(argv[1], "send")) {
            CHECK_OK(matrix_sync_once(client, NULL, count_reply, &tally, NULL));
            pump(context, &tally.ok, 2);
            start = clock_ns(CLOCK_MONOTONIC);
            CHECK_OK(matrix_send_text(client, argv[4], "hi", NULL, count_reply, &tally, NULL));
            pump(context, &tally.ok, 3);
        }
    }
    printf("{\"seconds\":%.4f}\n", (double)(clock_ns(CLOCK_MONOTONIC) - start) / 1e9);
    fflush(stdout);
    _Exit(0);
}
