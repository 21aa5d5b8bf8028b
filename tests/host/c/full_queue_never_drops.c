/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

enum { LIMIT = 16 };

static void refuse_more_requests_than_allowed(void) {
    matrix_context context;
    matrix_client client;
    matrix_map *options = matrix_map_new();
    struct tally tallies[LIMIT] = {{0}}, refused = {0}, after = {0};

    CHECK_OK(matrix_map_set_int(options, "max_requests", LIMIT));
    CHECK_OK(matrix_init(options, &context));
    client = open_client(context);
    for (int i = 0; i < LIMIT; i++)
        ping(client, 1, count_reply, &tallies[i]);
    CHECK_STATUS(matrix_ping(client, NULL, count_reply, &refused, NULL), MATRIX_E_QUEUE_FULL);
    for (int i = 0; i < LIMIT; i++)
        pump(context, &tallies[i].ok, 1);
    ping(client, 0, count_reply, &after);
    pump(context, &after.ok, 1);
    CHECK_OK(matrix_shutdown(context, -1));
    for (int i = 0; i < LIMIT; i++)
        CHECK(tallies[i].ok == 1 && tallies[i].failed == 0);
    CHECK(tally_count(&refused) == 0);
    matrix_map_free(options);
}

static void refuse_more_bytes_than_allowed(void) {
    static char body[1 << 20];
    matrix_context context;
    matrix_client client;
    matrix_map *options = matrix_map_new(), *large = matrix_map_new();
    matrix_map *busy = matrix_map_new();
    struct tally tally = {0};
    int accepted = 0;
    matrix_status status;

    CHECK_OK(matrix_map_set_int(options, "max_request_bytes", 8 << 20));
    CHECK_OK(matrix_init(options, &context));
    CHECK_OK(matrix_wait_ready(context, 20000));
    client = open_client(context);
    memset(body, 'x', sizeof body);
    CHECK_OK(matrix_map_set_text(large, "payload", body, sizeof body));
    CHECK_OK(matrix_map_set_int(busy, "busy_ms", 2000));
    CHECK_OK(matrix_ping(client, busy, count_reply, &tally, NULL));
    accepted = 1;
    do {
        status = matrix_ping(client, large, count_reply, &tally, NULL);
        accepted += status == MATRIX_OK;
    } while (status == MATRIX_OK && accepted < 64);
    CHECK_STATUS(status, MATRIX_E_QUEUE_FULL);
    pump(context, &tally.ok, accepted);
    CHECK_OK(matrix_shutdown(context, -1));
    CHECK(tally.ok == accepted && tally.failed == 0);
    matrix_map_free(options);
    matrix_map_free(large);
    matrix_map_free(busy);
}

int main(void) {
    refuse_more_requests_than_allowed();
    refuse_more_bytes_than_allowed();
    return 0;
}
