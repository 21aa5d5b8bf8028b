/* SPDX-License-Identifier: Apache-2.0 */
#include "map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "runtime.h"

matrix_map *matrix_map_new(void) {
    return calloc(1, sizeof(matrix_map));
}

void matrix_map_free(matrix_map *map) {
    size_t index;

    if (!map) {
        return;
    }
    for (index = 0; index < map->count; index++) {
        free(map->entries[index].key);
    }
    free(map->entries);
    free(map->index);
    free(map);
}

const char *matrix_map_error(const matrix_map *map) {
    return map ? map->error : "";
}

/* ---- setting -------------------------------------------------------------------------------- */

static matrix_status fail(matrix_map *map, const char *key, const char *what) {
    struct reason reason;

    core_reason(&reason, "%s: %s", key, what);
    memcpy(map->error, reason.text, sizeof map->error);
    return MATRIX_E_INVALID_ARGUMENT;
}

static matrix_status no_memory(matrix_map *map) {
    strcpy(map->error, "map: memory is short");
    return MATRIX_E_NO_MEMORY;
}

static struct map_entry *slot_for(matrix_map *map, const char *key) {
    struct map_entry *found = (struct map_entry *)core_map_find(map, key);

    if (found) {
        return found;
    }
    if (map->count == map->capacity && !core_map_grow(map)) {
        return NULL;
    }
    found = &map->entries[map->count];
    *found = (struct map_entry){0};
    return found;
}

/* Puts a value that is JSON text already under a key that is checked already. */
static matrix_status put(matrix_map *map, const char *key, matrix_type type, int depth,
                         const char *json, size_t json_size) {
    size_t key_size = strlen(key);
    char *memory = malloc(key_size + json_size + 2);
    struct map_entry *entry = memory ? slot_for(map, key) : NULL;
    bool is_new;

    if (!entry) {
        free(memory);
        return no_memory(map);
    }
    memcpy(memory, key, key_size + 1);
    memcpy(memory + key_size + 1, json, json_size);
    memory[key_size + 1 + json_size] = 0;
    is_new = !entry->key;
    free(entry->key);
    *entry = (struct map_entry){memory, memory + key_size + 1, key_size, json_size, type, depth};
    if (is_new) {
        core_map_note(map, ++map->count);
    }
    map->error[0] = 0;
    return MATRIX_OK;
}

/* What is wrong with the map and key that a setter was given, or MATRIX_OK. */
static matrix_status check_target(matrix_map *map, const char *key) {
    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    if (!map) {
        return MATRIX_E_INVALID_ARGUMENT;
    }
    if (!key) {
        return fail(map, "key", "is NULL");
    }
    if (!core_is_utf8(key, strlen(key))) {
        return fail(map, "key", "is not valid UTF-8");
    }
    return MATRIX_OK;
}

static matrix_status put_buffer(matrix_map *map, const char *key, matrix_type type, int depth,
                                struct buffer *buffer) {
    matrix_status status =
        buffer->no_memory ? no_memory(map) : put(map, key, type, depth, buffer->data, buffer->used);

    buffer_free(buffer);
    return status;
}

matrix_status matrix_map_set_null(matrix_map *map, const char *key) {
    matrix_status status = check_target(map, key);
    return status ? status : put(map, key, MATRIX_TYPE_NULL, 0, "null", 4);
}

matrix_status matrix_map_set_bool(matrix_map *map, const char *key, bool value) {
    matrix_status status = check_target(map, key);
    return status ? status
                  : put(map, key, MATRIX_TYPE_BOOL, 0, value ? "true" : "false", value ? 4 : 5);
}

matrix_status matrix_map_set_int(matrix_map *map, const char *key, int64_t value) {
    matrix_status status = check_target(map, key);
    struct buffer buffer;

    if (status) {
        return status;
    }
    buffer_init(&buffer);
    buffer_integer(&buffer, value);
    return put_buffer(map, key, MATRIX_TYPE_INT, 0, &buffer);
}

matrix_status matrix_map_set_double(matrix_map *map, const char *key, double value) {
    matrix_status status = check_target(map, key);
    struct buffer buffer;

    if (status) {
        return status;
    }
    if (!isfinite(value)) {
        return fail(map, key, "is not a finite number");
    }
    buffer_init(&buffer);
    buffer_double(&buffer, value);
    return put_buffer(map, key, MATRIX_TYPE_DOUBLE, 0, &buffer);
}

matrix_status matrix_map_set_text(matrix_map *map, const char *key, const char *data, size_t size) {
    matrix_status status = check_target(map, key);
    struct buffer buffer;

    if (status) {
        return status;
    }
    if (!data && size) {
        return fail(map, key, "is NULL");
    }
    buffer_init(&buffer);
    if (!buffer_string(&buffer, data ? data : "", size)) {
        buffer_free(&buffer);
        return fail(map, key, "is not valid UTF-8");
    }
    return put_buffer(map, key, MATRIX_TYPE_STRING, 0, &buffer);
}

matrix_status matrix_map_set_string(matrix_map *map, const char *key, const char *value) {
    matrix_status status = check_target(map, key);

    if (status) {
        return status;
    }
    return value ? matrix_map_set_text(map, key, value, strlen(value)) : fail(map, key, "is NULL");
}

