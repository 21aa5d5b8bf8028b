/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What a frame pays while the runtime takes a large sync apart: sync_calls URL EVENTS. Timed are a
 * submitting call, a dispatch that runs one callback if there is one, and, as the control, two
 * looks at the clock, by turns, in wall time and in this thread's CPU time. The sync is repeated,
 * by a new client each time, until there are 10,000 samples of each.
 */
#include "clock.h"
#include "session.h"

enum { SUBMIT, DISPATCH, CONTROL, KINDS, SAMPLES = 10000, DRAIN_US = 200 };

static const char *const names[KINDS] = {"submit", "dispatch", "control"};

static struct samples samples;
static size_t count;
static int events;

static void on_event(const matrix_reply *reply, void *user_data) {
    (void)reply;
    (void)user_data;
    events++;
}

static void sample(matrix_context context, matrix_client client, struct tally *answered) {
    struct timespec pause = {.tv_nsec = 20000};
    struct moment start = look();

    matrix_ping(client, NULL, count_reply, answered, NULL);
    take_sample(&samples, SUBMIT, count, start);
    start = look();
    matrix_dispatch(context, 0, 1);
    take_sample(&samples, DISPATCH, count, start);
    start = look();
    take_sample(&samples, CONTROL, count, start);
    count++;
    CHECK(matrix_dispatch(context, 0, DRAIN_US) >= 0);
    nanosleep(&pause, NULL);
}

/* Samples until one large sync is over. */
static void sync_once(matrix_context context, const char *url, int wanted) {
    matrix_map *options = session_options(url, NULL);
    matrix_client client;
    struct tally answered = {0}, synced = {0};

    CHECK_OK(matrix_map_set_bool(options, "encryption", false));
    client = open_session(context, options);
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
    samples = make_samples(names, KINDS, SAMPLES);
    CHECK_OK(matrix_wait_ready(context, 20000));
    while (count < SAMPLES)
        sync_once(context, argv[1], atoi(argv[2]));
    print_samples(&samples, count);
    fflush(stdout);
    _Exit(0);
}
