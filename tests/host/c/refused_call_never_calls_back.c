/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

static int calls;

static void never(const matrix_reply *reply, void *user_data) {
    (void)reply;
    (void)user_data;
    calls++;
}

int main(void) {
    matrix_context context = open_context();
    matrix_client client = open_client(context);
    matrix_request request = {77};
    matrix_subscription subscription = {77};
    matrix_map *options = matrix_map_new();
    struct tally last = {0};

    CHECK_STATUS(matrix_send_text(client, NULL, "hi", NULL, never, NULL, &request),
                 MATRIX_E_INVALID_ARGUMENT);
    CHECK(request.id == 0);
    CHECK_STATUS(matrix_submit(client, "no_such_operation", NULL, never, NULL, &request),
                 MATRIX_E_INVALID_ARGUMENT);
    CHECK_OK(matrix_map_set_int(options, "delay_ms", 1));
    CHECK_OK(matrix_map_set_int(options, "no_such_option", 1));
    CHECK_STATUS(matrix_ping(client, options, never, NULL, &request), MATRIX_E_INVALID_ARGUMENT);
    CHECK_STATUS(matrix_ping((matrix_client){12345}, NULL, never, NULL, &request),
                 MATRIX_E_INVALID_HANDLE);
    CHECK_STATUS(matrix_subscribe(client, "no_such_kind", NULL, never, NULL, &subscription),
                 MATRIX_E_INVALID_ARGUMENT);
    CHECK(subscription.id == 0);
    matrix_map_free(options);

    /* What was accepted afterwards has come through, so what was refused never will. */
    ping(client, 0, count_reply, &last);
    pump(context, &last.ok, 1);
    CHECK_OK(matrix_shutdown(context, -1));
    CHECK(calls == 0);
    return 0;
}