static matrix_status fail_item(matrix_map *map, const char *key, size_t index, const char *reason) {
    char item[128];

    snprintf(item, sizeof item, "%.100s[%zu]", key, index + 1);
    return fail(map, item, reason);
}

matrix_status matrix_map_set_strings(matrix_map *map, const char *key, const char *const *strings,
                                     size_t count) {
    matrix_status status = check_target(map, key);
    struct buffer buffer;

    if (status) {
        return status;
    }
    if (!strings && count) {
        return fail(map, key, "is NULL");
    }
    buffer_init(&buffer);
    buffer_literal(&buffer, "[");
    for (size_t i = 0; i < count && !status; i++) {
        buffer_literal(&buffer, i ? "," : "");
        if (!strings[i]) {
            status = fail_item(map, key, i, "is NULL");
        } else if (!buffer_string(&buffer, strings[i], strlen(strings[i]))) {
            status = fail_item(map, key, i, "is not valid UTF-8");
        }
    }
    buffer_literal(&buffer, "]");
    if (status) {
        buffer_free(&buffer);
        return status;
    }
    return put_buffer(map, key, MATRIX_TYPE_LIST, 1, &buffer);
}

static int depth_of(const matrix_map *map) {
    int depth = 0;
    size_t index;

    for (index = 0; index < map->count; index++) {
        depth = map->entries[index].depth > depth ? map->entries[index].depth : depth;
    }
    return depth + 1;
}

matrix_status matrix_map_set_map(matrix_map *map, const char *key, const matrix_map *value) {
    matrix_status status = check_target(map, key);
    struct buffer buffer;
    int depth;

    if (status) {
        return status;
    }
    if (!value) {
        return fail(map, key, "is NULL");
    }
    depth = depth_of(value);
    if (depth > CORE_MAX_DEPTH) {
        return fail(map, key, "is nested too deeply");
    }
    buffer_init(&buffer);
    core_map_write_all(value, &buffer);
    return put_buffer(map, key, MATRIX_TYPE_MAP, depth, &buffer);
}

/* ---- reading JSON --------------------------------------------------------------------------- */

static matrix_type type_of(yyjson_val *value) {
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_BOOL:
        return MATRIX_TYPE_BOOL;
    case YYJSON_TYPE_NUM:
        return yyjson_is_real(value) ? MATRIX_TYPE_DOUBLE : MATRIX_TYPE_INT;
    case YYJSON_TYPE_STR:
        return MATRIX_TYPE_STRING;
    case YYJSON_TYPE_ARR:
        return MATRIX_TYPE_LIST;
    case YYJSON_TYPE_OBJ:
        return MATRIX_TYPE_MAP;
    default:
        return MATRIX_TYPE_NULL;
    }
}

static matrix_status put_value(matrix_map *map, const char *key, yyjson_val *value) {
    int depth;
    const char *wrong = core_wrong_value(value, &depth);
    size_t size = 0;
    char *text = wrong ? NULL : yyjson_val_write(value, YYJSON_WRITE_NOFLAG, &size);
    matrix_status status;

    if (!text) {
        return wrong ? fail(map, key, wrong) : no_memory(map);
    }
    status = put(map, key, type_of(value), depth, text, size);
    free(text);
    return status;
}

matrix_status matrix_map_set_json(matrix_map *map, const char *key, const char *json, size_t size) {
    matrix_status status = check_target(map, key);
    yyjson_doc *document;

    if (status) {
        return status;
    }
    if (!json) {
        return fail(map, key, "is NULL");
    }
    document = core_read_json(json, size, &status);
    if (!document) {
        return status == MATRIX_E_NO_MEMORY ? no_memory(map) : fail(map, key, "is not valid JSON");
    }
    status = put_value(map, key, yyjson_doc_get_root(document));
    yyjson_doc_free(document);
    return status;
}

static matrix_status fill(matrix_map *map, yyjson_val *object) {
    matrix_status status = MATRIX_OK;
    yyjson_val *value;
    yyjson_val *key;
    size_t index;
    size_t max;

    if (!yyjson_is_obj(object)) {
        return MATRIX_E_INVALID_ARGUMENT;
    }
    yyjson_obj_foreach(object, index, max, key, value) {
        bool has_nul = strlen(yyjson_get_str(key)) != yyjson_get_len(key);
        if (!status) {
            status =
                has_nul ? MATRIX_E_INVALID_ARGUMENT : put_value(map, yyjson_get_str(key), value);
        }
    }
    return status;
}

matrix_status matrix_map_from_json(const char *json, size_t size, matrix_map **map) {
    matrix_status status;
    yyjson_doc *document;

    if (map) {
        *map = NULL;
    }
    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    if (!map || !json) {
        return MATRIX_E_INVALID_ARGUMENT;
    }
    document = core_read_json(json, size, &status);
    if (!document) {
        return status;
    }
    *map = matrix_map_new();
    status = *map ? fill(*map, yyjson_doc_get_root(document)) : MATRIX_E_NO_MEMORY;
    yyjson_doc_free(document);
    if (status) {
        matrix_map_free(*map);
        *map = NULL;
    }
    return status;
}
