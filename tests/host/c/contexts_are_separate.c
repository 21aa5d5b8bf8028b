/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "check.h"

enum { THREADS = 4, COUNT = 2000 };

struct host {
    pthread_t thread;
    matrix_context context;
    int got;
};

static void mine(const matrix_reply *reply, void *user_data) {
    struct host *host = user_data;

    CHECK(matrix_reply_ok(reply));
    CHECK(pthread_equal(pthread_self(), host->thread));
    host->got++;
}

static void *run_host(void *argument) {
    struct host *host = argument;
    matrix_client client;

    host->thread = pthread_self();
    host->context = open_context();
    client = open_client(host->context);
    for (int i = 0; i < COUNT; i++) {
        CHECK_OK(matrix_ping(client, NULL, mine, host, NULL));
        if (i % 64 == 0)
            CHECK(matrix_dispatch(host->context, 0, 0) >= 0);
    }
    pump(host->context, &host->got, COUNT);
    CHECK_OK(matrix_shutdown(host->context, -1));
    CHECK(host->got == COUNT);
    return NULL;
}

static void two_in_one_thread(void) {
    matrix_context first = open_context(), second = open_context();
    matrix_client of_first = open_client(first), of_second = open_client(second);
    struct tally a = {0}, b = {0};

    ping(of_first, 0, count_reply, &a);
    ping(of_second, 0, count_reply, &b);
    pump(second, &b.ok, 1);
    CHECK(a.ok == 0);
    pump(first, &a.ok, 1);
    CHECK(a.ok == 1 && b.ok == 1);
    CHECK_OK(matrix_shutdown(first, -1));
    ping(of_second, 0, count_reply, &b);
    pump(second, &b.ok, 2);
    CHECK_OK(matrix_shutdown(second, -1));
}

int main(void) {
    struct host hosts[THREADS] = {{0}};
    pthread_t threads[THREADS];

    two_in_one_thread();
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, run_host, &hosts[i]) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}
