/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

static void check_client_is_void(matrix_client client) {
    matrix_request request = {0};
    matrix_subscription subscription = {0};

    CHECK_STATUS(matrix_ping(client, NULL, matrix_ignore, NULL, &request), MATRIX_E_INVALID_HANDLE);
    CHECK_STATUS(matrix_subscribe(client, "message", NULL, matrix_ignore, NULL, &subscription),
                 MATRIX_E_INVALID_HANDLE);
    CHECK_STATUS(matrix_close_client(client), MATRIX_E_INVALID_HANDLE);
}

int main(void) {
    matrix_context context = open_context(), other = open_context();
    matrix_client client = open_client(context), kept = open_client(context);
    matrix_subscription subscription = {0};
    matrix_reply *reply = NULL;
    struct tally tally = {0};
    matrix_request done = ping(client, 0, count_reply, &tally);

    pump(context, &tally.ok, 1);
    CHECK_STATUS(matrix_cancel(done), MATRIX_E_INVALID_HANDLE);
    CHECK_STATUS(matrix_wait(done, 0, &reply), MATRIX_E_INVALID_HANDLE);
    CHECK_OK(matrix_subscribe(kept, "message", NULL, matrix_ignore, NULL, &subscription));
    CHECK_OK(matrix_unsubscribe(subscription));
    CHECK_STATUS(matrix_unsubscribe(subscription), MATRIX_E_INVALID_HANDLE);
    CHECK_OK(matrix_close_client(client));
    check_client_is_void(client);
    CHECK_STATUS(matrix_respond(context, 42, NULL), MATRIX_E_INVALID_HANDLE);

    /* One kind of handle is never taken for another, and closed numbers do not come back. */
    CHECK_STATUS(matrix_cancel((matrix_request){kept.id}), MATRIX_E_INVALID_HANDLE);
    CHECK_STATUS(matrix_close_client((matrix_client){context.id}), MATRIX_E_INVALID_HANDLE);
    for (int i = 0; i < 1000; i++) {
        matrix_client again = open_client(context);
        CHECK(again.id != client.id);
        CHECK_OK(matrix_close_client(again));
    }

    CHECK_OK(matrix_shutdown(context, -1));
    CHECK_STATUS(matrix_dispatch(context, 0, 0), MATRIX_E_INVALID_HANDLE);
    CHECK_STATUS(matrix_fd(context), MATRIX_E_INVALID_HANDLE);
    CHECK_STATUS(matrix_shutdown(context, -1), MATRIX_E_INVALID_HANDLE);
    CHECK_STATUS(matrix_dispatch((matrix_context){0}, 0, 0), MATRIX_E_INVALID_HANDLE);
    check_client_is_void(kept);
    matrix_reply_free(NULL);
    matrix_map_free(NULL);
    CHECK_OK(matrix_shutdown(other, -1));
    return 0;
}
