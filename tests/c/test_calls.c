/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of the runtime to the host. */
#include "core_check.h"

struct host {
    matrix_context context;
    uint64_t call;
    int asked;
};

#define ASK "{\"host_call\":\"colour\",\"host_call_timeout_ms\":60000}"

static void remember(const matrix_reply *reply, void *user_data) {
    struct host *host = user_data;
    const matrix_host_call *call = matrix_reply_as_host_call(reply, matrix_reply_value(reply));

    CHECK(matrix_reply_get_kind(reply) == MATRIX_REPLY_CALL);
    CHECK(matrix_reply_ok(reply) && matrix_reply_request(reply).id == 0);
    CHECK_TEXT(call->name, "colour");
    CHECK(call->payload->type == MATRIX_TYPE_NULL);
    host->call = matrix_reply_call_id(reply);
    host->asked++;
}

static void answers(void) {
    struct host host = {.context = open_context(NULL)};
    matrix_client client = open_client(host.context);
    matrix_map *answer = map_of("{\"colour\":\"green\"}");
    matrix_request request = ping(client, ASK, NULL, NULL);
    matrix_reply *reply = NULL;

    CHECK_OK(matrix_set_call_callback(host.context, remember, &host));
    pump(host.context, &host.asked, 1);
    CHECK_STATUS(matrix_respond(host.context, host.call + 1, answer), MATRIX_E_INVALID_HANDLE);
    CHECK_TEXT(matrix_map_error(answer), "call_id: is closed, or never existed");
    CHECK_OK(matrix_respond(host.context, host.call, answer));
    CHECK_TEXT(matrix_map_error(answer), "");
    CHECK_STATUS(matrix_respond(host.context, host.call, answer), MATRIX_E_INVALID_HANDLE);
    CHECK_OK(matrix_wait(request, 20000, &reply));
    CHECK_TEXT(matrix_reply_json(reply, NULL), "{\"answer\":{\"colour\":\"green\"}}");
    matrix_reply_free(reply);

    request = ping(client, ASK, NULL, NULL);
    pump(host.context, &host.asked, 2);
    CHECK_OK(matrix_respond(host.context, host.call, NULL));
    CHECK_OK(matrix_wait(request, 20000, &reply));
    CHECK_TEXT(matrix_reply_json(reply, NULL), "{\"answer\":{}}");
    matrix_reply_free(reply);
    matrix_map_free(answer);
    CHECK_OK(matrix_shutdown(host.context, -1));
}

static void nobody_answers(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    struct tally tally = {0};

    ping(client, ASK, count_reply, &tally);
    pump(context, &tally.failed, 1);
    CHECK_TEXT(tally.code, "E_NOT_HANDLED");
    CHECK_OK(matrix_shutdown(context, -1));
}

/* A question is void once its request has ended, whatever ended it, and once its time is over. */
static void void_questions(void) {
    struct host host = {.context = open_context(NULL)};
    matrix_client client = open_client(host.context), other = open_client(host.context);
    matrix_request request = ping(client, ASK, matrix_ignore, NULL);
    struct tally tally = {0};

    CHECK_OK(matrix_set_call_callback(host.context, remember, &host));
    pump(host.context, &host.asked, 1);
    CHECK_OK(matrix_cancel(request));
    settle(client);
    CHECK(matrix_dispatch(host.context, 0, 0) == 1);
    CHECK_STATUS(matrix_respond(host.context, host.call, NULL), MATRIX_E_INVALID_HANDLE);

    ping(other, ASK, count_reply, &tally);
    pump(host.context, &host.asked, 2);
    CHECK_OK(matrix_close_client(other));
    CHECK_STATUS(matrix_respond(host.context, host.call, NULL), MATRIX_E_INVALID_HANDLE);

    ping(client, "{\"host_call\":\"colour\",\"host_call_timeout_ms\":20}", count_reply, &tally);
    pump(host.context, &host.asked, 3);
    usleep(30000); /* its time is over then, which nobody tells */
    CHECK_STATUS(matrix_respond(host.context, host.call, NULL), MATRIX_E_INVALID_HANDLE);

    /* Asked, but ended before anybody was told. */
    request = ping(client, ASK, NULL, NULL);
    other = open_client(host.context);
    ping(other, ASK, count_reply, &tally);
    settle(client);
    CHECK_OK(matrix_close_client(other));
    pump(host.context, &host.asked, 4);
    CHECK(matrix_dispatch(host.context, 0, 0) == 0);
    CHECK(host.asked == 4);
    CHECK_OK(matrix_shutdown(host.context, -1));
}

int main(void) {
    answers();
    nobody_answers();
    void_questions();
    return 0;
}
