/* SPDX-License-Identifier: Apache-2.0 */
#include <poll.h>
#include <pthread.h>

#include "check.h"

enum { COUNT = 1000 };

static pthread_t dispatcher;
static int inside;
static int next;

static void in_order(const matrix_reply *reply, void *user_data) {
    CHECK(inside);
    CHECK(pthread_equal(pthread_self(), dispatcher));
    CHECK(matrix_reply_ok(reply));
    CHECK((int)(intptr_t)user_data == next);
    next++;
}

static void *submit_all(void *argument) {
    matrix_client *client = argument;

    for (int i = 0; i < COUNT; i++)
        CHECK_OK(matrix_ping(*client, NULL, in_order, (void *)(intptr_t)i, NULL));
    return NULL;
}

int main(void) {
    matrix_context context = open_context();
    matrix_client client = open_client(context);
    pthread_t submitter;
    struct pollfd readable = {.fd = matrix_fd(context), .events = POLLIN};

    dispatcher = pthread_self();
    CHECK(pthread_create(&submitter, NULL, submit_all, &client) == 0);
    CHECK(pthread_join(submitter, NULL) == 0);
    /* The replies are there, and nobody has been called. */
    CHECK(poll(&readable, 1, 20000) == 1);
    CHECK(next == 0);
    while (next < COUNT) {
        inside = 1;
        CHECK(matrix_dispatch(context, 20000, 100) > 0);
        inside = 0;
    }
    CHECK(poll(&readable, 1, 0) == 0);
    inside = 1;
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
