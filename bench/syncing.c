/* SPDX-License-Identifier: Apache-2.0 */
/** syncing URL STORE EVENTS: syncs until so many events have come and the last sync is committed;
 * prints the seconds it took and the peak RSS in MiB. */
#include "clock.h"
#include "memory.h"
#include "session.h"

static int events;
static size_t bytes;

static void on_event(const matrix_reply *reply, void *user_data) {
    const matrix_event *event = matrix_reply_as_event(reply, matrix_reply_value(reply));

    (void)user_data;
    CHECK(event && event->event_id[0] == '$');
    bytes += event->body ? strlen(event->body) : 0;
    events++;
}

int main(int argc, char **argv) {
    matrix_context context = open_context();
    matrix_map *options;
    matrix_client client;
    struct tally stopped = {0};
    int64_t start, spent;

    CHECK(argc == 4);
    options = session_options(argv[1], argv[2]);
    CHECK_OK(matrix_map_set_bool(options, "encryption", false));
    client = open_session(context, options);
    CHECK_OK(matrix_subscribe(client, "any", NULL, on_event, NULL, NULL));
    CHECK_OK(matrix_wait_ready(context, 20000));
    start = clock_ns(CLOCK_MONOTONIC);
    CHECK_OK(matrix_sync_loop_start(client, NULL, matrix_ignore, NULL, NULL));
    pump(context, &events, atoi(argv[3]));
    CHECK_OK(matrix_sync_loop_stop(client, NULL, count_reply, &stopped, NULL));
    pump(context, &stopped.ok, 1);
    spent = clock_ns(CLOCK_MONOTONIC) - start;
    printf("{\"seconds\":%.4f,\"mib\":%.1f}\n", (double)spent / 1e9, peak_mib());
    fflush(stdout);
    _Exit(0);
}
