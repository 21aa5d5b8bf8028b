/* SPDX-License-Identifier: Apache-2.0 */
/**
 * Handles: numbers below 2^63 that are never used again. From the top: what it is (3 bits), the
 * slot of its context (12), and a serial number (48) that a slot counts on through all the contexts
 * it ever holds.
 */
#ifndef MATRIX_CORE_HANDLES_H
#define MATRIX_CORE_HANDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum handle_tag {
    TAG_CONTEXT = 1,
    TAG_CLIENT = 2,
    TAG_REQUEST = 3,        /* has a callback */
    TAG_WAITED_REQUEST = 4, /* has none: its reply is parked for matrix_wait() */
    TAG_SUBSCRIPTION = 5
};

#define HANDLE_SERIAL_BITS 48
#define HANDLE_SLOT_BITS 12
#define HANDLE_SLOTS (1u << HANDLE_SLOT_BITS)
#define HANDLE_MAX_SERIAL ((UINT64_C(1) << HANDLE_SERIAL_BITS) - 1)

static inline uint64_t handle_make(enum handle_tag tag, unsigned slot, uint64_t serial) {
    uint64_t place = (uint64_t)tag << HANDLE_SLOT_BITS | slot;
    return place << HANDLE_SERIAL_BITS | serial;
}

static inline unsigned handle_tag(uint64_t id) {
    return (unsigned)(id >> (HANDLE_SERIAL_BITS + HANDLE_SLOT_BITS));
}

static inline unsigned handle_slot(uint64_t id) {
    return (unsigned)(id >> HANDLE_SERIAL_BITS) & (HANDLE_SLOTS - 1);
}

static inline uint64_t handle_serial(uint64_t id) {
    return id & HANDLE_MAX_SERIAL;
}

/** From numbers to what they stand for, by open addressing. */
struct handle_map {
    struct handle_entry *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

struct handle_entry {
    uint64_t id; /* 0: free */
    void *value;
};

void *handle_map_find(const struct handle_map *map, uint64_t id);
/** False when memory is short. */
bool handle_map_insert(struct handle_map *map, uint64_t id, void *value);
/** Takes out and returns what was there, or NULL. */
void *handle_map_remove(struct handle_map *map, uint64_t id);
void handle_map_free(struct handle_map *map);

#endif
