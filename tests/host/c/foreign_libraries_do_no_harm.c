/* SPDX-License-Identifier: Apache-2.0 */
/* foreign_libraries_do_no_harm STORE_PATH: a host with its own SQLite and OpenSSL in the global
 * scope. */
#include "check.h"

void sqlite3_open_v2(void);
void SSL_new(void);

int main(int argc, char **argv) {
    matrix_context context = open_context();
    matrix_client client = {0};
    matrix_map *options = matrix_map_new();
    matrix_request request = {0};
    matrix_reply *reply = NULL;

    CHECK(argc == 2);
    CHECK(sqlite3_open_v2 != SSL_new); /* keeps the host's libraries linked */
    CHECK_OK(matrix_map_set_string(options, "homeserver", "http://127.0.0.1:9"));
    CHECK_OK(matrix_map_set_string(options, "store_path", argv[1]));
    CHECK_OK(matrix_create_client(context, options, &client));
    matrix_map_free(options);
    CHECK_OK(matrix_list_parts(client, NULL, NULL, NULL, &request));
    CHECK_OK(matrix_wait(request, 60000, &reply));
    CHECK(matrix_reply_ok(reply));
    CHECK(matrix_value_count(matrix_value_get(matrix_reply_value(reply), "parts")) > 5);
    matrix_reply_free(reply);
    CHECK_OK(matrix_rooms(client, NULL, NULL, NULL, &request));
    CHECK_OK(matrix_wait(request, 60000, &reply));
    CHECK(matrix_reply_ok(reply));
    matrix_reply_free(reply);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
