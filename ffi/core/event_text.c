/* SPDX-License-Identifier: Apache-2.0 */
/* The record `event` as JSON text, for hosts that want to have it so. */
#include <string.h>

#include "event.h"

struct slice {
    const char *at;
    const char *end;
};

/* ---- finding slices in JSON that is known to be sound --------------------------------------- */

static const char *skip_space(const char *at) {
    while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t') {
        at++;
    }
    return at;
}

static const char *skip_string(const char *at) {
    for (at++; *at != '"'; at++) {
        at += *at == '\\';
    }
    return at + 1;
}

/* An object or a list. */
static const char *skip_nested(const char *at) {
    size_t depth = 0;

    do {
        if (*at == '"') {
            at = skip_string(at);
            continue;
        }
        depth += *at == '{' || *at == '[';
        depth -= *at == '}' || *at == ']';
        at++;
    } while (depth);
    return at;
}

static const char *skip_value(const char *at) {
    if (*at == '"') {
        return skip_string(at);
    }
    if (*at == '{' || *at == '[') {
        return skip_nested(at);
    }
    return at + strcspn(at, ",}] \n\r\t");
}

/* The text of the member of `text` that is `entry` of its map. */
static struct slice member(const char *text, const matrix_value *map, const matrix_entry *entry) {
    const char *at = skip_space(text) + 1;
    size_t index = (size_t)(entry - map->as.map.entries);
    struct slice slice;

    for (;; index--) {
        at = skip_space(skip_string(skip_space(at)));
        slice.at = skip_space(at + 1);
        slice.end = skip_value(slice.at);
        if (!index) {
            return slice;
        }
        at = skip_space(slice.end) + 1;
    }
}

static struct slice find(const char *text, const matrix_value *map, const char *key) {
    return member(text, map, core_last_member(map, key, strlen(key)));
}

static struct slice find_json(const struct event_source *source, const matrix_value *raw,
                              const char *key) {
    struct slice about;

    if (strcmp(key, "raw") == 0) {
        return (struct slice){source->text, source->text + source->size};
    }
    if (strcmp(key, "content") == 0) {
        return find(source->text, raw, key);
    }
    about = find(source->text, raw, "unsigned");
    return find(about.at, &core_last_member(raw, "unsigned", strlen("unsigned"))->value, key);
}

/* ---- writing -------------------------------------------------------------------------------- */

static bool is_json(const matrix_entry *entry) {
    return entry->value.type == MATRIX_TYPE_MAP || strcmp(entry->key, "prev_content") == 0;
}

void core_event_write(const struct event_source *source, const matrix_value *record,
                      struct buffer *buffer) {
    const matrix_value *raw = matrix_value_get(record, "raw");
    size_t index;

    for (index = 0; index < record->as.map.count; index++) {
        const matrix_entry *entry = &record->as.map.entries[index];
        buffer_literal(buffer, index ? ",\"" : "{\"");
        buffer_append(buffer, entry->key, entry->key_size);
        buffer_literal(buffer, "\":");
        if (is_json(entry)) {
            struct slice slice = find_json(source, raw, entry->key);
            buffer_append(buffer, slice.at, (size_t)(slice.end - slice.at));
        } else if (entry->value.type == MATRIX_TYPE_STRING) {
            buffer_string(buffer, entry->value.as.string.data, entry->value.as.string.size);
        } else if (entry->value.type == MATRIX_TYPE_INT) {
            buffer_integer(buffer, entry->value.as.integer);
        } else {
            buffer_literal(buffer, entry->value.as.boolean ? "true" : "false");
        }
    }
    buffer_literal(buffer, "}");
}
