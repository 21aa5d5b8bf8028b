/* SPDX-License-Identifier: Apache-2.0 */
/**
 * slow_consumer COUNT: a host whose queue holds five events is sent COUNT of them in one sync: each
 * comes once, in order, and the sync waits for the host. MATRIX_HOMESERVER, MATRIX_USER,
 * MATRIX_PASSWORD.
 */
#include "check.h"

static int next;

static void in_order(const matrix_reply *reply, void *user_data) {
    const matrix_event *event = matrix_reply_as_event(reply, matrix_reply_value(reply));
    char expected[32];

    (void)user_data;
    snprintf(expected, sizeof expected, "message %d", next);
    if (strcmp(event->body, expected))
        fprintf(stderr, "%s instead of %s\n", event->body, expected);
    CHECK(!strcmp(event->body, expected));
    next++;
}

int main(int argc, char **argv) {
    int count = argc == 2 ? atoi(argv[1]) : 0;
    matrix_context context;
    matrix_client client;
    matrix_map *limits = matrix_map_new(), *options = matrix_map_new();
    struct tally login = {0}, synced = {0};
    char filter[128];
    int length = snprintf(filter, sizeof filter, "{\"room\":{\"timeline\":{\"limit\":%d}}}", count);

    CHECK_OK(matrix_map_set_int(limits, "max_events", 5));
    CHECK_OK(matrix_init(limits, &context));
    client = open_client_at(context, getenv("MATRIX_HOMESERVER"));
    CHECK_OK(matrix_login_password(client, getenv("MATRIX_USER"), getenv("MATRIX_PASSWORD"), NULL,
                                   count_reply, &login, NULL));
    pump(context, &login.ok, 1);
    CHECK_OK(matrix_subscribe(client, "message", NULL, in_order, NULL, NULL));
    CHECK_OK(matrix_map_set_json(options, "filter", filter, (size_t)length));
    CHECK_OK(matrix_sync_once(client, options, count_reply, &synced, NULL));
    while (next < count) {
        CHECK(tally_count(&synced) == 0);
        CHECK(matrix_dispatch(context, 20000, 1) > 0);
    }
    pump(context, &synced.ok, 1);
    CHECK(next == count);
    CHECK_OK(matrix_shutdown(context, -1));
    matrix_map_free(limits);
    matrix_map_free(options);
    return 0;
}
