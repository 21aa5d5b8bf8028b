/* SPDX-License-Identifier: Apache-2.0 */
/**
 * sending URL STORE COUNT ROOM…: messages to the first room, each submitted when the one before it
 * was answered; then as many to that room and to all rooms side by side, submitted at once. Prints
 * a line for each. MATRIX_TOKEN, MATRIX_USER_ID. Every message is kept in the store before it is
 * tried.
 */
#include "../tests/host/c/check.h"
#include "clock.h"

static matrix_context context;
static matrix_client client;
static int got;

static void on_answer(const matrix_reply *reply, void *user_data) {
    (void)user_data;
    CHECK(matrix_reply_ok(reply));
    got++;
}

static void open_session(const char *url, const char *store) {
    matrix_map *options = matrix_map_new();

    CHECK_OK(matrix_map_set_string(options, "homeserver", url));
    CHECK_OK(matrix_map_set_string(options, "store_path", store));
    CHECK_OK(matrix_map_set_string(options, "access_token", getenv("MATRIX_TOKEN")));
    CHECK_OK(matrix_map_set_string(options, "user_id", getenv("MATRIX_USER_ID")));
    CHECK_OK(matrix_create_client(context, options, &client));
    matrix_map_free(options);
    CHECK_OK(matrix_sync_once(client, NULL, on_answer, NULL, NULL));
    pump(context, &got, 1);
}

static void send_to(const char *room_id, int number) {
    char body[128];

    snprintf(body, sizeof body, "number %d, as long as what people say to each other in a room",
             number);
    CHECK_OK(matrix_send_text(client, room_id, body, NULL, on_answer, NULL, NULL));
}

static void tell(const char *name, int64_t start, int count) {
    double seconds = (double)(clock_ns(CLOCK_MONOTONIC) - start) / 1e9;

    printf("{\"name\":\"%s\",\"per_second\":%.1f}\n", name, count / seconds);
}

static void one_by_one(const char *room_id, int count) {
    int64_t start = clock_ns(CLOCK_MONOTONIC);

    for (got = 0; got < count;) {
        int before = got;

        send_to(room_id, got);
        pump(context, &got, before + 1);
    }
    tell("one by one", start, count);
}

static void at_once(const char *name, char **room_ids, int rooms, int count) {
    int64_t start = clock_ns(CLOCK_MONOTONIC);

    got = 0;
    for (int i = 0; i < count; i++)
        send_to(room_ids[i % rooms], i);
    pump(context, &got, count);
    tell(name, start, count);
}

int main(int argc, char **argv) {
    int count, rooms = argc - 4;

    CHECK(argc > 4);
    count = atoi(argv[3]);
    context = open_context();
    open_session(argv[1], argv[2]);
    got = 0;
    send_to(argv[4], 0);
    pump(context, &got, 1);

    one_by_one(argv[4], count);
    at_once("in order", argv + 4, 1, count);
    at_once("parallel", argv + 4, rooms, count);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
