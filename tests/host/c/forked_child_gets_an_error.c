/* SPDX-License-Identifier: Apache-2.0 */
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static void be_a_child(matrix_context context, matrix_client client, matrix_request open) {
    matrix_context other = {0};
    matrix_reply *reply = NULL;
    matrix_subscription subscription = {0};

    CHECK_STATUS(matrix_init(NULL, &other), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_dispatch(context, -1, 0), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_next(context, -1, &reply, NULL), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_wait(open, -1, &reply), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_wait_ready(context, -1), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_ping(client, NULL, matrix_ignore, NULL, NULL), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_cancel(open), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_subscribe(client, "message", NULL, matrix_ignore, NULL, &subscription),
                 MATRIX_E_FORKED);
    CHECK_STATUS(matrix_close_client(client), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_fd(context), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_respond(context, 1, NULL), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_shutdown(context, -1), MATRIX_E_FORKED);
}

int main(void) {
    matrix_context context = open_context();
    matrix_client client = open_client(context);
    struct tally tally = {0};

    for (int i = 0; i < 40; i++) {
        matrix_request request = ping(client, i % 3, count_reply, &tally);
        pid_t child = fork();
        int status = 0;

        if (child == 0) {
            be_a_child(context, client, request);
            /* exit() rather than _exit(): our atexit handler must leave the child alone. */
            exit(0);
        }
        CHECK(child > 0);
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    pump(context, &tally.ok, 40);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
