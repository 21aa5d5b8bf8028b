/* Logs in, syncs, lists the rooms, shows what was said in them, sends a message if asked:
 * MATRIX_HOMESERVER, MATRIX_USER, MATRIX_PASSWORD; optional MATRIX_CA_FILE, MATRIX_ROOM,
 * MATRIX_SEND. */
#include <matrix/matrix.h>
#include <stdio.h>
#include <stdlib.h>

static matrix_client client;
static enum { LOGIN, SYNC, ROOMS, SEND, LOGOUT, DONE } step;

static void fail(const char *code, const char *message) {
    fprintf(stderr, "room_list: %s: %s\n", code, message);
    exit(EXIT_FAILURE);
}

static void check(matrix_status status, const char *what) {
    if (status < 0)
        fail(matrix_status_string(status), what);
}

static void on_message(const matrix_reply *reply, void *user_data) {
    const matrix_event *event = matrix_reply_as_event(reply, matrix_reply_value(reply));
    (void)user_data;
    printf("%s: %s\n", event->sender, event->body ? event->body : event->type);
}

static const char *result(const matrix_reply *reply, const char *key) {
    return matrix_value_get_string(matrix_reply_value(reply), key, "");
}

static void print_rooms(const matrix_reply *reply) {
    const matrix_value *rooms = matrix_value_get(matrix_reply_value(reply), "rooms");
    printf("rooms: %d\n", (int)matrix_value_count(rooms));
    for (size_t i = 0; i < matrix_value_count(rooms); i++) {
        const matrix_room *room = matrix_reply_as_room(reply, matrix_value_at(rooms, i));
        printf("  %-28s %3d joined %3d unread  %s\n", room->name, (int)room->joined_member_count,
               (int)room->notification_count, room->room_id);
    }
}

/* The answer to each step submits the next one. */
static void on_reply(const matrix_reply *reply, void *text) {
    const char *room_id = getenv("MATRIX_ROOM");
    if (!matrix_reply_ok(reply))
        fail(matrix_reply_error(reply)->code, matrix_reply_error(reply)->message);
    if (step == LOGIN)
        printf("logged in as %s\n", result(reply, "user_id"));
    else if (step == ROOMS)
        print_rooms(reply);
    else if (step == SEND)
        printf("sent %s\n", result(reply, "event_id"));
    step += step == ROOMS && text == NULL ? 2 : 1;
    if (step == SYNC)
        check(matrix_sync_once(client, NULL, on_reply, text, NULL), "sync_once");
    else if (step == ROOMS)
        check(matrix_rooms(client, NULL, on_reply, text, NULL), "rooms");
    else if (step == SEND)
        check(matrix_send_text(client, room_id, text, NULL, on_reply, text, NULL),
              "is MATRIX_ROOM set?");
    else if (step == LOGOUT)
        check(matrix_logout(client, NULL, on_reply, text, NULL), "logout");
}

int main(void) {
    const char *user = getenv("MATRIX_USER"), *password = getenv("MATRIX_PASSWORD");
    const char *ca_file = getenv("MATRIX_CA_FILE");
    char *text = getenv("MATRIX_SEND");
    matrix_context context;
    matrix_map *options = matrix_map_new();
    matrix_map_set_string(options, "homeserver", getenv("MATRIX_HOMESERVER"));
    if (ca_file != NULL)
        matrix_map_set_string(options, "ca_file", ca_file);
    check(matrix_init(NULL, &context), "init");
    check(matrix_create_client(context, options, &client), matrix_map_error(options));
    check(matrix_subscribe(client, "message", NULL, on_message, NULL, NULL), "subscribe");
    check(matrix_login_password(client, user, password, NULL, on_reply, text, NULL),
          "are MATRIX_USER and MATRIX_PASSWORD set?");
    while (step != DONE)
        matrix_dispatch(context, 1000, 0);
    matrix_map_free(options);
    return matrix_shutdown(context, 2000) < 0;
}
