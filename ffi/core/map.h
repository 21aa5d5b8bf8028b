/* SPDX-License-Identifier: Apache-2.0 */
/** matrix_map from the inside, and the checks of maps against the tables. */
#ifndef MATRIX_CORE_MAP_H
#define MATRIX_CORE_MAP_H

#include <matrix/matrix.h>

#include "json.h"
#include "tables.h"

#define CORE_REASON_SIZE 1024

/** One key with its value as JSON text, written and checked when it was set. */
struct map_entry {
    char *key; /* `json` follows in the same allocation */
    const char *json;
    size_t key_size;
    size_t json_size;
    matrix_type type;
    int depth; /* levels of lists and maps, at most CORE_MAX_DEPTH */
};

struct matrix_map {
    struct map_entry *entries;
    size_t count;
    size_t capacity; /* a power of two, or 0 */
    size_t *index;   /* numbers of entries, from 1, by their keys' hash; NULL while they are few */
    char error[CORE_REASON_SIZE];
};

/** Why a call is refused: "argument: what is wrong". */
struct reason {
    char text[CORE_REASON_SIZE];
};

/** Writes a reason; returns false so that checks can return it. */
bool core_reason(struct reason *reason, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Adds one of the names that were possible to a reason. */
void core_reason_known(struct reason *reason, const char *name);

/* map_index.c */

/** The entry under `key`, or NULL. */
const struct map_entry *core_map_find(const matrix_map *map, const char *key);
/** Makes room for more entries; false when memory is short. */
bool core_map_grow(matrix_map *map);
/** Lets an entry that is in its place, counted from 1, be found. */
void core_map_note(matrix_map *map, size_t number);

/* check.c */

/** The integer under `key`, or `fallback`. */
int64_t core_map_int(const matrix_map *map, const char *key, int64_t fallback);
/** Every key must be one of `required` or `optional` (either may be NULL), of its type; required
 * ones must be there. */
bool core_check_map(const matrix_map *map, const struct fields *required,
                    const struct fields *optional, struct reason *reason);
struct yyjson_val;
struct yyjson_doc;

/** Reads JSON text that a host gave; NULL with E_NO_MEMORY or E_INVALID_ARGUMENT in `*status`. */
struct yyjson_doc *core_read_json(const char *text, size_t size, matrix_status *status);

/** NULL when a value that was read is within the limits, else what is wrong with it. `*levels`
 * becomes how many lists and maps lie in each other. */
const char *core_wrong_value(struct yyjson_val *value, int *levels);
/** Whether an integer is within what its field says. */
bool core_check_range(const char *path, const struct field *field, int64_t value,
                      struct reason *reason);
/** JSON text given as argument `field`. */
bool core_check_text(const struct field *field, const char *text, size_t size,
                     struct reason *reason);
/** Appends `"key":value` for each entry that is not left out; `first` says whether no comma is due
 * yet. */
void core_map_write(const matrix_map *map, const struct fields *required,
                    const struct fields *optional, struct buffer *buffer, bool first);
/** The whole map as JSON text. */
void core_map_write_all(const matrix_map *map, struct buffer *buffer);

#endif
