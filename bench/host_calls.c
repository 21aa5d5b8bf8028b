/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a frame pays: host_calls SAMPLES BUSY_MS. Times a submitting call, which wakes a runtime
 * that sleeps, another one right behind it, which finds it awake, an empty dispatch and, as the
 * control, two looks at the clock, one sample of each per frame, in wall time and in this thread's
 * CPU time.
 */
#include "../tests/host/c/check.h"
#include "clock.h"

enum { SUBMIT, NEXT_SUBMIT, DISPATCH, CONTROL, KINDS };

static const char *const names[KINDS] = {"first submit", "next submit", "empty dispatch",
                                         "control"};

static void rest(void) {
    struct timespec pause = {.tv_nsec = 100000};

    nanosleep(&pause, NULL);
}

static void measure(matrix_context context, matrix_client client, struct samples *samples,
                    size_t count, bool busy) {
    struct tally answered = {0};
    struct moment start;

    for (size_t i = 0; i < count; i++) {
        rest();
        for (int kind = SUBMIT; kind <= NEXT_SUBMIT; kind++) {
            start = look();
            matrix_ping(client, NULL, count_reply, &answered, NULL);
            take_sample(samples, kind, i, start);
        }
        if (!busy)
            pump(context, &answered.ok, 2 * (int)i + 2);
        start = look();
        matrix_dispatch(context, 0, 0);
        take_sample(samples, DISPATCH, i, start);
        start = look();
        take_sample(samples, CONTROL, i, start);
    }
}

/* The runtime is kept in pure Python, with its lock held, for as long as the samples take. */
static void keep_busy(matrix_context context, matrix_client client, int busy_ms) {
    matrix_map *options = matrix_map_new();

    CHECK_OK(matrix_map_set_int(options, "busy_ms", busy_ms));
    for (int i = 0; i < 100; i++)
        CHECK_OK(matrix_ping(client, options, matrix_ignore, NULL, NULL));
    matrix_map_free(options);
    CHECK(matrix_dispatch(context, 0, 0) >= 0);
}

int main(int argc, char **argv) {
    size_t count = argc == 3 ? (size_t)atoll(argv[1]) : 10000;
    int busy_ms = argc == 3 ? atoi(argv[2]) : 0;
    matrix_context context = open_context();
    matrix_client client = open_client(context);
    struct samples samples = make_samples(names, KINDS, count);
    struct tally ready = {0};

    CHECK_OK(matrix_wait_ready(context, 20000));
    ping(client, 0, count_reply, &ready);
    pump(context, &ready.ok, 1);
    if (busy_ms)
        keep_busy(context, client, busy_ms);
    measure(context, client, &samples, count, busy_ms > 0);
    print_samples(&samples, count);
    fflush(stdout);
    _Exit(0);
}
