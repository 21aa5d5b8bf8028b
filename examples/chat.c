/* A chat in the terminal: what is said in one room, and what you type goes there. /quit or Ctrl-D
 * ends it. MATRIX_HOMESERVER, MATRIX_USER, MATRIX_PASSWORD, MATRIX_ROOM (id or alias). */
#define _POSIX_C_SOURCE 200809L
#include <matrix/matrix.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static matrix_client client;
static char room_id[256]; /* empty until the room is joined */
static bool running = true;
static int unsent; /* what the homeserver has not taken yet */

static void stop(const char *reason) {
    fprintf(stderr, "chat: %s\n", reason);
    running = false;
}

/* Network text may hold control characters, U+0080 to U+009F too; a terminal must not obey them. */
static void print_text(const char *text) {
    for (const unsigned char *next = (const unsigned char *)text; *next; next++) {
        if (*next == 0xc2 && next[1] < 0xa0)
            next++, putchar(' ');
        else
            putchar(*next < ' ' || *next == 0x7f ? ' ' : *next);
    }
}

static void print_line(const char *sender, const char *text) {
    print_text(sender);
    fputs(": ", stdout);
    print_text(text);
    putchar('\n');
    fflush(stdout);
}

static void on_message(const matrix_reply *reply, void *user_data) {
    const matrix_event *event = matrix_reply_as_event(reply, matrix_reply_value(reply));
    (void)user_data;
    /* What was typed here, and so has a txn_id, is on the screen already. */
    if (strcmp(event->room_id, room_id) == 0 && event->body && !event->txn_id)
        print_line(event->sender, event->new_body ? event->new_body : event->body);
}

static void on_sync_state(const matrix_reply *reply, void *user_data) {
    const matrix_value *change = matrix_reply_value(reply);
    const char *state = matrix_value_get_string(change, "state", "");
    (void)user_data;
    if (strcmp(state, "reconnecting") == 0)
        fprintf(stderr, "chat: offline: %s\n", matrix_value_get_string(change, "reason", ""));
    else if (strcmp(state, "unauthorized") == 0)
        stop("the homeserver wants a new login");
}

static void on_sent(const matrix_reply *reply, void *user_data) {
    (void)user_data;
    unsent--;
    if (!matrix_reply_ok(reply))
        fprintf(stderr, "chat: not sent: %s\n", matrix_reply_error(reply)->message);
}

static void on_joined(const matrix_reply *reply, void *user_data) {
    (void)user_data;
    if (!matrix_reply_ok(reply)) {
        stop(matrix_reply_error(reply)->message);
        return;
    }
    snprintf(room_id, sizeof room_id, "%s",
             matrix_value_get_string(matrix_reply_value(reply), "room_id", ""));
    matrix_sync_loop_start(client, NULL, matrix_ignore, NULL, NULL);
    fprintf(stderr, "chat: in %s\n", room_id);
}

static void on_login(const matrix_reply *reply, void *room) {
    if (!matrix_reply_ok(reply))
        stop(matrix_reply_error(reply)->message);
    else
        matrix_join_room(client, room, NULL, on_joined, NULL, NULL);
}

static void say(const char *line) {
    matrix_map *options = matrix_map_new();
    if (matrix_send_text(client, room_id, line, options, on_sent, NULL, NULL) < 0)
        fprintf(stderr, "chat: %s\n", matrix_map_error(options));
    else
        unsent++;
    matrix_map_free(options);
}

static void read_line(void) {
    char *line = NULL;
    size_t capacity = 0;
    if (getline(&line, &capacity, stdin) < 0 || strcmp(line, "/quit\n") == 0)
        running = false;
    else
        line[strcspn(line, "\n")] = '\0';
    if (running && line[0])
        say(line);
    free(line);
}

static const char *need(const char *name) {
    const char *value = getenv(name);
    if (!value) {
        fprintf(stderr, "chat: %s is not set\n", name);
        exit(EXIT_FAILURE);
    }
    return value;
}

/* Without a store nobody comes back as this device; it would stay in the account's list. */
static void log_out(void) {
    matrix_request request = {0};
    matrix_reply *reply = NULL;
    matrix_logout(client, NULL, NULL, NULL, &request);
    matrix_wait(request, 5000, &reply);
    matrix_reply_free(reply);
}

int main(void) {
    const char *user = need("MATRIX_USER"), *password = need("MATRIX_PASSWORD");
    char *room = (char *)need("MATRIX_ROOM");
    time_t last_moment = 0;
    matrix_context context;
    matrix_map *options = matrix_map_new();
    matrix_map_set_string(options, "homeserver", need("MATRIX_HOMESERVER"));
    if (matrix_init(NULL, &context) < 0 || matrix_create_client(context, options, &client) < 0)
        return fprintf(stderr, "chat: %s\n", matrix_map_error(options)), EXIT_FAILURE;
    setvbuf(stdin, NULL, _IONBF, 0); /* or poll would not know of lines that were read ahead */
    matrix_subscribe(client, "message", NULL, on_message, NULL, NULL);
    matrix_subscribe(client, "sync_state", NULL, on_sync_state, NULL, NULL);
    matrix_login_password(client, user, password, NULL, on_login, room, NULL);
    while (running || (unsent && time(NULL) < last_moment)) {
        /* The keyboard counts only in the room; poll skips a negative descriptor. At the end what
         * was typed last gets five seconds. */
        struct pollfd inputs[] = {{matrix_fd(context), POLLIN, 0},
                                  {running && room_id[0] ? STDIN_FILENO : -1, POLLIN, 0}};
        poll(inputs, 2, running ? -1 : 1000);
        matrix_dispatch(context, 0, 0);
        if (running && inputs[1].revents)
            read_line();
        if (!running && !last_moment)
            last_moment = time(NULL) + 5;
    }
    matrix_map_free(options);
    log_out();
    return matrix_shutdown(context, 5000) < 0 || !room_id[0];
}
