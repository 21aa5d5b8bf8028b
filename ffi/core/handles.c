/* SPDX-License-Identifier: Apache-2.0 */
#include "handles.h"

#include <stdlib.h>

#define FIRST_CAPACITY 64

/* Serials follow each other: spread out, or they would be one long row that every removal has to
 * walk along. */
static size_t home_of(const struct handle_map *map, uint64_t id) {
    return (size_t)(id * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (map->capacity - 1);
}

/* Where `id` is, or the free place where it would go. */
static struct handle_entry *place_of(const struct handle_map *map, uint64_t id) {
    size_t at = home_of(map, id);

    while (map->entries[at].id && map->entries[at].id != id) {
        at = (at + 1) & (map->capacity - 1);
    }
    return &map->entries[at];
}

void *handle_map_find(const struct handle_map *map, uint64_t id) {
    if (!map->count || !id) {
        return NULL;
    }
    return place_of(map, id)->value;
}

static bool grow(struct handle_map *map) {
    size_t capacity = map->capacity ? map->capacity * 2 : FIRST_CAPACITY;
    struct handle_map larger = {calloc(capacity, sizeof *larger.entries), capacity, map->count};
    size_t index;

    if (!larger.entries) {
        return false;
    }
    for (index = 0; index < map->capacity; index++) {
        if (map->entries[index].id) {
            *place_of(&larger, map->entries[index].id) = map->entries[index];
        }
    }
    free(map->entries);
    *map = larger;
    return true;
}

bool handle_map_insert(struct handle_map *map, uint64_t id, void *value) {
    struct handle_entry *place;

    if (map->count >= map->capacity / 2 && !grow(map)) {
        return false;
    }
    place = place_of(map, id);
    map->count += place->id ? 0 : 1;
    *place = (struct handle_entry){id, value};
    return true;
}

void *handle_map_remove(struct handle_map *map, uint64_t id) {
    struct handle_entry *hole = map->count ? place_of(map, id) : NULL;
    size_t mask = map->capacity - 1;
    size_t at;
    void *value;

    if (!hole || !hole->id) {
        return NULL;
    }
    value = hole->value;
    /* Entries behind the hole move up when it lies between their home and their place. */
    for (at = (size_t)(hole - map->entries); map->entries[at = (at + 1) & mask].id;) {
        size_t hole_at = (size_t)(hole - map->entries);
        size_t home = home_of(map, map->entries[at].id);
        if (((at - home) & mask) >= ((at - hole_at) & mask)) {
            *hole = map->entries[at];
            hole = &map->entries[at];
        }
    }
    *hole = (struct handle_entry){0};
    map->count--;
    return value;
}

void handle_map_free(struct handle_map *map) {
    free(map->entries);
    *map = (struct handle_map){0};
}
