/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding a key in a map: one after the other while they are few, then by open addressing. Nothing
 * is ever taken out of a map.
 */
#include <stdlib.h>
#include <string.h>

#include "map.h"

#define FIRST_CAPACITY 8
#define INDEXED_FROM 32 /* entries there is room for */

static bool is_key(const struct map_entry *entry, const char *key, size_t size) {
    return entry->key_size == size && memcmp(entry->key, key, size) == 0;
}

/* Where the number of the entry is, or the free place where it would go. */
static size_t *place_of(const matrix_map *map, const char *key, size_t size) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    size_t mask = map->capacity * 2 - 1;
    size_t at;

    for (at = 0; at < size; at++) {
        hash = (hash ^ (unsigned char)key[at]) * UINT64_C(0x100000001b3);
    }
    at = (size_t)(hash ^ hash >> 32) & mask;
    while (map->index[at] && !is_key(&map->entries[map->index[at] - 1], key, size)) {
        at = (at + 1) & mask;
    }
    return &map->index[at];
}

const struct map_entry *core_map_find(const matrix_map *map, const char *key) {
    size_t size = strlen(key);
    size_t index;

    if (map && map->index) {
        size_t number = *place_of(map, key, size);
        return number ? &map->entries[number - 1] : NULL;
    }
    for (index = 0; map && index < map->count; index++) {
        if (is_key(&map->entries[index], key, size)) {
            return &map->entries[index];
        }
    }
    return NULL;
}

void core_map_note(matrix_map *map, size_t number) {
    const struct map_entry *entry = &map->entries[number - 1];

    if (map->index) {
        *place_of(map, entry->key, entry->key_size) = number;
    }
}

bool core_map_grow(matrix_map *map) {
    size_t capacity = map->capacity ? map->capacity * 2 : FIRST_CAPACITY;
    bool is_indexed = capacity >= INDEXED_FROM;
    size_t *index = is_indexed ? calloc(capacity * 2, sizeof *index) : NULL;
    struct map_entry *entries =
        is_indexed && !index ? NULL : realloc(map->entries, capacity * sizeof *entries);
    size_t number;

    if (!entries) {
        free(index);
        return false;
    }
    free(map->index);
    map->index = index;
    map->entries = entries;
    map->capacity = capacity;
    for (number = 1; number <= map->count; number++) {
        core_map_note(map, number);
    }
    return true;
}
