/* SPDX-License-Identifier: Apache-2.0 */
/* A runtime that dies: everything open ends, everything later ends at once, and the reason is told.
 */
#include <pthread.h>
#include <sys/resource.h>

#include "core_check.h"

static int logged;

static void remember(const matrix_reply *reply, void *user_data) {
    const matrix_log_record *record = matrix_reply_as_log_record(reply, matrix_reply_value(reply));

    (void)user_data;
    CHECK_TEXT(record->message, "the fake has died");
    CHECK_TEXT(record->code, "E_PYTHON");
    logged++;
}

static void *wait_forever(void *argument) {
    matrix_reply *reply = NULL;

    CHECK_OK(matrix_wait(*(matrix_request *)argument, -1, &reply));
    CHECK(matrix_reply_error(reply)->status == MATRIX_E_PYTHON);
    matrix_reply_free(reply);
    return NULL;
}

/* A shutdown that waits for the runtime, which dies meanwhile: what was due has run by then. */
static void *end_context(void *argument) {
    int64_t start = core_now_us();

    CHECK_OK(matrix_shutdown(*(matrix_context *)argument, 20000));
    CHECK(core_now_us() - start < 10000000);
    return NULL;
}

/* All contexts there can be; fewer where files are short. */
static int fill(matrix_context *contexts) {
    struct rlimit files;
    int count = 0;

    CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    while (count < (int)HANDLE_SLOTS && matrix_init(NULL, &contexts[count]) == MATRIX_OK) {
        count++;
    }
    return count;
}

static void later_contexts_know(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    struct tally tally = {0};
    matrix_reply *reply = NULL;

    CHECK_STATUS(matrix_wait_ready(context, -1), MATRIX_E_PYTHON);
    ping(client, NULL, count_reply, &tally);
    CHECK(tally_count(&tally) == 0);
    CHECK(matrix_dispatch(context, 0, 0) == 1);
    CHECK(tally.failed == 1);
    CHECK_TEXT(tally.code, "E_PYTHON");
    CHECK_OK(matrix_wait(ping(client, NULL, NULL, NULL), -1, &reply));
    CHECK_TEXT(matrix_reply_error(reply)->message, "the fake has died");
    matrix_reply_free(reply);
    CHECK_OK(matrix_set_log_callback(context, MATRIX_LOG_LEVEL_ERROR, remember, NULL));
    CHECK(matrix_dispatch(context, 0, 0) == 1);
    CHECK(logged == 2);
    ping(client, NULL, count_reply, &tally);
    CHECK_OK(matrix_close_client(client));
    CHECK_OK(matrix_shutdown(context, -1));
    CHECK(tally.failed == 2);
}

int main(void) {
    static matrix_context others[HANDLE_SLOTS];
    matrix_context context = open_context(NULL), other = open_context(NULL);
    matrix_client client = open_client(context), elsewhere = open_client(other);
    struct tally open[100] = {{0}}, of_other = {0}, last = {0};
    matrix_request waited = ping(client, FOREVER, NULL, NULL);
    matrix_context ending = open_context(NULL);
    pthread_t waiter, ender;
    int count;

    CHECK_OK(matrix_wait_ready(context, 20000));
    CHECK_OK(matrix_set_log_callback(context, MATRIX_LOG_LEVEL_ERROR, remember, NULL));
    CHECK(pthread_create(&waiter, NULL, wait_forever, &waited) == 0);
    for (int i = 0; i < 100; i++) {
        ping(client, FOREVER, count_reply, &open[i]);
    }
    ping(elsewhere, FOREVER, count_reply, &of_other);
    settle(elsewhere);
    atomic_store(&fake_is_stubborn, true);
    CHECK(pthread_create(&ender, NULL, end_context, &ending) == 0);
    CHECK(fake_reaches(&fake.closed_contexts, 1));
    count = fill(others);
    CHECK_OK(matrix_logout(client, NULL, count_reply, &last, NULL));
    CHECK(pthread_join(waiter, NULL) == 0);
    CHECK(pthread_join(ender, NULL) == 0);
    while (count) {
        CHECK_OK(matrix_shutdown(others[--count], -1));
    }
    for (int i = 0; i < 100; i++) {
        pump(context, &open[i].failed, 1);
        CHECK_TEXT(open[i].code, "E_PYTHON");
    }
    pump(context, &last.failed, 1);
    pump(context, &logged, 1);
    pump(other, &of_other.failed, 1);
    CHECK_OK(matrix_shutdown(context, -1));
    CHECK_OK(matrix_shutdown(other, -1));
    CHECK(open[0].failed == 1 && last.failed == 1 && of_other.failed == 1 && logged == 1);
    later_contexts_know();
    return 0;
}
