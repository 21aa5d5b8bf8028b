/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments and options against the tables: what gets through, and the reasons for what does not.
 */
#include "core_check.h"
#include "submit.h"

static matrix_context context;
static matrix_client client;

static void refuse(const char *operation, const char *arguments, const char *reason) {
    matrix_map *map = map_of(arguments);
    matrix_request request = {9};

    CHECK_STATUS(matrix_submit(client, operation, map, matrix_ignore, NULL, &request),
                 MATRIX_E_INVALID_ARGUMENT);
    CHECK_TEXT(matrix_map_error(map), reason);
    CHECK(request.id == 0);
    matrix_map_free(map);
}

static void accept(const char *operation, const char *arguments) {
    matrix_map *map = map_of(arguments);

    CHECK_OK(matrix_submit(client, operation, map, matrix_ignore, NULL, NULL));
    CHECK_TEXT(matrix_map_error(map), "");
    matrix_map_free(map);
}

static void by_name(void) {
    refuse("pong", "{}", "operation: pong is not a known operation");
    refuse("send_text", "{\"room_id\":\"!a:b\"}", "body: is missing");
    refuse("send_text", "{\"room_id\":null,\"body\":\"x\"}", "room_id: is missing");
    refuse("send_text", "{\"room_id\":7,\"body\":\"x\"}", "room_id: must be a string");
    refuse("send_text", "{\"room_id\":\"!a:b\",\"body\":\"x\",\"bdoy\":1}",
           "bdoy: is not a known key; known are room_id, body, html, thread_id, txn_id, reply_to, "
           "mentions, mentions_room");
    refuse("create_room", "{\"preset\":\"secret_chat\"}",
           "preset: must be one of private_chat, public_chat, trusted_private_chat");
    refuse("create_room", "{\"preset\":7}", "preset: must be a string");
    refuse("create_room", "{\"invite\":\"@a:b\"}", "invite: must be a list");
    refuse("create_room", "{\"invite\":[\"@a:b\",5]}", "invite[1]: must be a string");
    refuse("create_room", "{\"is_direct\":1}", "is_direct: must be a bool");
    refuse("ping", "{\"delay_ms\":1.5}", "delay_ms: must be an integer");
    refuse("ping", "{\"delay_ms\":\"1\"}", "delay_ms: must be an integer");
    refuse("ping", "{\"delay_ms\":-1}", "delay_ms: must be at least 0");
    refuse("sync_loop_start", "{\"backoff_min_ms\":0}", "backoff_min_ms: must be at least 1");
    refuse("login_sso", "{\"timeout_ms\":-9223372036854775808}", "timeout_ms: must be at least 1");
    accept("ping", "{\"delay_ms\":null,\"payload\":null}");
    accept("create_room", "{\"preset\":\"public_chat\",\"invite\":[\"@a:b\"],\"is_direct\":true}");
    accept("whoami", "{}");
    CHECK_OK(matrix_submit(client, "whoami", NULL, matrix_ignore, NULL, NULL));
    CHECK_STATUS(matrix_submit(client, "send_text", NULL, matrix_ignore, NULL, NULL),
                 MATRIX_E_INVALID_ARGUMENT);
}

/* A long or broken key does not overflow the reason, and the reason stays UTF-8. */
static void long_keys(void) {
    matrix_map *map = matrix_map_new();
    char key[1000];

    for (size_t at = 0; at + 2 < sizeof key; at += 2) {
        memcpy(key + at, "\xc3\xa9", 3);
    }
    for (size_t length = 180; length < 300; length++) {
        char saved = key[length];
        key[length] = 0;
        CHECK(matrix_map_set_int(map, key, 1) ==
              (length % 2 ? MATRIX_E_INVALID_ARGUMENT : MATRIX_OK));
        key[length] = saved;
    }
    CHECK_STATUS(matrix_ping(client, map, matrix_ignore, NULL, NULL), MATRIX_E_INVALID_ARGUMENT);
    CHECK(strstr(matrix_map_error(map), "is not a known key; known are "));
    matrix_map_free(map);
}

/* Types that no operation has as an argument yet: by a table of the test's own. */
static const char *const colours[] = {"red", "green"};
static const struct enumeration colour = {"colour", colours, 2};
static const struct field parts[] = {
    {.name = "x", .type = FIELD_INT, .least = INT64_MIN, .most = 3, .required = true},
    {.name = "deep", .type = FIELD_LIST, .item = FIELD_ENUM, .enumeration = &colour}};
static const struct record point = {.name = "point", .fields = {parts, 2}};
static const struct field arguments[] = {
    {.name = "flag", .type = FIELD_BOOL, .required = true},
    {.name = "count", .type = FIELD_INT, .least = -5, .most = 5, .required = true},
    {.name = "ratio", .type = FIELD_DOUBLE, .required = true},
    {.name = "data", .type = FIELD_BYTES, .required = true},
    {.name = "any", .type = FIELD_JSON, .required = true},
    {.name = "hue", .type = FIELD_ENUM, .enumeration = &colour, .required = true},
    {.name = "point", .type = FIELD_RECORD, .record = &point, .required = true},
    {.name = "points",
     .type = FIELD_LIST,
     .item = FIELD_RECORD,
     .record = &point,
     .required = true}};
static const struct field options[] = {{.name = "blob", .type = FIELD_BYTES},
                                       {.name = "factor", .type = FIELD_DOUBLE}};
static const struct operation operation = {"ping", {arguments, 8}, {options, 2}, false};

/** An argument of another value is refused, and the reason says which. */
static void refuse_one(const union core_argument good[8], matrix_map *in, int index,
                       union core_argument value, const char *reason) {
    union core_argument broken[8];

    memcpy(broken, good, sizeof broken);
    broken[index] = value;
    CHECK_STATUS(core_submit(client, &operation, broken, in, matrix_ignore, NULL, NULL),
                 MATRIX_E_INVALID_ARGUMENT);
    CHECK_TEXT(matrix_map_error(in), reason);
}

