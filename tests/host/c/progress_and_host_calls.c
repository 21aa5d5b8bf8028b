/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

struct course {
    matrix_context context;
    int64_t last;
    int reports, calls, done;
    uint64_t stale;
};

static void on_progress(const matrix_reply *reply, void *user_data) {
    struct course *course = user_data;
    int64_t count = matrix_value_get_int(matrix_reply_value(reply), "done", -1);

    CHECK(matrix_reply_get_kind(reply) == MATRIX_REPLY_PROGRESS);
    CHECK(!course->done);
    CHECK(count > course->last);
    CHECK(matrix_value_get_int(matrix_reply_value(reply), "total", -1) == 100);
    course->last = count;
    course->reports++;
}

static void on_done(const matrix_reply *reply, void *user_data) {
    struct course *course = user_data;

    CHECK(matrix_reply_ok(reply));
    course->done++;
}

static void on_call(const matrix_reply *reply, void *user_data) {
    struct course *course = user_data;
    const matrix_host_call *call = matrix_reply_as_host_call(reply, matrix_reply_value(reply));
    matrix_map *answer = matrix_map_new();

    CHECK(matrix_reply_get_kind(reply) == MATRIX_REPLY_CALL);
    CHECK(call && !strcmp(call->name, "favourite colour"));
    CHECK_OK(matrix_map_set_string(answer, "colour", "green"));
    CHECK_OK(matrix_respond(course->context, matrix_reply_call_id(reply), answer));
    CHECK_STATUS(matrix_respond(course->context, matrix_reply_call_id(reply), answer),
                 MATRIX_E_INVALID_HANDLE);
    matrix_map_free(answer);
    course->calls++;
}

static void keep_silent(const matrix_reply *reply, void *user_data) {
    ((struct course *)user_data)->stale = matrix_reply_call_id(reply);
}

static matrix_request ask(matrix_client client, matrix_callback callback, void *user_data) {
    matrix_map *options = matrix_map_new();
    matrix_request request = {0};

    CHECK_OK(matrix_map_set_string(options, "host_call", "favourite colour"));
    CHECK_OK(matrix_map_set_int(options, "host_call_timeout_ms", 300));
    CHECK_OK(matrix_ping(client, options, callback, user_data, &request));
    matrix_map_free(options);
    return request;
}

static void on_answer(const matrix_reply *reply, void *user_data) {
    const matrix_value *answer = matrix_value_get(matrix_reply_value(reply), "answer");

    CHECK(matrix_reply_ok(reply));
    CHECK(!strcmp(matrix_value_get_string(answer, "colour", ""), "green"));
    (*(int *)user_data)++;
}

int main(void) {
    struct course course = {.context = open_context(), .last = -1};
    matrix_client client = open_client(course.context);
    matrix_map *options = matrix_map_new();
    matrix_request request = {0};
    struct tally unhandled = {0}, silent = {0};
    int answered = 0;

    CHECK_OK(matrix_map_set_int(options, "progress_count", 100));
    CHECK_OK(matrix_map_set_int(options, "delay_ms", 50));
    CHECK_OK(matrix_ping(client, options, on_done, &course, &request));
    CHECK_OK(matrix_set_progress_callback(request, on_progress, &course));
    pump(course.context, &course.done, 1);
    CHECK(course.reports >= 1 && course.reports <= 100 && course.last == 100);

    ask(client, count_reply, &unhandled);
    pump(course.context, &unhandled.failed, 1);
    CHECK(!strcmp(unhandled.code, "E_NOT_HANDLED"));

    CHECK_OK(matrix_set_call_callback(course.context, on_call, &course));
    ask(client, on_answer, &answered);
    pump(course.context, &answered, 1);
    CHECK(course.calls == 1);

    CHECK_OK(matrix_set_call_callback(course.context, keep_silent, &course));
    ask(client, count_reply, &silent);
    pump(course.context, &silent.failed, 1);
    CHECK(!strcmp(silent.code, "E_TIMEOUT"));
    CHECK(course.stale != 0);
    CHECK_STATUS(matrix_respond(course.context, course.stale, NULL), MATRIX_E_INVALID_HANDLE);

    CHECK_OK(matrix_shutdown(course.context, -1));
    matrix_map_free(options);
    return 0;
}
