/* SPDX-License-Identifier: Apache-2.0 */
/**
 * locked_store STORE [hold]: opens a client on a store and prints what came of it. "hold" keeps it
 * open until standard input ends.
 */
#include "check.h"

int main(int argc, char **argv) {
    matrix_context context = open_context();
    matrix_map *options = matrix_map_new();
    matrix_client client = {0};
    struct tally tally = {0};

    CHECK(argc >= 2);
    CHECK_OK(matrix_map_set_string(options, "homeserver", "http://127.0.0.1:9"));
    CHECK_OK(matrix_map_set_string(options, "store_path", argv[1]));
    CHECK_OK(matrix_create_client(context, options, &client));
    matrix_map_free(options);
    CHECK_OK(matrix_account(client, NULL, count_reply, &tally, NULL));
    while (!tally_count(&tally))
        CHECK(matrix_dispatch(context, 20000, 0) > 0);
    printf("%s\n", tally.ok ? "open" : tally.code);
    fflush(stdout);
    if (argc > 2)
        while (getchar() != EOF)
            continue;
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
