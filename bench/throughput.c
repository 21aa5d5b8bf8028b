/* SPDX-License-Identifier: Apache-2.0 */
/** No-op operations: one after the other, many at once, and what a trivial callback and a dispatch
 * budget cost. */
#include "../tests/host/c/check.h"
#include "clock.h"

enum { ROUND_TRIPS = 5000, BULK = 200000, CALLBACKS = 40000, BUDGET_US = 500 };

static int got;

static void trivial(const matrix_reply *reply, void *user_data) {
    (void)reply;
    (void)user_data;
    got++;
}

static void time_round_trips(matrix_context context, matrix_client client) {
    static int64_t samples[ROUND_TRIPS];

    for (int i = 0; i < ROUND_TRIPS; i++) {
        int64_t start = clock_ns(CLOCK_MONOTONIC);
        matrix_ping(client, NULL, trivial, NULL, NULL);
        pump(context, &got, i + 1);
        samples[i] = clock_ns(CLOCK_MONOTONIC) - start;
    }
    print_percentiles("round trip", "wall", samples, ROUND_TRIPS);
}

static void time_bulk(matrix_context context, matrix_client client) {
    int64_t start = clock_ns(CLOCK_MONOTONIC), spent;
    int sent = 0;

    got = 0;
    while (got < BULK) {
        while (sent < BULK && matrix_ping(client, NULL, trivial, NULL, NULL) == MATRIX_OK)
            sent++;
        CHECK(matrix_dispatch(context, 20000, 0) > 0);
    }
    spent = clock_ns(CLOCK_MONOTONIC) - start;
    printf("{\"name\":\"bulk\",\"per_second\":%.0f}\n", BULK / ((double)spent / 1e9));
}

/* All replies are there before the clock starts: what is timed is the dispatch alone. */
static void wait_for_all(matrix_context context, matrix_client client) {
    matrix_request last = {0};
    matrix_reply *reply = NULL;

    CHECK_OK(matrix_ping(client, NULL, NULL, NULL, &last));
    CHECK_OK(matrix_wait(last, 60000, &reply));
    matrix_reply_free(reply);
    (void)context;
}

static void submit_callbacks(matrix_context context, matrix_client client) {
    got = 0;
    for (int i = 0; i < CALLBACKS; i++)
        CHECK_OK(matrix_ping(client, NULL, trivial, NULL, NULL));
    wait_for_all(context, client);
}

static void time_callbacks(matrix_context context, matrix_client client) {
    int64_t start;

    submit_callbacks(context, client);
    start = clock_ns(CLOCK_MONOTONIC);
    pump(context, &got, CALLBACKS);
    printf("{\"name\":\"callback, C\",\"ns\":%.0f}\n",
           (double)(clock_ns(CLOCK_MONOTONIC) - start) / CALLBACKS);
}

static void time_budget(matrix_context context, matrix_client client) {
    static int64_t samples[CALLBACKS];
    size_t count = 0;

    submit_callbacks(context, client);
    while (got < CALLBACKS) {
        int64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
        CHECK(matrix_dispatch(context, 20000, BUDGET_US) > 0);
        samples[count++] = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start;
    }
    print_percentiles("dispatch, budget 500 us", "cpu", samples, count);
}

int main(void) {
    matrix_context context = open_context();
    matrix_client client = open_client(context);

    CHECK_OK(matrix_wait_ready(context, 20000));
    wait_for_all(context, client);
    time_round_trips(context, client);
    time_bulk(context, client);
    time_callbacks(context, client);
    time_budget(context, client);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
