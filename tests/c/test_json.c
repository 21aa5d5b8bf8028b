/* SPDX-License-Identifier: Apache-2.0 */
/* JSON out and in: UTF-8, escapes, numbers, depth, maps. */
#include <float.h>
#include <locale.h>
#include <math.h>

#include "core_check.h"
#include "json.h"
#include "utf8.h"

static void utf8_is_checked(void) {
    static const char *const good[] = {"",
                                       "a",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "plain, then \xe2\x82\xac",
                                       "\x7f\x01"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xe2\x82",
                                      "\xe2\x82"
                                      "a",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xf0\x9f\x98",
                                      "eight chars \xff",
                                      "\xc3\x28"};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        CHECK(core_is_utf8(good[i], strlen(good[i])));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(!core_is_utf8(bad[i], strlen(bad[i])));
    }
}

/* Every code point survives; every two-byte string is valid for both or for neither. */
static void escapes_round_trip(void) {
    struct buffer buffer;
    struct arena arena = {0};
    matrix_value value;

    for (unsigned first = 0; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            char text[12] = {(char)first, (char)second, 'p', 'a', 'd', 'd', 'i', 'n', 'g'};
            bool valid = core_is_utf8(text, 9);
            buffer_init(&buffer);
            CHECK(buffer_string(&buffer, text, 9) == valid);
            if (valid) {
                CHECK(core_parse(&arena, buffer.data, buffer.used, &value));
                CHECK(value.type == MATRIX_TYPE_STRING && value.as.string.size == 9);
                CHECK(memcmp(value.as.string.data, text, 10) == 0);
            }
            buffer_free(&buffer);
            arena_reset(&arena);
        }
    }
    arena_free(&arena);
}

static void base64_is_padded(void) {
    static const char *const expected[] = {"\"\"", "\"/w==\"", "\"/wA=\"", "\"/wAB\"",
                                           "\"/wABcA==\""};
    static const unsigned char bytes[] = {0xff, 0, 1, 0x70};

    for (size_t size = 0; size <= 4; size++) {
        struct buffer buffer;
        buffer_init(&buffer);
        buffer_base64(&buffer, bytes, size);
        buffer_append(&buffer, "", 1);
        CHECK_TEXT(buffer.data, expected[size]);
        buffer_free(&buffer);
    }
}

static const matrix_value *payload_of(matrix_client client, matrix_map *map, matrix_reply **reply) {
    matrix_request request;

    CHECK_OK(matrix_ping(client, map, NULL, NULL, &request));
    CHECK_OK(matrix_wait(request, 20000, reply));
    return matrix_value_get(matrix_reply_value(*reply), "payload");
}

static void numbers_round_trip(matrix_client client) {
    static const double doubles[] = {0.1, -0.0, 1e22, DBL_MAX, DBL_MIN, 4.9e-324, 1.5, 1e300};
    static const int64_t integers[] = {0, -1, INT64_MAX, INT64_MIN, 1234567890123};
    matrix_map *map = matrix_map_new();
    matrix_reply *reply;

    setlocale(LC_ALL, ""); /* a comma as decimal point must not get in */
    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) {
        const matrix_value *value;
        CHECK_OK(matrix_map_set_double(map, "payload", doubles[i]));
        value = payload_of(client, map, &reply);
        CHECK(value->type == MATRIX_TYPE_DOUBLE && value->as.number == doubles[i]);
        matrix_reply_free(reply);
    }
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        const matrix_value *value;
        CHECK_OK(matrix_map_set_int(map, "payload", integers[i]));
        value = payload_of(client, map, &reply);
        CHECK(value->type == MATRIX_TYPE_INT && value->as.integer == integers[i]);
        CHECK(matrix_value_get_double(matrix_reply_value(reply), "payload", 0.5) ==
              (double)integers[i]);
        matrix_reply_free(reply);
    }
    CHECK_STATUS(matrix_map_set_double(map, "payload", NAN), MATRIX_E_INVALID_ARGUMENT);
    CHECK_TEXT(matrix_map_error(map), "payload: is not a finite number");
    CHECK_STATUS(matrix_map_set_double(map, "payload", -INFINITY), MATRIX_E_INVALID_ARGUMENT);
    matrix_map_free(map);
}

