/* SPDX-License-Identifier: Apache-2.0 */
#include "people.h"

static matrix_client client;
static int64_t cursor;
static char first_id[256];
static int count, at_end;

static void heard(const char *event_id) {
    count++;
    at_end += !strcmp(event_id, first_id);
}

#define puts heard

/* LISTING 1 */

static void read_first_id(const char *room_id) {
    matrix_reply *reply = take_ok(
        ASK(matrix_history(client, room_id, with("{\"direction\": \"forward\", \"limit\": 1}"),
                           NULL, NULL, &request)));
    const matrix_value *events = matrix_value_get(matrix_reply_value(reply), "events");

    CHECK(matrix_value_count(events) == 1);
    snprintf(first_id, sizeof first_id, "%s",
             matrix_reply_as_event(reply, matrix_value_at(events, 0))->event_id);
    matrix_reply_free(reply);
}

int main(void) {
    const char *room_id = env("MATRIX_ROOM");

    context = open_context();
    client = open_with_token("MATRIX_TOKEN", "MATRIX_USER_ID");
    for (int i = 0; i < 9; i++)
        done(ASK(matrix_send_text(client, room_id, "hi", NULL, NULL, NULL, &request)));
    read_first_id(room_id);
    cursor = int_of(
        ASK(matrix_open_cursor(client, room_id, with("{\"page_size\": 4}"), NULL, NULL, &request)),
        "cursor");
    CHECK_OK(matrix_read_cursor(client, cursor, NULL, on_page, NULL, NULL));
    pump(context, &at_end, 1);
    CHECK(count > 9);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
