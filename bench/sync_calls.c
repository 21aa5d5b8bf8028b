/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a frame pays while the runtime takes a large sync apart: sync_calls URL EVENTS. Timed are a
 * submitting call, a dispatch that runs one callback if there is one, and, as the control, two
 * looks at the clock, by turns, in wall time and in this thread's CPU time. The sync is repeated,
 * by a new client each time, until there are 10,000 samples of each.
 */
#include "../tests/host/c/check.h"
#include "clock.h"

enum { SUBMIT, DISPATCH, CONTROL, KINDS, SAMPLES = 10000, DRAIN_US = 200 };

static const char *const names[KINDS] = {"submit", "dispatch", "control"};

static int64_t *wall[KINDS], *cpu[KINDS];
static size_t count;
static int events;

struct moment {
    int64_t wall;
    int64_t cpu;
};

static struct moment begin(void) {
    struct moment now;

    now.cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    now.wall = clock_ns(CLOCK_MONOTONIC);
    return now;
}

static void end(int kind, struct moment start) {
    wall[kind][count] = clock_ns(CLOCK_MONOTONIC) - start.wall;
    cpu[kind][count] = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start.cpu;
}

static void on_event(const matrix_reply *reply, void *user_data) {
    (void)reply;
    (void)user_data;
    events++;
}

static void sample(matrix_context context, matrix_client client, struct tally *answered) {
    struct timespec pause = {.tv_nsec = 20000};
    struct moment start = begin();

    matrix_ping(client, NULL, count_reply, answered, NULL);
    end(SUBMIT, start);
    start = begin();
    matrix_dispatch(context, 0, 1);
    end(DISPATCH, start);
    start = begin();
    end(CONTROL, start);
    count++;
    CHECK(matrix_dispatch(context, 0, DRAIN_US) >= 0);
    nanosleep(&pause, NULL);
}

/* Samples until one large sync is over. */
static void sync_once(matrix_context context, const char *url, int wanted) {
    matrix_map *options = matrix_map_new();
    matrix_client client = {0};
    struct tally answered = {0}, synced = {0};

    CHECK_OK(matrix_map_set_string(options, "homeserver", url));
    CHECK_OK(matrix_map_set_string(options, "user_id", "@bench:localhost"));
    CHECK_OK(matrix_map_set_string(options, "access_token", "token"));
    CHECK_OK(matrix_map_set_bool(options, "encryption", false));
    CHECK_OK(matrix_create_client(context, options, &client));
    matrix_map_free(options);
    CHECK_OK(matrix_subscribe(client, "any", NULL, on_event, NULL, NULL));
    events = 0;
    CHECK_OK(matrix_sync_once(client, NULL, count_reply, &synced, NULL));
    while (!synced.ok && count < SAMPLES) {
        CHECK(!synced.failed);
        sample(context, client, &answered);
    }
    CHECK(!synced.ok || events == wanted);
    CHECK_OK(matrix_close_client(client));
    CHECK(matrix_dispatch(context, 0, 0) >= 0);
}

int main(int argc, char **argv) {
    matrix_context context = open_context();

    CHECK(argc == 3);
    for (int kind = 0; kind < KINDS; kind++) {
        wall[kind] = calloc(SAMPLES, sizeof(int64_t));
        cpu[kind] = calloc(SAMPLES, sizeof(int64_t));
    }
    CHECK_OK(matrix_wait_ready(context, 20000));
    while (count < SAMPLES)
        sync_once(context, argv[1], atoi(argv[2]));
    for (int kind = 0; kind < KINDS; kind++) {
        print_percentiles(names[kind], "wall", wall[kind], count);
        print_percentiles(names[kind], "cpu", cpu[kind], count);
    }
    fflush(stdout);
    _Exit(0);
}
