/* SPDX-License-Identifier: Apache-2.0 */
/* environment_counts_when_asked HOMESERVER: a request by a client that heeds the environment, of a
 * program that refers to `environ` and so carries a copy of it. */
#include "check.h"

extern char **environ;

int main(int argc, char **argv) {
    matrix_context context = open_context();
    matrix_client client = {0};
    matrix_map *options = matrix_map_new();
    matrix_request request = {0};
    matrix_reply *reply = NULL;

    CHECK(argc == 2);
    CHECK(environ != NULL);
    CHECK_OK(matrix_map_set_string(options, "homeserver", argv[1]));
    CHECK_OK(matrix_map_set_bool(options, "use_environment", 1));
    CHECK_OK(matrix_create_client(context, options, &client));
    matrix_map_free(options);
    CHECK_OK(matrix_login_password(client, "alice", "secret", NULL, NULL, NULL, &request));
    CHECK_OK(matrix_wait(request, 60000, &reply));
    CHECK(!matrix_reply_ok(reply));
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
