/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "check.h"

static matrix_context context;
static int ran;

static void *dispatch_elsewhere(void *result) {
    *(int *)result = matrix_dispatch(context, 0, 0);
    return NULL;
}

static void nest(const matrix_reply *reply, void *user_data) {
    matrix_reply *taken = NULL;
    matrix_request other = {0};
    pthread_t thread;
    int elsewhere = 0;

    (void)reply;
    CHECK_STATUS(matrix_dispatch(context, 0, 0), MATRIX_E_BUSY);
    CHECK_STATUS(matrix_next(context, 0, &taken, NULL), MATRIX_E_BUSY);
    CHECK_STATUS(matrix_shutdown(context, 0), MATRIX_E_BUSY);
    CHECK_OK(matrix_ping(*(matrix_client *)user_data, NULL, NULL, NULL, &other));
    CHECK_STATUS(matrix_wait(other, 0, &taken), MATRIX_E_BUSY);
    CHECK(pthread_create(&thread, NULL, dispatch_elsewhere, &elsewhere) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_STATUS(elsewhere, MATRIX_E_BUSY);
    ran++;
}

int main(void) {
    matrix_client client;

    context = open_context();
    client = open_client(context);
    CHECK_OK(matrix_ping(client, NULL, nest, &client, NULL));
    pump(context, &ran, 1);
    CHECK_STATUS(matrix_dispatch(context, 0, 0), 0);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
