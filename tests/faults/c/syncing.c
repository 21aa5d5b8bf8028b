/* SPDX-License-Identifier: Apache-2.0 */
/**
 * syncing MESSAGES [LOOP_OPTIONS [CLIENT_OPTIONS]]: runs the sync loop until so many messages have
 * come (0: until a sync has brought none), or its end. Prints a line for each thing it hears, as it
 * hears it: "message ID", "device TYPE", "sync TOKEN MALFORMED", "state STATE DELAY_MS CODE
 * SOFT_LOGOUT". Options are JSON. MATRIX_HOMESERVER, MATRIX_TOKEN; with MATRIX_FILTER, JSON, it
 * keeps that filter at the homeserver and syncs by its id.
 */
#include <unistd.h>

#include "../../host/c/check.h"

static int messages;
static bool has_ended;
static bool is_quiet;

static void say(const char *line) {
    size_t size = strlen(line);

    /* At once: who reads it counts on what was printed before a kill. */
    CHECK(write(STDOUT_FILENO, line, size) == (ssize_t)size);
}

static void on_message(const matrix_reply *reply, void *user_data) {
    const matrix_event *event = matrix_reply_as_event(reply, matrix_reply_value(reply));
    char line[512];

    (void)user_data;
    messages++;
    snprintf(line, sizeof line, "message %s\n", event->event_id);
    say(line);
}

static void on_to_device(const matrix_reply *reply, void *user_data) {
    char line[512];

    (void)user_data;
    snprintf(line, sizeof line, "device %s\n",
             matrix_value_get_string(matrix_reply_value(reply), "type", "-"));
    say(line);
}

static void on_sync(const matrix_reply *reply, void *user_data) {
    const matrix_sync_done *done = matrix_reply_as_sync_done(reply, matrix_reply_value(reply));
    char line[512];

    (void)user_data;
    is_quiet = done->event_count == 0;
    snprintf(line, sizeof line, "sync %s %d\n", done->next_batch, (int)done->malformed_count);
    say(line);
}

static void on_state(const matrix_reply *reply, void *user_data) {
    const matrix_value *state = matrix_reply_value(reply);
    const char *name = matrix_value_get_string(state, "state", "");
    char line[512];

    (void)user_data;
    has_ended = !strcmp(name, "stopped");
    snprintf(line, sizeof line, "state %s %d %s %d\n", name,
             (int)matrix_value_get_int(state, "delay_ms", 0),
             matrix_value_get_string(state, "code", "-"),
             matrix_value_get_bool(state, "soft_logout", false));
    say(line);
}

static matrix_map *options_of(const char *json) {
    matrix_map *options = NULL;

    CHECK_OK(matrix_map_from_json(json, strlen(json), &options));
    return options;
}

static matrix_client open_session(matrix_context context, const char *json) {
    matrix_map *options = options_of(json);
    matrix_client client = {0};

    CHECK_OK(matrix_map_set_string(options, "homeserver", getenv("MATRIX_HOMESERVER")));
    CHECK_OK(matrix_map_set_string(options, "access_token", getenv("MATRIX_TOKEN")));
    CHECK_OK(matrix_create_client(context, options, &client));
    matrix_map_free(options);
    return client;
}

static void use_kept_filter(matrix_client client, const char *json, matrix_map *options) {
    matrix_request request = {0};
    matrix_reply *reply = NULL;
    char id[256];

    CHECK_OK(matrix_upload_filter(client, json, NULL, NULL, NULL, &request));
    CHECK_OK(matrix_wait(request, 20000, &reply));
    CHECK(matrix_reply_ok(reply));
    snprintf(id, sizeof id, "\"%s\"",
             matrix_value_get_string(matrix_reply_value(reply), "filter_id", ""));
    matrix_reply_free(reply);
    CHECK_OK(matrix_map_set_json(options, "filter", id, strlen(id)));
}

static void start(matrix_context context, matrix_client client, const char *json) {
    matrix_map *options = options_of(json);
    struct tally started = {0};

    if (getenv("MATRIX_FILTER"))
        use_kept_filter(client, getenv("MATRIX_FILTER"), options);

    CHECK_OK(matrix_sync_loop_start(client, options, count_reply, &started, NULL));
    matrix_map_free(options);
    while (!tally_count(&started))
        CHECK(matrix_dispatch(context, 20000, 0) >= 0);
    CHECK(started.ok);
}

int main(int argc, char **argv) {
    matrix_context context = open_context();
    matrix_client client;
    struct tally stopped = {0};
    int wanted;

    CHECK(argc >= 2);
    wanted = atoi(argv[1]);
    client = open_session(context, argc > 3 ? argv[3] : "{}");
    CHECK_OK(matrix_subscribe(client, "message", NULL, on_message, NULL, NULL));
    CHECK_OK(matrix_subscribe(client, "to_device", NULL, on_to_device, NULL, NULL));
    CHECK_OK(matrix_subscribe(client, "sync", NULL, on_sync, NULL, NULL));
    CHECK_OK(matrix_subscribe(client, "sync_state", NULL, on_state, NULL, NULL));
    start(context, client, argc > 2 ? argv[2] : "{}");
    while (!has_ended && (wanted ? messages < wanted : !is_quiet))
        CHECK(matrix_dispatch(context, 20000, 0) >= 0);
    CHECK_OK(matrix_sync_loop_stop(client, NULL, count_reply, &stopped, NULL));
    pump(context, &stopped.ok, 1);
    CHECK(has_ended);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
