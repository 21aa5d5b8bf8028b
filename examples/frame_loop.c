/* A game's frame loop: 2 ms of each frame go to Matrix, the rest is the game's.
 * MATRIX_HOMESERVER, MATRIX_USER, MATRIX_PASSWORD; optional MATRIX_FRAMES, how many frames to run.
 */
#define _POSIX_C_SOURCE 200809L
#include <limits.h>
#include <matrix/matrix.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static matrix_client client;

static void on_message(const matrix_reply *reply, void *user_data) {
    const matrix_event *event = matrix_reply_as_event(reply, matrix_reply_value(reply));
    (void)user_data;
    printf("%s: %s\n", event->sender, event->body ? event->body : event->type);
}

/* After the login, and after each sync: the next sync. */
static void on_reply(const matrix_reply *reply, void *sync_options) {
    if (matrix_reply_ok(reply))
        matrix_sync_once(client, sync_options, on_reply, sync_options, NULL);
    else if (matrix_reply_error(reply)->status != MATRIX_E_SHUTDOWN)
        fprintf(stderr, "frame_loop: %s\n", matrix_reply_error(reply)->message);
}

static void update_and_draw(void) {
    const struct timespec frame = {0, 16000000};
    nanosleep(&frame, NULL);
}

int main(void) {
    const char *user = getenv("MATRIX_USER"), *password = getenv("MATRIX_PASSWORD");
    const char *frames = getenv("MATRIX_FRAMES");
    matrix_context context;
    matrix_map *options = matrix_map_new(), *sync_options = matrix_map_new();
    matrix_map_set_string(options, "homeserver", getenv("MATRIX_HOMESERVER"));
    matrix_map_set_int(sync_options, "timeout_ms", 30000);
    if (matrix_init(NULL, &context) < 0 || matrix_create_client(context, options, &client) < 0)
        return fprintf(stderr, "frame_loop: %s\n", matrix_map_error(options)), EXIT_FAILURE;
    matrix_subscribe(client, "message", NULL, on_message, NULL, NULL);
    if (matrix_login_password(client, user, password, NULL, on_reply, sync_options, NULL) < 0)
        return fputs("frame_loop: MATRIX_USER and MATRIX_PASSWORD have to be set\n", stderr), 1;
    for (long frame = 0; frame < (frames ? atol(frames) : LONG_MAX); frame++) {
        matrix_dispatch(context, 0, 2000);
        update_and_draw();
    }
    matrix_shutdown(context, 2000);
    matrix_map_free(sync_options);
    matrix_map_free(options);
    return EXIT_SUCCESS;
}
