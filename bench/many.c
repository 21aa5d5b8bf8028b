/* SPDX-License-Identifier: Apache-2.0 */
/** many URL STORES COUNT [CA_FILE]: so many clients, each with a store of its own, wait for news;
 * prints what each beyond the first costs in KiB of RSS and in file descriptors. */
#include <dirent.h>
#include <unistd.h>

#include "clock.h"
#include "memory.h"
#include "session.h"

static int descriptors(void) {
    DIR *folder = opendir("/proc/self/fd");
    int count = -1; /* that of the folder itself */

    CHECK(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static int syncing;

static void on_state(const matrix_reply *reply, void *user_data) {
    const matrix_value *state = matrix_reply_value(reply);

    (void)user_data;
    CHECK(!strcmp(matrix_value_get_string(state, "state", ""), "syncing"));
    syncing++;
}

static void start(matrix_context context, char **argv, int number) {
    matrix_map *options;
    matrix_client client;
    char path[4096];

    snprintf(path, sizeof path, "%s/%d", argv[2], number);
    options = session_options(argv[1], path);
    CHECK_OK(matrix_map_set_bool(options, "encryption", false));
    if (argv[4])
        CHECK_OK(matrix_map_set_string(options, "ca_file", argv[4]));
    client = open_session(context, options);
    CHECK_OK(matrix_subscribe(client, "sync_state", NULL, on_state, NULL, NULL));
    CHECK_OK(matrix_sync_loop_start(client, NULL, matrix_ignore, NULL, NULL));
}

/** Dispatches until so many sync and have only the descriptors they need, or for 30 s. */
static void settle(matrix_context context, int count, int files) {
    int64_t end;

    pump(context, &syncing, count);
    end = clock_ns(CLOCK_MONOTONIC) + 30000000000LL;
    while (descriptors() > files && clock_ns(CLOCK_MONOTONIC) < end)
        CHECK(matrix_dispatch(context, 50, 0) >= 0);
}

int main(int argc, char **argv) {
    matrix_context context = open_context();
    int count, files;
    int64_t began;
    double seconds;
    long kib;

    CHECK(argc >= 4);
    count = atoi(argv[3]);
    CHECK_OK(matrix_wait_ready(context, 20000));
    files = descriptors();
    start(context, argv, 0);
    settle(context, 1, files + 2);
    kib = status_kib("VmRSS:");
    began = clock_ns(CLOCK_MONOTONIC);
    for (int number = 1; number < count; number++)
        start(context, argv, number);
    pump(context, &syncing, count);
    seconds = (double)(clock_ns(CLOCK_MONOTONIC) - began) / 1e9;
    settle(context, count, files + 2 * count);
    printf("{\"kib\":%.1f,\"files\":%.2f,\"seconds\":%.1f}\n",
           (double)(status_kib("VmRSS:") - kib) / (count - 1),
           (double)(descriptors() - files) / count, seconds);
    fflush(stdout);
    _Exit(0);
}