static void large_numbers_from_outside(void) {
    static const char json[] = "{\"a\":9223372036854775808,\"b\":123456789012345678901234567890,"
                               "\"c\":-9223372036854775808,\"d\":1e3}";
    struct arena arena = {0};
    matrix_value value;

    CHECK(core_parse(&arena, json, strlen(json), &value));
    CHECK(matrix_value_get(&value, "a")->type == MATRIX_TYPE_DOUBLE);
    CHECK(matrix_value_get_double(&value, "b", 0) > 1.2e29);
    CHECK(matrix_value_get_int(&value, "c", 0) == INT64_MIN);
    CHECK(matrix_value_get(&value, "d")->type == MATRIX_TYPE_DOUBLE);
    CHECK(!core_parse(&arena, "[1e999]", 7, &value));
    CHECK(!core_parse(&arena, "", 0, &value));
    arena_free(&arena);
}

static char *nested(int depth) {
    char *text = malloc((size_t)depth * 2 + 1);

    memset(text, '[', (size_t)depth);
    memset(text + depth, ']', (size_t)depth);
    text[depth * 2] = 0;
    return text;
}

static void depth_is_bounded(void) {
    static const int depths[] = {CORE_MAX_DEPTH, CORE_MAX_DEPTH + 1, 2000000};
    matrix_map *map = matrix_map_new();

    for (int i = 0; i < 3; i++) {
        char *text = nested(depths[i]);
        struct arena arena = {0};
        matrix_value value;
        matrix_status expected = i ? MATRIX_E_INVALID_ARGUMENT : MATRIX_OK;
        CHECK(core_parse(&arena, text, strlen(text), &value) == (i == 0));
        CHECK_STATUS(matrix_map_set_json(map, "k", text, strlen(text)), expected);
        CHECK_TEXT(matrix_map_error(map), i ? "k: is nested too deeply" : "");
        arena_free(&arena);
        free(text);
    }
    matrix_map_free(map);
}

static void maps_from_json(matrix_client client) {
    static const char *const bad[] = {"",
                                      "[]",
                                      "{",
                                      "{\"a\":1e999}",
                                      "{} x",
                                      "{\"a\":\"\xff\"}",
                                      "null",
                                      "{\"a\":12345678901234567890}",
                                      "{a:1}",
                                      "{\"a\":\"\\ud800\"}",
                                      "{\"a\":[9223372036854775808]}",
                                      "{\"a\\u0000b\":1}"};
    matrix_map *map = NULL, *outer = matrix_map_new();
    matrix_reply *reply;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        map = outer;
        CHECK_STATUS(matrix_map_from_json(bad[i], strlen(bad[i]), &map), MATRIX_E_INVALID_ARGUMENT);
        CHECK(map == NULL);
    }
    CHECK_STATUS(matrix_map_from_json(NULL, 0, &map), MATRIX_E_INVALID_ARGUMENT);
    CHECK_STATUS(matrix_map_from_json("{}", 2, NULL), MATRIX_E_INVALID_ARGUMENT);
    map = map_of(" { \"a\" : [ 1 , 2 ] , \"a\" : \"last\", \"\" : null, \"\\u00e9\" : {} } ");
    CHECK_OK(matrix_map_set_strings(map, "l", (const char *[]){"\"", "b"}, 2));
    CHECK_OK(matrix_map_set_strings(map, "", NULL, 0));
    CHECK_OK(matrix_map_set_map(map, "self", map));
    CHECK_OK(matrix_map_set_map(outer, "payload", map));
    CHECK_OK(matrix_map_set_bool(map, "a", true)); /* too late for the copy */
    payload_of(client, outer, &reply);
    CHECK_TEXT(matrix_reply_json(reply, NULL),
               "{\"payload\":{\"a\":\"last\",\"\":[],\"\xc3\xa9\":{},\"l\":[\"\\\"\",\"b\"],"
               "\"self\":{\"a\":\"last\",\"\":[],\"\xc3\xa9\":{},\"l\":[\"\\\"\",\"b\"]}}}");
    matrix_reply_free(reply);
    matrix_map_free(map);
    matrix_map_free(outer);
}

