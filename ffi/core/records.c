/* SPDX-License-Identifier: Apache-2.0 */
#include "records.h"

#include <string.h>

#include "reply.h"
#include "tables.gen.h"

struct cached_record {
    struct cached_record *next;
    const struct record *record;
    void *data;
};

static void set_number(char *base, const struct field *field, const matrix_value *value) {
    bool given = true;

    if (field->type == FIELD_BOOL && value->type == MATRIX_TYPE_BOOL) {
        memcpy(base + field->offset, &value->as.boolean, sizeof value->as.boolean);
    } else if (field->type == FIELD_INT && value->type == MATRIX_TYPE_INT) {
        memcpy(base + field->offset, &value->as.integer, sizeof value->as.integer);
    } else if (field->type == FIELD_DOUBLE && value->type == MATRIX_TYPE_DOUBLE) {
        memcpy(base + field->offset, &value->as.number, sizeof value->as.number);
    } else if (field->type == FIELD_DOUBLE && value->type == MATRIX_TYPE_INT) {
        double number = (double)value->as.integer;
        memcpy(base + field->offset, &number, sizeof number);
    } else {
        given = false;
    }
    if (field->has_offset != SIZE_MAX) {
        memcpy(base + field->has_offset, &given, sizeof given);
    }
}

static void set_enum(char *base, const struct field *field, const matrix_value *value) {
    int number = 0;
    size_t index;

    for (index = 0; value->type == MATRIX_TYPE_STRING && index < field->enumeration->count;
         index++) {
        if (strcmp(field->enumeration->values[index], value->as.string.data) == 0) {
            number = (int)index + 1;
        }
    }
    memcpy(base + field->offset, &number, sizeof number);
}

static void set_member(char *base, const struct field *field, const matrix_value *value) {
    switch (field->type) {
    case FIELD_BOOL:
    case FIELD_INT:
    case FIELD_DOUBLE:
        set_number(base, field, value);
        break;
    case FIELD_ENUM:
        set_enum(base, field, value);
        break;
    case FIELD_STRING:
    case FIELD_BYTES:
        if (value->type == MATRIX_TYPE_STRING) {
            memcpy(base + field->offset, &value->as.string.data, sizeof value->as.string.data);
        }
        break;
    default:
        memcpy(base + field->offset, &value, sizeof value);
        break;
    }
}

/* The member `name`; looked for from `*next` on, as members mostly come in the record's order. */
static const matrix_value *find_member(const matrix_value *map, const char *name, size_t *next) {
    size_t count = map->as.map.count;
    size_t size = strlen(name);
    size_t tries;

    for (tries = 0; tries < count; tries++) {
        size_t index = *next + tries < count ? *next + tries : *next + tries - count;
        const matrix_entry *entry = &map->as.map.entries[index];
        if (entry->key_size == size && memcmp(entry->key, name, size) == 0) {
            *next = index + 1 < count ? index + 1 : 0;
            return &entry->value;
        }
    }
    return NULL;
}

static void *fill(struct arena *arena, const matrix_value *value, const struct record *record) {
    char *base = arena_take(arena, record->size);
    size_t next = 0;
    size_t index;

    if (!base) {
        return NULL;
    }
    memset(base, 0, record->size);
    for (index = 0; index < record->fields.count; index++) {
        const struct field *field = &record->fields.items[index];
        const matrix_value *member = find_member(value, field->name, &next);
        if (member) {
            set_member(base, field, member);
        }
    }
    if (record == &matrix_record_error) {
        matrix_error *error = (matrix_error *)(void *)base;
        error->status = error->code ? core_status_of(error->code) : MATRIX_E_INTERNAL;
    }
    return base;
}

const void *core_record(const matrix_reply *reply, const matrix_value *value,
                        const struct record *record) {
    matrix_reply *own = (matrix_reply *)(uintptr_t)reply; /* it belongs to one thread at a time */
    struct map_header *header;
    struct cached_record *cached;

    if (!reply || !value || value->type != MATRIX_TYPE_MAP) {
        return NULL;
    }
    header = core_map_header(value);
    for (cached = header ? header->records : NULL; cached; cached = cached->next) {
        if (cached->record == record) {
            return cached->data;
        }
    }
    cached = arena_take(&own->arena, sizeof *cached);
    if (!cached) {
        return NULL;
    }
    *cached = (struct cached_record){NULL, record, fill(&own->arena, value, record)};
    if (header && cached->data) {
        cached->next = header->records;
        header->records = cached;
    }
    return cached->data;
}
