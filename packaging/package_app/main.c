/*
 * Prints the rooms of MATRIX_USER, who logs in with MATRIX_PASSWORD at MATRIX_HOMESERVER. Every
 * step waits for its reply, as a small program may.
 */
#include <matrix/matrix.h>

#include <stdio.h>
#include <stdlib.h>

#define WAIT_MS 60000

static int fail(const char *what, const char *why) {
    fprintf(stderr, "room_list: %s: %s\n", what, why);
    return 1;
}

/* Takes the reply of a request that was just submitted; NULL when it went wrong, which is told. */
static matrix_reply *finish(const char *what, matrix_status submitted, matrix_request request) {
    matrix_reply *reply = NULL;
    if (submitted < 0 || matrix_wait(request, WAIT_MS, &reply) < 0) {
        fail(what, submitted < 0 ? "refused" : "no reply");
        return NULL;
    }
    if (!matrix_reply_ok(reply)) {
        const matrix_error *error = matrix_reply_error(reply);
        fail(what, error->message);
        matrix_reply_free(reply);
        return NULL;
    }
    return reply;
}

static void print_rooms(const matrix_value *rooms) {
    for (size_t i = 0; i < matrix_value_count(rooms); i++) {
        const matrix_value *room = matrix_value_at(rooms, i);
        printf("%s %s\n", matrix_value_get_string(room, "room_id", "?"),
               matrix_value_get_string(room, "name", ""));
    }
}

static int run(matrix_client client) {
    matrix_request request;
    const char *user = getenv("MATRIX_USER"), *password = getenv("MATRIX_PASSWORD");
    matrix_status status =
        matrix_login_password(client, user, password, NULL, NULL, NULL, &request);
    matrix_reply *reply = finish("login", status, request);
    if (reply == NULL)
        return 1;
    printf("logged in as %s\n", matrix_value_get_string(matrix_reply_value(reply), "user_id", "?"));
    matrix_reply_free(reply);

    reply = finish("sync", matrix_sync_once(client, NULL, NULL, NULL, &request), request);
    if (reply == NULL)
        return 1;
    matrix_reply_free(reply);

    reply = finish("rooms", matrix_rooms(client, NULL, NULL, NULL, &request), request);
    if (reply == NULL)
        return 1;
    print_rooms(matrix_value_get(matrix_reply_value(reply), "rooms"));
    matrix_reply_free(reply);

    reply = finish("logout", matrix_logout(client, NULL, NULL, NULL, &request), request);
    matrix_reply_free(reply);
    return reply == NULL;
}

int main(void) {
    matrix_context context;
    matrix_client client;
    if (matrix_init(NULL, &context) < 0)
        return fail("init", "refused");
    matrix_map *options = matrix_map_new();
    matrix_map_set_string(options, "homeserver", getenv("MATRIX_HOMESERVER"));
    int result;
    if (matrix_create_client(context, options, &client) < 0)
        result = fail("client", matrix_map_error(options));
    else
        result = run(client);
    matrix_map_free(options);
    matrix_shutdown(context, -1);
    return result;
}
