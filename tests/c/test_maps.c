/* SPDX-License-Identifier: Apache-2.0 */
/* Maps that are deep, and maps that are large. */
#include "core_check.h"
#include "json.h"
#include "map.h"

/* A map in a map in a map: each level counts, whatever it came from. */
static void maps_are_bounded(void) {
    char text[2 * (CORE_MAX_DEPTH - 2)];
    matrix_map *map = matrix_map_new();

    memset(text, '[', CORE_MAX_DEPTH - 2);
    memset(text + CORE_MAX_DEPTH - 2, ']', CORE_MAX_DEPTH - 2);
    CHECK_OK(matrix_map_set_json(map, "k", text, sizeof text));
    for (int depth = CORE_MAX_DEPTH - 1; depth <= CORE_MAX_DEPTH + 1; depth++) {
        matrix_map *outer = matrix_map_new();
        bool is_last = depth > CORE_MAX_DEPTH;
        CHECK_STATUS(matrix_map_set_map(outer, "k", map),
                     is_last ? MATRIX_E_INVALID_ARGUMENT : MATRIX_OK);
        CHECK_TEXT(matrix_map_error(outer), is_last ? "k: is nested too deeply" : "");
        matrix_map_free(map);
        map = outer;
    }
    CHECK_OK(matrix_map_set_strings(map, "k", NULL, 0));
    for (int depth = 2; depth <= CORE_MAX_DEPTH; depth++) {
        matrix_map *outer = matrix_map_new();
        CHECK_OK(matrix_map_set_map(outer, "k", map));
        matrix_map_free(map);
        map = outer;
    }
    /* What is replaced does not count any more. */
    CHECK_STATUS(matrix_map_set_map(map, "k", map), MATRIX_E_INVALID_ARGUMENT);
    CHECK_OK(matrix_map_set_int(map, "k", 1));
    CHECK_OK(matrix_map_set_map(map, "k", map));
    matrix_map_free(map);
}

/* Each key is found again, in any size; many are no more work each than few. */
static void maps_of_many_keys(void) {
    enum { KEYS = 100000 };
    matrix_map *map, *outer = matrix_map_new();
    struct buffer json;
    int64_t start;

    buffer_init(&json);
    for (int i = 0; i < KEYS; i++) {
        buffer_literal(&json, i ? ",\"k" : "{\"k");
        buffer_integer(&json, i);
        buffer_literal(&json, "\":");
        buffer_integer(&json, i);
    }
    buffer_literal(&json, "}");
    CHECK(!json.no_memory);
    buffer_append(&json, "", 1);
    start = core_now_us();
    map = map_of(json.data);
    CHECK(core_now_us() - start < 10000000);
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        CHECK(core_map_find(outer, key) == NULL);
        CHECK(core_map_int(map, key, -1) == i);
        CHECK_OK(matrix_map_set_int(outer, key, i));
        CHECK_OK(matrix_map_set_int(outer, "k0", i));
        CHECK(core_map_int(outer, key, -1) == i && core_map_int(outer, "k0", -1) == i);
        CHECK(outer->count == (size_t)i + 1);
    }
    buffer_free(&json);
    buffer_init(&json);
    core_map_write_all(outer, &json);
    buffer_append(&json, "", 1);
    CHECK_TEXT_BEGINS(json.data, "{\"k0\":999,\"k1\":1,\"k2\":2,");
    buffer_free(&json);
    matrix_map_free(map);
    matrix_map_free(outer);
}

int main(void) {
    maps_are_bounded();
    maps_of_many_keys();
    return 0;
}
