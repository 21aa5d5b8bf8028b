/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: each accepted one ends once, whoever ends it. */
#include <pthread.h>

#include "core_check.h"

enum { EACH = 40 };

static void every_way_to_end(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context), closing = open_client(context);
    struct tally ok[EACH] = {{0}}, error[EACH] = {{0}}, cancelled[EACH] = {{0}};
    struct tally raced[EACH] = {{0}}, closed[EACH] = {{0}}, shut[EACH] = {{0}}, done[EACH] = {{0}};

    for (int i = 0; i < EACH; i++) {
        ping(client, NULL, count_reply, &ok[i]);
        CHECK_OK(matrix_whoami(client, NULL, count_reply, &error[i], NULL));
        CHECK_OK(matrix_cancel(ping(client, FOREVER, count_reply, &cancelled[i])));
        CHECK_OK(matrix_cancel(ping(client, NULL, count_reply, &raced[i])));
        ping(closing, FOREVER, count_reply, &closed[i]);
        ping(closing, NULL, count_reply, &done[i]);
        ping(client, FOREVER, count_reply, &shut[i]);
    }
    settle(client);
    CHECK_OK(matrix_close_client(closing));
    CHECK_STATUS(matrix_ping(closing, NULL, count_reply, NULL, NULL), MATRIX_E_INVALID_HANDLE);
    CHECK(matrix_dispatch(context, 20000, 0) == 6 * EACH);
    CHECK_OK(matrix_shutdown(context, -1));
    for (int i = 0; i < EACH; i++) {
        CHECK(ok[i].ok == 1 && !ok[i].failed);
        CHECK(error[i].failed == 1 && !error[i].ok);
        CHECK_TEXT(error[i].code, "M_UNKNOWN_TOKEN");
        CHECK(cancelled[i].failed == 1 && !cancelled[i].ok);
        CHECK_TEXT(cancelled[i].code, "E_CANCELLED");
        CHECK(tally_count(&raced[i]) == 1);
        CHECK(closed[i].failed == 1 && !closed[i].ok);
        CHECK_TEXT(closed[i].code, "E_CANCELLED");
        CHECK(tally_count(&done[i]) == 1);
        CHECK(shut[i].failed == 1 && !shut[i].ok);
        CHECK_TEXT(shut[i].code, "E_SHUTDOWN");
    }
}

static void errors_are_records(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    matrix_request request = {0};
    matrix_reply *reply = NULL;
    const matrix_error *error;

    CHECK_OK(matrix_whoami(client, NULL, NULL, NULL, &request));
    CHECK_OK(matrix_wait(request, 20000, &reply));
    CHECK(!matrix_reply_ok(reply));
    error = matrix_reply_error(reply);
    CHECK(error->status == MATRIX_E_HOMESERVER);
    CHECK_TEXT(error->code, "M_UNKNOWN_TOKEN");
    CHECK_TEXT(error->message, "no such token");
    CHECK(error->has_http_status && error->http_status == 401);
    CHECK(!error->has_retry_after_ms);
    CHECK(matrix_reply_error(reply) == error);
    CHECK(matrix_reply_as_error(reply, matrix_reply_value(reply)) == error);
    CHECK(matrix_reply_request(reply).id == request.id);
    CHECK(matrix_reply_subscription(reply).id == 0 && matrix_reply_call_id(reply) == 0);
    matrix_reply_free(reply);

    request = ping(client, FOREVER, NULL, NULL);
    CHECK_OK(matrix_close_client(client));
    CHECK_OK(matrix_wait(request, 0, &reply));
    CHECK(matrix_reply_error(reply)->status == MATRIX_E_CANCELLED);
    matrix_reply_free(reply);
    CHECK_OK(matrix_shutdown(context, -1));
}

static void waiting(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    matrix_request request = ping(client, "{\"payload\":[1,2]}", NULL, NULL);
    matrix_request slow = ping(client, FOREVER, NULL, NULL);
    matrix_request called = ping(client, FOREVER, matrix_ignore, NULL);
    matrix_reply *reply = (matrix_reply *)&context;

    CHECK_OK(matrix_wait(request, 20000, &reply));
    CHECK_TEXT(matrix_reply_json(reply, NULL), "{\"payload\":[1,2]}");
    matrix_reply_free(reply);
    CHECK_STATUS(matrix_wait(request, 0, &reply), MATRIX_E_INVALID_HANDLE);
    CHECK(reply == NULL);
    CHECK_STATUS(matrix_wait(slow, 0, &reply), MATRIX_E_TIMEOUT);
    CHECK_STATUS(matrix_wait(slow, 20, &reply), MATRIX_E_TIMEOUT);
    CHECK_STATUS(matrix_wait(called, 0, &reply), MATRIX_E_INVALID_ARGUMENT);
    CHECK_OK(matrix_cancel(slow));
    CHECK_OK(matrix_wait(slow, -1, &reply));
    CHECK(matrix_reply_error(reply)->status == MATRIX_E_CANCELLED);
    matrix_reply_free(reply);
    /* Its reply waits for nobody: shutdown frees it. */
    ping(client, NULL, NULL, NULL);
    CHECK_OK(matrix_shutdown(context, -1));
}

