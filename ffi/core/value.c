/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#define CHUNK_SIZE 8192 /* enough for most events */
#define KEPT_SIZE 65536

struct arena_chunk {
    struct arena_chunk *next;
    size_t size;
    alignas(max_align_t) char data[];
};

void *arena_take(struct arena *arena, size_t size) {
    size_t rounded = (size + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    char *place;

    if (rounded < size) {
        return NULL;
    }
    if (arena->left < rounded) {
        size_t chunk_size = rounded > CHUNK_SIZE ? rounded : CHUNK_SIZE;
        struct arena_chunk *chunk = malloc(sizeof *chunk + chunk_size);
        if (!chunk) {
            return NULL;
        }
        chunk->next = arena->chunks;
        chunk->size = chunk_size;
        arena->chunks = chunk;
        arena->next = chunk->data;
        arena->left = chunk_size;
    }
    place = arena->next;
    arena->next += rounded;
    arena->left -= rounded;
    return place;
}

static void free_chunks(struct arena_chunk *chunk) {
    while (chunk) {
        struct arena_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

void arena_reset(struct arena *arena) {
    struct arena_chunk *kept = arena->chunks;

    if (!kept) {
        return;
    }
    if (kept->size > KEPT_SIZE) {
        arena_free(arena);
        return;
    }
    free_chunks(kept->next);
    kept->next = NULL;
    arena->next = kept->data;
    arena->left = kept->size;
}

void arena_free(struct arena *arena) {
    free_chunks(arena->chunks);
    *arena = (struct arena){0};
}

static bool convert(struct arena *arena, yyjson_val *from, matrix_value *to, int depth);

static bool convert_list(struct arena *arena, yyjson_val *from, matrix_value *to, int depth) {
    size_t count = yyjson_arr_size(from);
    matrix_value *items = arena_take(arena, count * sizeof *items);
    yyjson_val *item;
    size_t index;
    size_t max;

    if (!items) {
        return false;
    }
    yyjson_arr_foreach(from, index, max, item) {
        if (!convert(arena, item, &items[index], depth)) {
            return false;
        }
    }
    to->type = MATRIX_TYPE_LIST;
    to->as.list.items = items;
    to->as.list.count = count;
    return true;
}

static bool convert_map(struct arena *arena, yyjson_val *from, matrix_value *to, int depth) {
    size_t count = yyjson_obj_size(from);
    struct map_header *header = arena_take(arena, sizeof *header + count * sizeof(matrix_entry));
    matrix_entry *entries = header ? (matrix_entry *)(void *)(header + 1) : NULL;
    yyjson_val *key;
    yyjson_val *item;
    size_t index;
    size_t max;

    if (!header) {
        return false;
    }
    header->records = NULL;
    yyjson_obj_foreach(from, index, max, key, item) {
        entries[index].key = yyjson_get_str(key);
        entries[index].key_size = yyjson_get_len(key);
        if (!convert(arena, item, &entries[index].value, depth)) {
            return false;
        }
    }
    to->type = MATRIX_TYPE_MAP;
    to->as.map.entries = entries;
    to->as.map.count = count;
    return true;
}

static void convert_number(yyjson_val *from, matrix_value *to) {
    if (yyjson_is_sint(from) || (yyjson_is_uint(from) && yyjson_get_uint(from) <= INT64_MAX)) {
        to->type = MATRIX_TYPE_INT;
        to->as.integer = yyjson_get_sint(from);
        return;
    }
    to->type = MATRIX_TYPE_DOUBLE;
    to->as.number = yyjson_get_num(from);
}

static bool convert(struct arena *arena, yyjson_val *from, matrix_value *to, int depth) {
    switch (yyjson_get_type(from)) {
    case YYJSON_TYPE_ARR:
        return depth < CORE_MAX_DEPTH && convert_list(arena, from, to, depth + 1);
    case YYJSON_TYPE_OBJ:
        return depth < CORE_MAX_DEPTH && convert_map(arena, from, to, depth + 1);
    case YYJSON_TYPE_NUM:
        convert_number(from, to);
        return true;
    case YYJSON_TYPE_STR:
        to->type = MATRIX_TYPE_STRING;
        to->as.string.data = yyjson_get_str(from);
        to->as.string.size = yyjson_get_len(from);
        return true;
    case YYJSON_TYPE_BOOL:
        to->type = MATRIX_TYPE_BOOL;
        to->as.boolean = yyjson_get_bool(from);
        return true;
    default:
        to->type = MATRIX_TYPE_NULL;
        to->as.integer = 0;
        return true;
    }
}

struct map_header *core_map_header(const matrix_value *map) {
    char *entries = (char *)(uintptr_t)map->as.map.entries;
    return entries ? (struct map_header *)(void *)(entries - sizeof(struct map_header)) : NULL;
}

/* yyjson's own memory comes from the arena too, and goes with it. */
static void *document_malloc(void *arena, size_t size) {
    return arena_take(arena, size);
}

static void *document_realloc(void *arena, void *old, size_t old_size, size_t size) {
    void *place = size > old_size ? arena_take(arena, size) : old;

    if (place && place != old) {
        memcpy(place, old, old_size);
    }
    return place;
}

static void document_free(void *arena, void *place) {
    (void)arena;
    (void)place;
}

bool core_parse(struct arena *arena, const char *text, size_t size, matrix_value *root) {
    char *copy = arena_take(arena, size + YYJSON_PADDING_SIZE);
    yyjson_alc memory = {document_malloc, document_realloc, document_free, arena};
    yyjson_doc *document;

    if (!copy) {
        return false;
    }
    memcpy(copy, text, size);
    memset(copy + size, 0, YYJSON_PADDING_SIZE);
    /* In place: strings stay in `copy`. */
    document = yyjson_read_opts(copy, size, YYJSON_READ_INSITU, &memory, NULL);
    return document && convert(arena, yyjson_doc_get_root(document), root, 0);
}

const matrix_entry *core_last_member(const matrix_value *map, const char *key, size_t size) {
    size_t index = map && map->type == MATRIX_TYPE_MAP ? map->as.map.count : 0;

    while (index--) {
        const matrix_entry *entry = &map->as.map.entries[index];
        if (entry->key_size == size && memcmp(entry->key, key, size) == 0) {
            return entry;
        }
    }
    return NULL;
}

/* ---- the getters of matrix.h ---------------------------------------------------------------- */

const matrix_value *matrix_value_get(const matrix_value *map, const char *key) {
    size_t size;
    size_t index;

    if (!map || !key || map->type != MATRIX_TYPE_MAP) {
        return NULL;
    }
    size = strlen(key);
    for (index = 0; index < map->as.map.count; index++) {
        const matrix_entry *entry = &map->as.map.entries[index];
        if (entry->key_size == size && memcmp(entry->key, key, size) == 0) {
            return &entry->value;
        }
    }
    return NULL;
}

const matrix_value *matrix_value_at(const matrix_value *list, size_t index) {
    if (!list || list->type != MATRIX_TYPE_LIST || index >= list->as.list.count) {
        return NULL;
    }
    return &list->as.list.items[index];
}

size_t matrix_value_count(const matrix_value *value) {
    if (value && value->type == MATRIX_TYPE_LIST) {
        return value->as.list.count;
    }
    if (value && value->type == MATRIX_TYPE_MAP) {
        return value->as.map.count;
    }
    return 0;
}

const char *matrix_value_get_string(const matrix_value *map, const char *key,
                                    const char *fallback) {
    const matrix_value *value = matrix_value_get(map, key);
    return value && value->type == MATRIX_TYPE_STRING ? value->as.string.data : fallback;
}

int64_t matrix_value_get_int(const matrix_value *map, const char *key, int64_t fallback) {
    const matrix_value *value = matrix_value_get(map, key);
    return value && value->type == MATRIX_TYPE_INT ? value->as.integer : fallback;
}

double matrix_value_get_double(const matrix_value *map, const char *key, double fallback) {
    const matrix_value *value = matrix_value_get(map, key);

    if (value && value->type == MATRIX_TYPE_INT) {
        return (double)value->as.integer;
    }
    return value && value->type == MATRIX_TYPE_DOUBLE ? value->as.number : fallback;
}

bool matrix_value_get_bool(const matrix_value *map, const char *key, bool fallback) {
    const matrix_value *value = matrix_value_get(map, key);
    return value && value->type == MATRIX_TYPE_BOOL ? value->as.boolean : fallback;
}
