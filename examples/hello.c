/* Says hello in a room. MATRIX_HOMESERVER, MATRIX_USER, MATRIX_PASSWORD, MATRIX_ROOM (its id). */
#include <matrix/matrix.h>
#include <stdio.h>
#include <stdlib.h>

/* Waits for the answer to a request; says what went wrong. */
static bool succeeds(matrix_request request) {
    matrix_reply *reply = NULL;

    matrix_wait(request, -1, &reply);
    bool ok = matrix_reply_ok(reply);
    if (!ok)
        fprintf(stderr, "%s\n", matrix_reply_error(reply)->message);
    matrix_reply_free(reply);
    return ok;
}

int main(void) {
    const char *user = getenv("MATRIX_USER"), *password = getenv("MATRIX_PASSWORD");
    const char *homeserver = getenv("MATRIX_HOMESERVER"), *room_id = getenv("MATRIX_ROOM");
    matrix_context context;
    matrix_client client = {0};
    matrix_request request = {0};
    matrix_map *options = matrix_map_new();
    bool said = false;

    if (!homeserver || !user || !password || !room_id)
        return fputs("see the first line of hello.c for what to set\n", stderr), 2;
    matrix_init(NULL, &context);
    matrix_map_set_string(options, "homeserver", homeserver);
    if (matrix_create_client(context, options, &client) < 0)
        fprintf(stderr, "%s\n", matrix_map_error(options));
    matrix_map_free(options);
    matrix_login_password(client, user, password, NULL, NULL, NULL, &request);
    if (succeeds(request)) {
        matrix_send_text(client, room_id, "hello", NULL, NULL, NULL, &request);
        said = succeeds(request);
        matrix_logout(client, NULL, NULL, NULL, &request);
        succeeds(request);
    }
    puts(said ? "said hello" : "said nothing");
    return matrix_shutdown(context, 2000) < 0 || !said;
}