struct waiter {
    pthread_t thread;
    matrix_request request;
    int timeout_ms;
    matrix_status status;
    char code[64];
};

static void *wait_in_thread(void *argument) {
    struct waiter *waiter = argument;
    matrix_reply *reply = NULL;

    waiter->status = matrix_wait(waiter->request, waiter->timeout_ms, &reply);
    if (!waiter->status && !matrix_reply_ok(reply)) {
        snprintf(waiter->code, sizeof waiter->code, "%s", matrix_reply_error(reply)->code);
    }
    matrix_reply_free(reply);
    return NULL;
}

/* Who only wants it to be over needs no reply; one that nobody could ever take is not accepted. */
static void replies_that_nobody_wants(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    matrix_request request = ping(client, NULL, NULL, NULL);
    matrix_request slow = ping(client, FOREVER, NULL, NULL);
    matrix_map *options = matrix_map_new();
    matrix_reply *reply = NULL;

    CHECK_OK(matrix_wait(request, 20000, NULL));
    CHECK_STATUS(matrix_wait(request, 0, &reply), MATRIX_E_INVALID_HANDLE);
    CHECK_STATUS(matrix_wait(slow, 0, NULL), MATRIX_E_TIMEOUT);
    CHECK_STATUS(matrix_ping(client, options, NULL, NULL, NULL), MATRIX_E_INVALID_ARGUMENT);
    CHECK_TEXT_BEGINS(matrix_map_error(options), "callback: is NULL, and so is request: ");
    CHECK_STATUS(matrix_submit(client, "ping", options, NULL, NULL, NULL),
                 MATRIX_E_INVALID_ARGUMENT);
    matrix_map_free(options);
    CHECK_OK(matrix_shutdown(context, -1));
}

/* Two wait for each; one gets the reply, the other learns that it is gone. */
static void waiting_on_many_threads(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    struct waiter waiters[16];
    int got = 0, gone = 0;

    for (int i = 0; i < 16; i++) {
        waiters[i] = (struct waiter){.timeout_ms = -1};
        waiters[i].request = i % 2 ? waiters[i - 1].request : ping(client, FOREVER, NULL, NULL);
        CHECK(pthread_create(&waiters[i].thread, NULL, wait_in_thread, &waiters[i]) == 0);
    }
    until_waiting(context, 16);
    for (int i = 0; i < 8; i += 2) {
        CHECK_OK(matrix_cancel(waiters[i].request));
    }
    until_waiting(context, 8);
    CHECK_OK(matrix_shutdown(context, -1));
    for (int i = 0; i < 16; i++) {
        CHECK(pthread_join(waiters[i].thread, NULL) == 0);
        got += waiters[i].status == MATRIX_OK;
        gone += waiters[i].status == MATRIX_E_INVALID_HANDLE;
        if (waiters[i].status == MATRIX_OK) {
            CHECK_TEXT(waiters[i].code, i < 8 ? "E_CANCELLED" : "E_SHUTDOWN");
        }
    }
    CHECK(got == 8 && gone == 8);
}

static void count_progress(const matrix_reply *reply, void *user_data) {
    CHECK(matrix_reply_get_kind(reply) == MATRIX_REPLY_PROGRESS);
    CHECK(matrix_reply_ok(reply));
    CHECK(matrix_reply_request(reply).id != 0);
    CHECK(matrix_value_get_int(matrix_reply_value(reply), "done", 0) == 50);
    (*(int *)user_data)++;
    take_time();
}

/* All fifty reports wait at once: only the newest is worth a callback, and it comes before the
 * result. */
static void progress_is_the_newest(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    struct tally tally = {0};
    int reports = 0;
    matrix_request request;

    atomic_store(&fake_is_busy, true);
    request = ping(client, "{\"progress_count\":50}", count_reply, &tally);
    CHECK_OK(matrix_set_progress_callback(request, count_progress, &reports));
    atomic_store(&fake_is_busy, false);
    settle(client);
    CHECK(matrix_dispatch(context, 20000, 1) == 1);
    CHECK(reports == 1 && tally.ok == 0);
    pump(context, &tally.ok, 1);
    CHECK(reports == 1);
    CHECK_STATUS(matrix_set_progress_callback(request, count_progress, &reports),
                 MATRIX_E_INVALID_HANDLE);
    CHECK_OK(matrix_shutdown(context, -1));
}

int main(void) {
    every_way_to_end();
    errors_are_records();
    waiting();
    replies_that_nobody_wants();
    waiting_on_many_threads();
    progress_is_the_newest();
    return 0;
}
