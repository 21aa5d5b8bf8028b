/* SPDX-License-Identifier: Apache-2.0 */
/**
 * killed_sender FIRST LAST CLIENT_OPTIONS: sends the messages FIRST to LAST - 1, each to the room
 * of its number, some at a time, and waits until nothing is left to be sent. Prints "submit N"
 * before a message is submitted, "queued N" and "sent N" as it hears it, "failed N CODE" for what
 * should not be. MATRIX_HOMESERVER, MATRIX_TOKEN; MATRIX_ROOMS: the room ids, with commas.
 */
#include <unistd.h>

#include "../../host/c/check.h"

enum { AT_ONCE = 24, MOST_ROOMS = 16 };

static int answered;
static char rooms[MOST_ROOMS][256];
static int room_count;

static void say(const char *what, const char *body, const char *code) {
    char line[256];
    int size = snprintf(line, sizeof line, "%s %s%s%s\n", what, body, *code ? " " : "", code);

    /* At once: who reads it counts on what was printed before a kill. */
    CHECK(write(STDOUT_FILENO, line, (size_t)size) == size);
}

static void on_send(const matrix_reply *reply, void *user_data) {
    const matrix_value *value = matrix_reply_value(reply);
    const matrix_send_update *update = matrix_reply_as_send_update(reply, value);
    const char *body = matrix_value_get_string(matrix_value_get(value, "content"), "body", "?");

    (void)user_data;
    if (update->state == MATRIX_SEND_STATE_QUEUED && !update->failure)
        say("queued", body, "");
    else if (update->state == MATRIX_SEND_STATE_SENT && update->content)
        say("sent", body, "");
    else if (update->state == MATRIX_SEND_STATE_FAILED)
        say("failed", body, matrix_value_get_string(update->failure, "code", "?"));
}

static void on_answer(const matrix_reply *reply, void *user_data) {
    (void)user_data;
    CHECK(matrix_reply_ok(reply));
    answered++;
}

static void read_rooms(const char *text) {
    while (*text && room_count < MOST_ROOMS) {
        size_t size = strcspn(text, ",");

        snprintf(rooms[room_count++], sizeof rooms[0], "%.*s", (int)size, text);
        text += size + (text[size] == ',');
    }
}

static matrix_client open_session(matrix_context context, const char *json) {
    matrix_map *options = NULL, *filter = matrix_map_new();
    matrix_client client = {0};

    CHECK_OK(matrix_map_from_json(json, strlen(json), &options));
    CHECK_OK(matrix_map_set_string(options, "homeserver", getenv("MATRIX_HOMESERVER")));
    CHECK_OK(matrix_map_set_string(options, "access_token", getenv("MATRIX_TOKEN")));
    CHECK_OK(matrix_create_client(context, options, &client));
    CHECK_OK(matrix_map_set_bool(filter, "with_content", true));
    CHECK_OK(matrix_subscribe(client, "send", filter, on_send, NULL, NULL));
    matrix_map_free(options);
    matrix_map_free(filter);
    return client;
}

static void submit(matrix_client client, int number) {
    char body[16];

    snprintf(body, sizeof body, "%d", number);
    say("submit", body, "");
    CHECK_OK(
        matrix_send_text(client, rooms[number % room_count], body, NULL, on_answer, NULL, NULL));
}

static size_t count_sends(matrix_context context, matrix_client client) {
    matrix_request request = {0};
    matrix_reply *reply = NULL;
    size_t count;

    CHECK_OK(matrix_sends(client, NULL, NULL, NULL, &request));
    while (matrix_wait(request, 10, &reply) == MATRIX_E_TIMEOUT)
        CHECK(matrix_dispatch(context, 0, 0) >= 0);
    CHECK(matrix_reply_ok(reply));
    count = matrix_value_count(matrix_value_get(matrix_reply_value(reply), "sends"));
    matrix_reply_free(reply);
    return count;
}

int main(int argc, char **argv) {
    matrix_context context = open_context();
    matrix_client client;
    int first, last, submitted;

    CHECK(argc == 4);
    read_rooms(getenv("MATRIX_ROOMS"));
    first = submitted = atoi(argv[1]);
    last = atoi(argv[2]);
    /* A kill is to hit the sending, not the start. */
    CHECK_OK(matrix_wait_ready(context, 20000));
    client = open_session(context, argv[3]);
    while (first + answered < last) {
        while (submitted < last && submitted - first - answered < AT_ONCE)
            submit(client, submitted++);
        CHECK(matrix_dispatch(context, 20000, 0) > 0);
    }
    /* What an earlier run left behind has no request. */
    while (count_sends(context, client))
        CHECK(matrix_dispatch(context, 20, 0) >= 0);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