static void setters_are_checked(void) {
    matrix_map *map = matrix_map_new();

    CHECK_STATUS(matrix_map_set_string(map, "k", NULL), MATRIX_E_INVALID_ARGUMENT);
    CHECK_TEXT(matrix_map_error(map), "k: is NULL");
    CHECK_STATUS(matrix_map_set_string(map, "k", "\xc0\x80"), MATRIX_E_INVALID_ARGUMENT);
    CHECK_TEXT(matrix_map_error(map), "k: is not valid UTF-8");
    CHECK_STATUS(matrix_map_set_json(map, "k", "[1,", 3), MATRIX_E_INVALID_ARGUMENT);
    CHECK_TEXT(matrix_map_error(map), "k: is not valid JSON");
    CHECK_STATUS(matrix_map_set_json(map, "k", NULL, 3), MATRIX_E_INVALID_ARGUMENT);
    CHECK_STATUS(matrix_map_set_map(map, "k", NULL), MATRIX_E_INVALID_ARGUMENT);
    CHECK_STATUS(matrix_map_set_text(map, "k", NULL, 1), MATRIX_E_INVALID_ARGUMENT);
    CHECK_STATUS(matrix_map_set_int(map, NULL, 1), MATRIX_E_INVALID_ARGUMENT);
    CHECK_TEXT(matrix_map_error(map), "key: is NULL");
    CHECK_STATUS(matrix_map_set_null(map, "\xff"), MATRIX_E_INVALID_ARGUMENT);
    CHECK_TEXT(matrix_map_error(map), "key: is not valid UTF-8");
    CHECK_STATUS(matrix_map_set_int(NULL, "k", 1), MATRIX_E_INVALID_ARGUMENT);
    CHECK_STATUS(matrix_map_set_strings(map, "k", NULL, 1), MATRIX_E_INVALID_ARGUMENT);
    CHECK_TEXT(matrix_map_error(map), "k: is NULL");
    CHECK_STATUS(matrix_map_set_strings(map, "k", (const char *[]){"a", NULL}, 2),
                 MATRIX_E_INVALID_ARGUMENT);
    CHECK_TEXT(matrix_map_error(map), "k[2]: is NULL");
    CHECK_STATUS(matrix_map_set_strings(map, "k", (const char *[]){"\xff", "a"}, 2),
                 MATRIX_E_INVALID_ARGUMENT);
    CHECK_TEXT(matrix_map_error(map), "k[1]: is not valid UTF-8");
    CHECK_OK(matrix_map_set_text(map, "k", NULL, 0));
    CHECK_TEXT(matrix_map_error(map), "");
    CHECK_TEXT(matrix_map_error(NULL), "");
    matrix_map_free(map);
    matrix_map_free(NULL);
}

static void getters_are_lenient(void) {
    static const char json[] = "{\"l\":[1,\"a\"],\"s\":\"x\",\"b\":true}";
    struct arena arena = {0};
    matrix_value value;

    CHECK(core_parse(&arena, json, strlen(json), &value));
    CHECK(matrix_value_count(&value) == 3 && matrix_value_count(NULL) == 0);
    CHECK(matrix_value_count(matrix_value_get(&value, "l")) == 2);
    CHECK(matrix_value_count(matrix_value_get(&value, "s")) == 0);
    CHECK(matrix_value_at(matrix_value_get(&value, "l"), 1)->type == MATRIX_TYPE_STRING);
    CHECK(!matrix_value_at(matrix_value_get(&value, "l"), 2) && !matrix_value_at(NULL, 0));
    CHECK(!matrix_value_at(&value, 0) && !matrix_value_get(NULL, "x"));
    CHECK(!matrix_value_get(&value, NULL) && !matrix_value_get(&value, "none"));
    CHECK_TEXT(matrix_value_get_string(&value, "l", "no"), "no");
    CHECK(matrix_value_get_int(&value, "s", 5) == 5);
    CHECK(matrix_value_get_double(&value, "s", 5) == 5);
    CHECK(matrix_value_get_bool(&value, "b", false) && matrix_value_get_bool(&value, "s", true));
    CHECK(matrix_reply_value(NULL)->type == MATRIX_TYPE_MAP && matrix_reply_error(NULL));
    CHECK(matrix_reply_error(NULL)->status == MATRIX_E_INVALID_ARGUMENT);
    CHECK(!matrix_reply_ok(NULL) && matrix_reply_keep(NULL) == NULL);
    CHECK_TEXT(matrix_reply_json(NULL, NULL), "{}");
    matrix_reply_free(NULL);
    arena_free(&arena);
}

