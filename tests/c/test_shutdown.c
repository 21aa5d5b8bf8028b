/* SPDX-License-Identifier: Apache-2.0 */
/* The end of contexts, with a runtime that cooperates and with one that does not. */
#include <pthread.h>
#include <time.h>

#include "core_check.h"

static int64_t now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static matrix_context own;
static matrix_client client_of_own;
static int ran;

static void during_shutdown(const matrix_reply *reply, void *user_data) {
    matrix_client other = {0};
    matrix_map *options = map_of("{\"homeserver\":\"http://h\"}");
    matrix_subscription subscription;

    (void)user_data;
    CHECK(matrix_reply_error(reply)->status == MATRIX_E_SHUTDOWN);
    CHECK_STATUS(matrix_ping(client_of_own, NULL, matrix_ignore, NULL, NULL), MATRIX_E_SHUTDOWN);
    CHECK_STATUS(matrix_create_client(own, options, &other), MATRIX_E_SHUTDOWN);
    CHECK_STATUS(
        matrix_subscribe(client_of_own, "message", NULL, matrix_ignore, NULL, &subscription),
        MATRIX_E_SHUTDOWN);
    CHECK_STATUS(matrix_shutdown(own, 0), MATRIX_E_BUSY);
    CHECK(matrix_fd(own) >= 0);
    matrix_map_free(options);
    ran++;
}

static void nothing_new_while_ending(void) {
    own = open_context(NULL);
    client_of_own = open_client(own);
    for (int i = 0; i < 3; i++) {
        ping(client_of_own, FOREVER, during_shutdown, NULL);
    }
    settle(client_of_own);
    CHECK_OK(matrix_shutdown(own, -1));
    CHECK(ran == 3);
    CHECK_STATUS(matrix_ping(client_of_own, NULL, matrix_ignore, NULL, NULL),
                 MATRIX_E_INVALID_HANDLE);
}

/* What is due runs and is told as consumed before the runtime hears of the end. */
static void what_is_due_runs(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    struct tally tally = {0};
    matrix_map *options = map_of("{\"timeout_ms\":5}");
    int before = atomic_load(&fake.consumed);

    CHECK_OK(matrix_subscribe(client, "message", NULL, matrix_ignore, NULL, NULL));
    CHECK_OK(matrix_sync_once(client, options, count_reply, &tally, NULL));
    settle(client);
    CHECK_OK(matrix_shutdown(context, -1));
    CHECK(tally.ok == 1);
    CHECK(atomic_load(&fake.consumed) == before + 1);
    matrix_map_free(options);
}

static void closing_clients_inside(const matrix_reply *reply, void *user_data) {
    (void)reply;
    CHECK_OK(matrix_close_client(*(matrix_client *)user_data));
    ran++;
}

static void callbacks_may_close(void) {
    matrix_context context = open_context(NULL);
    matrix_client first = open_client(context), second = open_client(context);
    struct tally tally = {0};

    ran = 0;
    ping(first, FOREVER, closing_clients_inside, &second);
    ping(second, FOREVER, count_reply, &tally);
    settle(first);
    CHECK_OK(matrix_close_client(first));
    CHECK_OK(matrix_shutdown(context, -1));
    CHECK(ran == 1 && tally.failed == 1);
    CHECK_TEXT(tally.code, "E_CANCELLED");
}

/* It is told of nothing that it causes: each of its calls is refused, which would be logged. */
static void log_by_sending(const matrix_reply *reply, void *user_data) {
    CHECK(matrix_reply_get_kind(reply) == MATRIX_REPLY_LOG);
    CHECK_STATUS(matrix_ping(*(matrix_client *)user_data, NULL, matrix_ignore, NULL, NULL),
                 MATRIX_E_SHUTDOWN);
    CHECK(++ran < 3);
}

static void log_callbacks_may_submit(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);

    ran = 0;
    CHECK_OK(matrix_set_log_callback(context, MATRIX_LOG_LEVEL_ERROR, log_by_sending, &client));
    CHECK_STATUS(matrix_submit(client, NULL, NULL, matrix_ignore, NULL, NULL),
                 MATRIX_E_INVALID_ARGUMENT);
    CHECK_OK(matrix_shutdown(context, -1));
    CHECK(ran == 1);
}

static void *wait_forever(void *argument) {
    matrix_reply *reply = NULL;

    CHECK_OK(matrix_wait(*(matrix_request *)argument, -1, &reply));
    CHECK(matrix_reply_error(reply)->status == MATRIX_E_SHUTDOWN);
    matrix_reply_free(reply);
    return NULL;
}

static void stubborn_runtime(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    matrix_request waited = ping(client, FOREVER, NULL, NULL);
    struct tally tally = {0};
    pthread_t waiter;
    int64_t start;

    ping(client, FOREVER, count_reply, &tally);
    CHECK(pthread_create(&waiter, NULL, wait_forever, &waited) == 0);
    until_waiting(context, 1);
    atomic_store(&fake_is_stubborn, true);
    start = now_ms();
    CHECK_OK(matrix_shutdown(context, 100));
    CHECK(now_ms() - start >= 100 && now_ms() - start < 1500);
    CHECK(pthread_join(waiter, NULL) == 0);
    CHECK(tally.failed == 1);
    CHECK_TEXT(tally.code, "E_SHUTDOWN");

    context = open_context(NULL);
    settle(open_client(context));
    CHECK_OK(matrix_shutdown(context, 0));
    atomic_store(&fake_is_stubborn, false);
}

static void *run_own_context(void *argument) {
    (void)argument;
    for (int round = 0; round < 20; round++) {
        matrix_context context = open_context(NULL);
        matrix_client client = open_client(context);
        struct tally tally = {0}, open = {0};

        for (int i = 0; i < 20; i++) {
            ping(client, NULL, count_reply, &tally);
        }
        ping(client, FOREVER, count_reply, &open);
        pump(context, &tally.ok, 20);
        CHECK_OK(matrix_shutdown(context, -1));
        CHECK(tally.ok == 20 && tally.failed == 0 && open.failed == 1);
    }
    return NULL;
}

static void contexts_in_threads(void) {
    pthread_t threads[4];

    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&threads[i], NULL, run_own_context, NULL) == 0);
    }
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

int main(void) {
    nothing_new_while_ending();
    what_is_due_runs();
    callbacks_may_close();
    log_callbacks_may_submit();
    contexts_in_threads();
    stubborn_runtime();
    return 0;
}
