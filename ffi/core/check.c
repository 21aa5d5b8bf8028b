/* SPDX-License-Identifier: Apache-2.0 */
/* Maps and JSON text against the tables. */
#include "map.h"
#include "utf8.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

static const char *const type_names[] = {
    [FIELD_BOOL] = "a bool",     [FIELD_INT] = "an integer",    [FIELD_DOUBLE] = "a number",
    [FIELD_STRING] = "a string", [FIELD_BYTES] = "base64 text", [FIELD_JSON] = "JSON",
    [FIELD_ENUM] = "a string",   [FIELD_RECORD] = "a map",      [FIELD_LIST] = "a list",
};

/* A reason may quote what a host gave, and cut it: what then is no UTF-8 becomes question marks. */
static void mend_utf8(char *text) {
    size_t size = strlen(text);
    size_t at = 0;

    while (at < size) {
        size_t length = (unsigned char)text[at] < 0x80 ? 1 : utf8_sequence(text + at, size - at);
        if (!length) {
            text[at] = '?';
            length = 1;
        }
        at += length;
    }
}

bool core_reason(struct reason *reason, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(reason->text, sizeof reason->text, format, arguments);
    va_end(arguments);
    mend_utf8(reason->text);
    return false;
}

void core_reason_known(struct reason *reason, const char *name) {
    size_t used = strlen(reason->text);
    const char *before = strstr(reason->text, "; known are ") ? ", " : "; known are ";

    snprintf(reason->text + used, sizeof reason->text - used, "%s%s", before, name);
}

static const char *wrong_value(yyjson_val *value, int depth, int *levels) {
    const char *wrong = NULL;
    yyjson_val *item;
    yyjson_val *key;
    size_t index;
    size_t max;

    if (yyjson_is_raw(value) || (yyjson_is_uint(value) && yyjson_get_uint(value) > INT64_MAX)) {
        return "has a number beyond 64 bits";
    }
    if (yyjson_is_ctn(value) && depth >= CORE_MAX_DEPTH) {
        return "is nested too deeply";
    }
    if (yyjson_is_ctn(value) && depth >= *levels) {
        *levels = depth + 1;
    }
    if (yyjson_is_arr(value)) {
        yyjson_arr_foreach(value, index, max, item) {
            wrong = wrong ? wrong : wrong_value(item, depth + 1, levels);
        }
    } else if (yyjson_is_obj(value)) {
        yyjson_obj_foreach(value, index, max, key, item) {
            wrong = wrong ? wrong : wrong_value(item, depth + 1, levels);
        }
    }
    return wrong;
}

const char *core_wrong_value(yyjson_val *value, int *levels) {
    *levels = 0;
    return wrong_value(value, 0, levels);
}

/* ---- values --------------------------------------------------------------------------------- */

static bool check_value(const char *path, const struct field *field, enum field_type type,
                        yyjson_val *value, struct reason *reason);

static bool wrong_enum(const char *path, const struct enumeration *enumeration,
                       struct reason *reason) {
    char values[160] = "";
    size_t used = 0;
    size_t index;

    for (index = 0; index < enumeration->count && used < sizeof values; index++) {
        used += (size_t)snprintf(values + used, sizeof values - used, "%s%s", index ? ", " : "",
                                 enumeration->values[index]);
    }
    return core_reason(reason, "%s: must be one of %s", path, values);
}

