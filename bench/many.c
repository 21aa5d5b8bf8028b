/* SPDX-License-Identifier: Apache-2.0 */
/** many URL STORES COUNT: so many clients, each with a store of its own, wait for something new;
 * prints what each beyond the first costs in KiB of RSS and in file descriptors. */
#include <dirent.h>
#include <unistd.h>

#include "../tests/host/c/check.h"
#include "clock.h"

static long rss_kib(void) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long kib = 0;

    CHECK(file);
    while (fgets(line, sizeof line, file))
        if (!strncmp(line, "VmRSS:", 6))
            kib = atol(line + 6);
    fclose(file);
    return kib;
}

static int descriptors(void) {
    DIR *folder = opendir("/proc/self/fd");
    int count = -1; /* that of the folder itself */

    CHECK(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static void start(matrix_context context, const char *url, const char *stores, int number,
                  int *syncing) {
    matrix_map *options = matrix_map_new();
    matrix_client client = {0};
    char path[4096];

    snprintf(path, sizeof path, "%s/%d", stores, number);
    CHECK_OK(matrix_map_set_string(options, "homeserver", url));
    CHECK_OK(matrix_map_set_string(options, "store_path", path));
    CHECK_OK(matrix_map_set_string(options, "user_id", "@bench:localhost"));
    CHECK_OK(matrix_map_set_string(options, "access_token", "token"));
    CHECK_OK(matrix_create_client(context, options, &client));
    matrix_map_free(options);
    CHECK_OK(matrix_subscribe(client, "sync_state", NULL, matrix_ignore, NULL, NULL));
    (void)syncing;
    CHECK_OK(matrix_sync_loop_start(client, NULL, matrix_ignore, NULL, NULL));
}

/** Dispatches until nothing has come for a while: all wait. */
static void settle(matrix_context context, int quiet_ms) {
    int64_t last = clock_ns(CLOCK_MONOTONIC);

    while (clock_ns(CLOCK_MONOTONIC) - last < quiet_ms * 1000000LL)
        if (matrix_dispatch(context, 100, 0) > 0)
            last = clock_ns(CLOCK_MONOTONIC);
}

int main(int argc, char **argv) {
    matrix_context context = open_context();
    int count, files, syncing = 0;
    long kib;
    int64_t began;
    double seconds;

    CHECK(argc == 4);
    count = atoi(argv[3]);
    start(context, argv[1], argv[2], 0, &syncing);
    settle(context, 8000);
    kib = rss_kib();
    files = descriptors();
    began = clock_ns(CLOCK_MONOTONIC);
    for (int number = 1; number < count; number++)
        start(context, argv[1], argv[2], number, &syncing);
    settle(context, 12000);
    seconds = (double)(clock_ns(CLOCK_MONOTONIC) - began) / 1e9;
    printf("{\"clients\":%d,\"first_kib\":%ld,\"kib\":%.1f,\"files\":%.2f,\"first_files\":%d,\"s\":%.1f}\n", count, kib,
           (double)(rss_kib() - kib) / (count - 1), (double)(descriptors() - files) / (count - 1), files, seconds);
    fflush(stdout);
    _Exit(0);
}
