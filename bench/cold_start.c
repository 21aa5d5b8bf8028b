/* SPDX-License-Identifier: Apache-2.0 */
/** cold_start URL login|sync: leaves as soon as it is logged in, or has its first sync; prints its
 * peak RSS in MiB. */
#include "../tests/host/c/check.h"
#include "memory.h"

static void done(matrix_request request) {
    matrix_reply *reply = NULL;

    CHECK_OK(matrix_wait(request, 60000, &reply));
    if (!matrix_reply_ok(reply))
        fprintf(stderr, "%s\n", matrix_reply_json(reply, NULL));
    CHECK(matrix_reply_ok(reply));
    matrix_reply_free(reply);
}

int main(int argc, char **argv) {
    matrix_context context = open_context();
    matrix_client client;
    matrix_request request = {0};

    CHECK(argc == 3);
    client = open_client_at(context, argv[1]);
    CHECK_OK(matrix_login_password(client, "bench", "bench", NULL, NULL, NULL, &request));
    done(request);
    if (!strcmp(argv[2], "sync")) {
        CHECK_OK(matrix_sync_once(client, NULL, NULL, NULL, &request));
        done(request);
    }
    printf("%.1f\n", peak_mib());
    fflush(stdout);
    _Exit(0);
}