static void refuse_each(const union core_argument good[8], matrix_map *in, matrix_map *bad) {
#define REFUSE(index, value, reason) refuse_one(good, in, index, (union core_argument)value, reason)
    REFUSE(1, {.integer = 6}, "count: must be from -5 to 5");
    REFUSE(1, {.integer = -6}, "count: must be from -5 to 5");
    REFUSE(7, {.string = "[{\"x\":4}]"}, "points[0].x: must be at most 3");
    REFUSE(2, {.number = 1e300 * 1e300}, "ratio: is not a finite number");
    REFUSE(4, {.string = "{"}, "any: is not valid JSON");
    REFUSE(4, {.string = NULL}, "any: is NULL");
    REFUSE(4, {.string = "[18446744073709551615]"}, "any: has a number beyond 64 bits");
    REFUSE(5, {.integer = 3}, "hue: is not one of its values");
    REFUSE(5, {.integer = 0}, "hue: is not one of its values");
    REFUSE(6, {.map = NULL}, "point: is NULL");
    REFUSE(6, {.map = bad}, "deep[0]: must be one of red, green");
    REFUSE(7, {.string = "[{\"y\":3}]"}, "points[0].x: is missing");
    REFUSE(7, {.string = "{}"}, "points: must be a list");
    REFUSE(7, {.string = "[5]"}, "points[0]: must be a map");
#undef REFUSE
}

static void every_type(void) {
    matrix_map *map = map_of("{\"x\":1,\"deep\":[\"red\"]}"),
               *bad = map_of("{\"deep\":[\"blue\"]}");
    matrix_map *in = map_of("{\"blob\":\"AQI=\",\"factor\":2}"),
               *wrong = map_of("{\"blob\":\"A?\"}");
    union core_argument good[] = {{.boolean = true},
                                  {.integer = -5},
                                  {.number = 0.5},
                                  {.bytes = {"\1\2", 2}},
                                  {.string = "{\"a\": [null]}"},
                                  {.integer = 2},
                                  {.map = map},
                                  {.string = "[{\"x\":3}]"}};

    CHECK_OK(core_submit(client, &operation, good, in, matrix_ignore, NULL, NULL));
    CHECK_STATUS(core_submit(client, &operation, good, wrong, matrix_ignore, NULL, NULL),
                 MATRIX_E_INVALID_ARGUMENT);
    CHECK_TEXT(matrix_map_error(wrong), "blob: must be base64 text");
    refuse_each(good, in, bad);
    matrix_map_free(map);
    matrix_map_free(bad);
    matrix_map_free(in);
    matrix_map_free(wrong);
}

static void client_options(void) {
    static const char *const bad[][2] = {
        {"{}", "homeserver: is missing"},
        {"{\"homeserver\":null,\"user_id\":\"@a:b\"}", "homeserver: is missing"},
        {"{\"homeserver\":5}", "homeserver: must be a string"},
        {"{\"homeserver\":\"http://h\",\"request_timeout_ms\":-1}",
         "request_timeout_ms: must be at least 0"},
        {"{\"homeserver\":\"http://h\",\"store_path\":\"\"}",
         "store_path: is empty; without one the store is in memory"},
        {"{\"homeserver\":\"http://h\",\"use_environment\":\"y\"}",
         "use_environment: must be a bool"},
    };
    matrix_map *options;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        matrix_client made = {5};
        options = map_of(bad[i][0]);
        CHECK_STATUS(matrix_create_client(context, options, &made), MATRIX_E_INVALID_ARGUMENT);
        CHECK_TEXT(matrix_map_error(options), bad[i][1]);
        CHECK(made.id == 0);
        CHECK_STATUS(matrix_create_client(context, options, NULL), MATRIX_E_INVALID_ARGUMENT);
        matrix_map_free(options);
    }
    CHECK_STATUS(matrix_create_client(context, NULL, &client), MATRIX_E_INVALID_ARGUMENT);
    options = map_of("{\"homeserver\":\"http://h\",\"acces_token\":\"x\"}");
    CHECK_STATUS(matrix_create_client(context, options, &client), MATRIX_E_INVALID_ARGUMENT);
    CHECK_TEXT_BEGINS(matrix_map_error(options), "acces_token: is not a known key; known are ");
    CHECK(strstr(matrix_map_error(options), ", access_token, "));
    matrix_map_free(options);
    for (size_t i = 0; i < 2; i++) {
        options = map_of(i ? "{\"session\":\"{}\"}" : "{\"store_path\":\"/x\"}");
        CHECK_OK(matrix_create_client(context, options, &client));
        matrix_map_free(options);
    }
    options = map_of("{\"homeserver\":\"http://h\",\"user_id\":null,\"connect_timeout_ms\":5}");
    CHECK_STATUS(matrix_create_client((matrix_context){5}, options, &client),
                 MATRIX_E_INVALID_HANDLE);
    CHECK_TEXT(matrix_map_error(options), "context: is closed, or never existed");
    CHECK_OK(matrix_create_client(context, options, &client));
    settle(client);
    CHECK_TEXT(fake_last_body, "{\"homeserver\":\"http://h\",\"connect_timeout_ms\":5}");
    matrix_map_free(options);
}

int main(void) {
    context = open_context("{\"max_events\":5}");
    client = open_client(context);
    by_name();
    long_keys();
    every_type();
    client_options();
    CHECK(matrix_version()->api_version == MATRIX_API_VERSION);
    CHECK(strcmp(matrix_version()->version, MATRIX_VERSION_STRING) == 0);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