static unsigned random_state = 12345;

static unsigned dice(unsigned sides) {
    random_state = random_state * 1103515245u + 12345u;
    return (random_state >> 16) % sides;
}

static const char *const words[] = {"",
                                    "a",
                                    "\xc3\xa9\xf0\x9f\x98\x80",
                                    "quote\"back\\slash",
                                    "\n\t\x01\x7f",
                                    "a somewhat longer text, to be copied"};

/* Any JSON of our own making: what goes in comes out, byte for byte. */
static void write_random(struct buffer *buffer, int depth) {
    unsigned count = dice(5);

    switch (dice(depth > 8 ? 4 : 6)) {
    case 0:
        buffer_integer(buffer, (int64_t)((uint64_t)dice(65536) << 48 | dice(65536)));
        break;
    case 1:
        buffer_double(buffer, (double)dice(1000) / 7);
        break;
    case 2:
        CHECK(buffer_string(buffer, words[count], strlen(words[count])));
        break;
    case 3:
        buffer_literal(buffer, count < 2 ? "null" : count < 4 ? "true" : "false");
        break;
    case 4:
        buffer_literal(buffer, "[");
        for (unsigned i = 0; i < count; i++) {
            buffer_literal(buffer, i ? "," : "");
            write_random(buffer, depth + 1);
        }
        buffer_literal(buffer, "]");
        break;
    default:
        buffer_literal(buffer, "{");
        for (unsigned i = 0; i < count; i++) {
            buffer_literal(buffer, i ? ",\"" : "\"");
            buffer_unsigned(buffer, i);
            buffer_literal(buffer, "\":");
            write_random(buffer, depth + 1);
        }
        buffer_literal(buffer, "}");
    }
}

static void random_json(matrix_client client) {
    for (int round = 0; round < 300; round++) {
        matrix_map *map = matrix_map_new();
        matrix_reply *reply = NULL;
        struct buffer buffer;
        size_t size;
        const char *json;

        buffer_init(&buffer);
        write_random(&buffer, 0);
        CHECK_OK(matrix_map_set_json(map, "payload", buffer.data, buffer.used));
        CHECK(payload_of(client, map, &reply) != NULL);
        json = matrix_reply_json(reply, &size);
        CHECK(size == buffer.used + strlen("{\"payload\":}"));
        CHECK(memcmp(json + strlen("{\"payload\":"), buffer.data, buffer.used) == 0);
        matrix_reply_free(reply);
        matrix_map_free(map);
        buffer_free(&buffer);
    }
}

/* Broken JSON of every kind is refused, and nothing else happens. */
static void broken_json(void) {
    static const char whole[] = "{\"a\":[1,-2.5e3,\"x\\u00e9\\n\",{\"b\":null}],\"c\":true}";
    char text[sizeof whole];
    matrix_map *map;

    for (int round = 0; round < 20000; round++) {
        memcpy(text, whole, sizeof whole);
        for (unsigned changes = 1 + dice(3); changes > 0; changes--) {
            text[dice(sizeof whole - 1)] = (char)dice(256);
        }
        if (matrix_map_from_json(text, sizeof whole - 1 - dice(4), &map) == MATRIX_OK) {
            matrix_map_free(map);
        } else {
            CHECK(map == NULL);
        }
    }
}

int main(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);

    utf8_is_checked();
    escapes_round_trip();
    base64_is_padded();
    large_numbers_from_outside();
    depth_is_bounded();
    setters_are_checked();
    getters_are_lenient();
    numbers_round_trip(client);
    maps_from_json(client);
    random_json(client);
    broken_json();
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
