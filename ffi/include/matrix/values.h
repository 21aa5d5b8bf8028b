/* SPDX-License-Identifier: Apache-2.0 */
/** JSON in both directions: read-only values that come out, maps that go in. */
#ifndef MATRIX_VALUES_H
#define MATRIX_VALUES_H

#ifndef MATRIX_MATRIX_H
#error "include <matrix/matrix.h>"
#endif

/* ---- values: what comes out ----------------------------------------------------------------- */

typedef enum matrix_type {
    MATRIX_TYPE_NULL = 0,
    MATRIX_TYPE_BOOL = 1,
    MATRIX_TYPE_INT = 2,
    MATRIX_TYPE_DOUBLE = 3,
    MATRIX_TYPE_STRING = 4,
    MATRIX_TYPE_LIST = 5,
    MATRIX_TYPE_MAP = 6
} matrix_type;

struct matrix_entry;

/** One read-only JSON value. Do not touch the union when the type is one you do not know. */
typedef struct matrix_value {
    matrix_type type;
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct {
            const char *data; /**< UTF-8, NUL-terminated; may hold NULs of its own */
            size_t size;      /**< bytes, without the final NUL */
        } string;
        struct {
            const struct matrix_value *items;
            size_t count;
        } list;
        struct {
            const struct matrix_entry *entries; /**< in the order of the JSON text */
            size_t count;
        } map;
    } as;
} matrix_value;

/** One key of a map. */
typedef struct matrix_entry {
    const char *key;
    size_t key_size; /**< bytes */
    matrix_value value;
} matrix_entry;

/** The value under `key`; NULL when `map` is NULL, no map, or has no such key. */
MATRIX_API const matrix_value *matrix_value_get(const matrix_value *map, const char *key);
/** The item at `index` from 0; NULL when `list` is NULL, no list, or shorter. */
MATRIX_API const matrix_value *matrix_value_at(const matrix_value *list, size_t index);
/** How many items or entries; 0 for everything that is neither list nor map. */
MATRIX_API size_t matrix_value_count(const matrix_value *value);
/** The string under `key`, or `fallback` when it is missing or no string. */
MATRIX_API const char *matrix_value_get_string(const matrix_value *map, const char *key,
                                               const char *fallback);
/** The integer under `key`, or `fallback` when it is missing or no integer. */
MATRIX_API int64_t matrix_value_get_int(const matrix_value *map, const char *key, int64_t fallback);
/** The number under `key` (an integer counts), or `fallback` when it is missing or no number. */
MATRIX_API double matrix_value_get_double(const matrix_value *map, const char *key,
                                          double fallback);
/** The bool under `key`, or `fallback` when it is missing or no bool. */
MATRIX_API bool matrix_value_get_bool(const matrix_value *map, const char *key, bool fallback);

/* ---- maps: what goes in --------------------------------------------------------------------- */

/** Options, event content and other maps, filled by key. Not to be used by two threads at once. */
typedef struct matrix_map matrix_map;

/** An empty map, or NULL when memory is short. Free it with matrix_map_free(). */
MATRIX_API matrix_map *matrix_map_new(void);
/** Reads a JSON object of `size` bytes. E_INVALID_ARGUMENT when it is none; `*map` is then NULL. */
MATRIX_API matrix_status matrix_map_from_json(const char *json, size_t size, matrix_map **map);
/** Frees `map` and all in it. */
MATRIX_API void matrix_map_free(matrix_map *map);
/** Setters copy what they are given and replace what the key held. Keys and strings are UTF-8;
 * lists and maps lie at most 128 deep in each other. */
MATRIX_API matrix_status matrix_map_set_null(matrix_map *map, const char *key);
MATRIX_API matrix_status matrix_map_set_bool(matrix_map *map, const char *key, bool value);
MATRIX_API matrix_status matrix_map_set_int(matrix_map *map, const char *key, int64_t value);
/** E_INVALID_ARGUMENT when `value` is not finite. */
MATRIX_API matrix_status matrix_map_set_double(matrix_map *map, const char *key, double value);
MATRIX_API matrix_status matrix_map_set_string(matrix_map *map, const char *key, const char *value);
/** A string with its size in bytes, which may hold NULs. */
MATRIX_API matrix_status matrix_map_set_text(matrix_map *map, const char *key, const char *data,
                                             size_t size);
/** A list of `count` strings, as user ids. */
MATRIX_API matrix_status matrix_map_set_strings(matrix_map *map, const char *key,
                                                const char *const *strings, size_t count);
/** Any JSON value as text of `size` bytes; this is how other lists and nested values are set. */
MATRIX_API matrix_status matrix_map_set_json(matrix_map *map, const char *key, const char *json,
                                             size_t size);
/** A copy of `value` as it is now. */
MATRIX_API matrix_status matrix_map_set_map(matrix_map *map, const char *key,
                                            const matrix_map *value);
/**
 * Why the last call that was given this map refused it, naming the argument or key; "" when it did
 * not. Valid until the map is used again or freed.
 */
MATRIX_API const char *matrix_map_error(const matrix_map *map);

#endif
