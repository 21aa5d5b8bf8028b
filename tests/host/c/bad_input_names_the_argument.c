/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

static char logged[1024];

static void remember(const matrix_reply *reply, void *user_data) {
    const matrix_log_record *record = matrix_reply_as_log_record(reply, matrix_reply_value(reply));

    (void)user_data;
    CHECK(record && record->level == MATRIX_LOG_LEVEL_ERROR);
    CHECK(record->code);
    if (!strcmp(record->code, "E_INVALID_ARGUMENT"))
        snprintf(logged, sizeof logged, "%s", record->message);
}

static matrix_context context;

static void expect_log(matrix_status status, const char *first, const char *second) {
    CHECK_STATUS(status, MATRIX_E_INVALID_ARGUMENT);
    logged[0] = 0;
    while (!logged[0])
        CHECK(matrix_dispatch(context, 20000, 0) > 0);
    if (!strstr(logged, first) || !strstr(logged, second)) {
        fprintf(stderr, "\"%s\" does not name %s and %s\n", logged, first, second);
        exit(1);
    }
}

static void expect_map(matrix_status status, const matrix_map *map, const char *key) {
    CHECK_STATUS(status, MATRIX_E_INVALID_ARGUMENT);
    if (!strstr(matrix_map_error(map), key)) {
        fprintf(stderr, "\"%s\" does not name %s\n", matrix_map_error(map), key);
        exit(1);
    }
}

static matrix_map *map_of(const char *json) {
    matrix_map *map = NULL;

    CHECK_OK(matrix_map_from_json(json, strlen(json), &map));
    return map;
}

static void refuse_arguments(matrix_client client) {
    char *huge = malloc((100u << 20) + 1);

    expect_log(matrix_send_text(client, NULL, "hi", NULL, matrix_ignore, NULL, NULL), "send_text",
               "room_id");
    expect_log(matrix_send_text(client, "!a:b", NULL, NULL, matrix_ignore, NULL, NULL), "send_text",
               "body");
    expect_log(matrix_send_text(client, "!a:b", "\xff\xfe", NULL, matrix_ignore, NULL, NULL),
               "body", "UTF-8");
    expect_log(matrix_send_text(client, "!a:b", "\xed\xa0\x80", NULL, matrix_ignore, NULL, NULL),
               "body", "UTF-8");
    expect_log(matrix_submit(client, "\xff", NULL, matrix_ignore, NULL, NULL), "operation",
               "known");
    CHECK(huge);
    memset(huge, 'x', 100u << 20);
    huge[100u << 20] = 0;
    CHECK_STATUS(matrix_send_text(client, "!a:b", huge, NULL, matrix_ignore, NULL, NULL),
                 MATRIX_E_TOO_LARGE);
    free(huge);
}

static void refuse_options(matrix_client client) {
    const char *const bad[][2] = {
        {"{\"threadid\":\"$x\"}", "threadid"},
        {"{\"html\":5}", "html"},
        {"{\"thread_id\":null,\"html\":[]}", "html"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        matrix_map *options = map_of(bad[i][0]);
        expect_map(matrix_send_text(client, "!a:b", "hi", options, matrix_ignore, NULL, NULL),
                   options, bad[i][1]);
        matrix_map_free(options);
    }
}

static void refuse_maps(matrix_client client) {
    static const char *const calls[][3] = {
        {"send_text", "{\"room_id\":\"!a:b\"}", "body"},
        {"send_text", "{\"body\":\"hi\"}", "room_id"},
        {"send_text", "{\"room_id\":7,\"body\":\"hi\"}", "room_id"},
        {"create_room", "{\"preset\":\"secret_chat\"}", "preset"},
        {"create_room", "{\"invite\":[\"@a:b\",5]}", "invite"},
        {"create_room", "{\"invite\":\"@a:b\"}", "invite"},
        {"create_room", "{\"is_direct\":1}", "is_direct"},
        {"ping", "{\"delay_ms\":1.5}", "delay_ms"},
        {"ping", "{\"delay_ms\":\"1\"}", "delay_ms"},
        {"pong", "{}", "pong"},
    };

    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        matrix_map *arguments = map_of(calls[i][1]);
        expect_map(matrix_submit(client, calls[i][0], arguments, matrix_ignore, NULL, NULL),
                   arguments, calls[i][2]);
        matrix_map_free(arguments);
    }
}

static void refuse_client_options(void) {
    static const char *const bad[][2] = {
        {"{}", "homeserver"},
        {"{\"homeserver\":5}", "homeserver"},
        {"{\"homeserver\":\"http://h\",\"acces_token\":\"x\"}", "acces_token"},
        {"{\"homeserver\":\"http://h\",\"use_environment\":\"yes\"}", "use_environment"},
    };
    matrix_client client = {0};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        matrix_map *options = map_of(bad[i][0]);
        expect_map(matrix_create_client(context, options, &client), options, bad[i][1]);
        CHECK(client.id == 0);
        matrix_map_free(options);
    }
    expect_log(matrix_create_client(context, NULL, &client), "create_client", "homeserver");
}

static void refuse_json(void) {
    static const char *const bad[] = {"", "[]", "{", "{\"a\":1e999}", "{\"a\":\"\xff\"}", "{} x"};
    matrix_map *map = NULL;
    matrix_map *into = matrix_map_new();

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_STATUS(matrix_map_from_json(bad[i], strlen(bad[i]), &map), MATRIX_E_INVALID_ARGUMENT);
        CHECK(map == NULL);
    }
    expect_map(matrix_map_set_string(into, "key", NULL), into, "key");
    expect_map(matrix_map_set_string(into, "key", "\xc0\x80"), into, "key");
    expect_map(matrix_map_set_json(into, "key", "[1,", 3), into, "key");
    expect_map(matrix_map_set_double(into, "key", 1e300 * 1e300), into, "key");
    CHECK_STATUS(matrix_map_set_int(into, NULL, 1), MATRIX_E_INVALID_ARGUMENT);
    CHECK_STATUS(matrix_map_set_int(NULL, "key", 1), MATRIX_E_INVALID_ARGUMENT);
    CHECK_OK(matrix_map_set_text(into, "key", "a\0b", 3));
    CHECK(!strcmp(matrix_map_error(into), ""));
    matrix_map_free(into);
}

int main(void) {
    matrix_client client;
    matrix_request request = {0};
    matrix_subscription subscription = {0};
    struct tally tally = {0};
    matrix_map *filter = map_of("{\"room\":\"!a:b\"}");

    context = open_context();
    CHECK_OK(matrix_set_log_callback(context, MATRIX_LOG_LEVEL_ERROR, remember, NULL));
    client = open_client(context);
    refuse_arguments(client);
    refuse_options(client);
    refuse_maps(client);
    refuse_client_options();
    refuse_json();
    expect_map(matrix_subscribe(client, "message", filter, matrix_ignore, NULL, &subscription),
               filter, "room");
    CHECK_STATUS(matrix_init(NULL, NULL), MATRIX_E_INVALID_ARGUMENT);
    CHECK_STATUS(matrix_subscribe(client, "message", NULL, NULL, NULL, &subscription),
                 MATRIX_E_INVALID_ARGUMENT);
    CHECK_OK(matrix_close_client(client));
    CHECK_STATUS(matrix_send_text(client, "!a:b", "hi", NULL, matrix_ignore, NULL, &request),
                 MATRIX_E_INVALID_HANDLE);

    client = open_client(context);
    ping(client, 0, count_reply, &tally);
    pump(context, &tally.ok, 1);
    CHECK_OK(matrix_shutdown(context, -1));
    matrix_map_free(filter);
    return 0;
}