static bool is_in_enum(const struct enumeration *enumeration, const char *text, size_t size) {
    size_t index;

    for (index = 0; index < enumeration->count; index++) {
        const char *value = enumeration->values[index];
        if (strlen(value) == size && memcmp(value, text, size) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_base64(const char *text, size_t size) {
    size_t padding = 0;
    size_t index;

    while (padding < 2 && padding < size && text[size - 1 - padding] == '=') {
        padding++;
    }
    for (index = 0; index < size - padding; index++) {
        char letter = text[index];
        if (!((letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z') ||
              (letter >= '0' && letter <= '9') || letter == '+' || letter == '/')) {
            return false;
        }
    }
    return size % 4 == 0;
}

static bool check_record(const char *path, const struct record *record, yyjson_val *map,
                         struct reason *reason) {
    char inner[CORE_REASON_SIZE];
    size_t index;

    for (index = 0; index < record->fields.count; index++) {
        const struct field *field = &record->fields.items[index];
        yyjson_val *value = yyjson_obj_getn(map, field->name, strlen(field->name));
        snprintf(inner, sizeof inner, "%.200s.%.40s", path, field->name);
        if (!value || (yyjson_is_null(value) && field->type != FIELD_JSON)) {
            if (field->required) {
                return core_reason(reason, "%s: is missing", inner);
            }
        } else if (!check_value(inner, field, field->type, value, reason)) {
            return false;
        }
    }
    return true;
}

static bool check_list(const char *path, const struct field *field, yyjson_val *list,
                       struct reason *reason) {
    char inner[CORE_REASON_SIZE];
    yyjson_val *item;
    size_t index;
    size_t max;

    yyjson_arr_foreach(list, index, max, item) {
        snprintf(inner, sizeof inner, "%.200s[%zu]", path, index);
        if (!check_value(inner, field, field->item, item, reason)) {
            return false;
        }
    }
    return true;
}

bool core_check_range(const char *path, const struct field *field, int64_t value,
                      struct reason *reason) {
    if (value >= field->least && value <= field->most) {
        return true;
    }
    if (field->most == INT64_MAX) {
        return core_reason(reason, "%s: must be at least %" PRId64, path, field->least);
    }
    if (field->least == INT64_MIN) {
        return core_reason(reason, "%s: must be at most %" PRId64, path, field->most);
    }
    return core_reason(reason, "%s: must be from %" PRId64 " to %" PRId64, path, field->least,
                       field->most);
}

static bool has_type(enum field_type type, yyjson_val *value) {
    switch (type) {
    case FIELD_BOOL:
        return yyjson_is_bool(value);
    case FIELD_INT:
        return yyjson_is_int(value);
    case FIELD_DOUBLE:
        return yyjson_is_num(value);
    case FIELD_STRING:
    case FIELD_ENUM:
        return yyjson_is_str(value);
    case FIELD_BYTES:
        return yyjson_is_str(value) && is_base64(yyjson_get_str(value), yyjson_get_len(value));
    case FIELD_RECORD:
        return yyjson_is_obj(value);
    case FIELD_LIST:
        return yyjson_is_arr(value);
    default:
        return true;
    }
}

static bool check_value(const char *path, const struct field *field, enum field_type type,
                        yyjson_val *value, struct reason *reason) {
    if (!has_type(type, value)) {
        return core_reason(reason, "%s: must be %s", path, type_names[type]);
    }
    if (type == FIELD_INT) {
        return core_check_range(path, field, yyjson_get_sint(value), reason);
    }
    if (type == FIELD_ENUM &&
        !is_in_enum(field->enumeration, yyjson_get_str(value), yyjson_get_len(value))) {
        return wrong_enum(path, field->enumeration, reason);
    }
    if (type == FIELD_RECORD && field->record) {
        return check_record(path, field->record, value, reason);
    }
    if (type == FIELD_LIST) {
        return check_list(path, field, value, reason);
    }
    return true;
}

yyjson_doc *core_read_json(const char *text, size_t size, matrix_status *status) {
    /* Numbers that do not fit stay text, so that core_wrong_value() sees them. Nothing is written
     * to the text: that is only so with YYJSON_READ_INSITU. */
    char *unchanged = (char *)(uintptr_t)text;
    yyjson_read_err error;
    yyjson_doc *document =
        yyjson_read_opts(unchanged, size, YYJSON_READ_BIGNUM_AS_RAW, NULL, &error);

    *status = MATRIX_OK;
    if (!document) {
        *status = error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? MATRIX_E_NO_MEMORY
                                                                    : MATRIX_E_INVALID_ARGUMENT;
    }
    return document;
}

bool core_check_text(const struct field *field, const char *text, size_t size,
                     struct reason *reason) {
    matrix_status status;
    yyjson_doc *document = core_read_json(text, size, &status);
    const char *wrong;
    int levels;
    bool valid;

    if (!document) {
        return core_reason(reason, "%s: %s", field->name,
                           status == MATRIX_E_NO_MEMORY ? "memory is short" : "is not valid JSON");
    }
    wrong = core_wrong_value(yyjson_doc_get_root(document), &levels);
    valid =
        wrong ? core_reason(reason, "%s: %s", field->name, wrong)
              : check_value(field->name, field, field->type, yyjson_doc_get_root(document), reason);
    yyjson_doc_free(document);
    return valid;
}

/* ---- maps ----------------------------------------------------------------------------------- */

static const struct field *find_field(const struct fields *fields, const struct map_entry *entry) {
    size_t index;

    for (index = 0; fields && index < fields->count; index++) {
        const char *name = fields->items[index].name;
        if (strlen(name) == entry->key_size && memcmp(name, entry->key, entry->key_size) == 0) {
            return &fields->items[index];
        }
    }
    return NULL;
}

/* An optional key that holds null is as good as not there. */
static bool is_absent(const struct field *field, const struct map_entry *entry) {
    return entry->type == MATRIX_TYPE_NULL && field->type != FIELD_JSON;
}

static bool check_entry(const struct field *field, const struct map_entry *entry,
                        struct reason *reason) {
    switch (field->type) {
    case FIELD_JSON:
        return true;
    case FIELD_BOOL:
        return entry->type == MATRIX_TYPE_BOOL ||
               core_reason(reason, "%s: must be a bool", field->name);
    case FIELD_INT:
        if (entry->type != MATRIX_TYPE_INT) {
            return core_reason(reason, "%s: must be an integer", field->name);
        }
        return core_check_range(field->name, field, strtoll(entry->json, NULL, 10), reason);
    case FIELD_STRING:
        return entry->type == MATRIX_TYPE_STRING ||
               core_reason(reason, "%s: must be a string", field->name);
    default:
        return core_check_text(field, entry->json, entry->json_size, reason);
    }
}

static bool check_required(const matrix_map *map, const struct fields *fields,
                           struct reason *reason) {
    size_t index;

    for (index = 0; fields && index < fields->count; index++) {
        const struct field *field = &fields->items[index];
        const struct map_entry *entry = core_map_find(map, field->name);
        if (field->required && (!entry || is_absent(field, entry))) {
            return core_reason(reason, "%s: is missing", field->name);
        }
    }
    return true;
}

static bool unknown_key(const char *key, const struct fields *required,
                        const struct fields *optional, struct reason *reason) {
    const struct fields *const all[] = {required, optional};

    core_reason(reason, "%.200s: is not a known key", key);
    for (size_t table = 0; table < 2; table++) {
        for (size_t index = 0; all[table] && index < all[table]->count; index++) {
            core_reason_known(reason, all[table]->items[index].name);
        }
    }
    return false;
}

bool core_check_map(const matrix_map *map, const struct fields *required,
                    const struct fields *optional, struct reason *reason) {
    size_t index;

    for (index = 0; map && index < map->count; index++) {
        const struct map_entry *entry = &map->entries[index];
        const struct field *field = find_field(required, entry);
        field = field ? field : find_field(optional, entry);
        if (!field) {
            return unknown_key(entry->key, required, optional, reason);
        }
        if (!is_absent(field, entry) && !check_entry(field, entry, reason)) {
            return false;
        }
    }
    return check_required(map, required, reason) && check_required(map, optional, reason);
}

static void write_entry(const struct map_entry *entry, struct buffer *buffer, bool *first) {
    if (!*first) {
        buffer_append(buffer, ",", 1);
    }
    *first = false;
    buffer_string(buffer, entry->key, entry->key_size);
    buffer_append(buffer, ":", 1);
    buffer_append(buffer, entry->json, entry->json_size);
}

void core_map_write(const matrix_map *map, const struct fields *required,
                    const struct fields *optional, struct buffer *buffer, bool first) {
    size_t index;

    for (index = 0; map && index < map->count; index++) {
        const struct map_entry *entry = &map->entries[index];
        const struct field *field = find_field(required, entry);
        field = field ? field : find_field(optional, entry);
        if (!field || !is_absent(field, entry)) {
            write_entry(entry, buffer, &first);
        }
    }
}

void core_map_write_all(const matrix_map *map, struct buffer *buffer) {
    bool first = true;
    size_t index;

    buffer_append(buffer, "{", 1);
    for (index = 0; map && index < map->count; index++) {
        write_entry(&map->entries[index], buffer, &first);
    }
    buffer_append(buffer, "}", 1);
}

int64_t core_map_int(const matrix_map *map, const char *key, int64_t fallback) {
    const struct map_entry *entry = core_map_find(map, key);
    return entry && entry->type == MATRIX_TYPE_INT ? strtoll(entry->json, NULL, 10) : fallback;
}
