/* SPDX-License-Identifier: Apache-2.0 */
/** JSON both ways: writing messages into buffers, and reading payloads into values. */
#ifndef MATRIX_CORE_JSON_H
#define MATRIX_CORE_JSON_H

#include <matrix/matrix.h>

/** Deeper nesting is refused on the way in and unreadable on the way out. */
#define CORE_MAX_DEPTH 128

/* ---- writing -------------------------------------------------------------------------------- */

/** Memory that a buffer outgrew into; the inbox takes large ones over as they are. */
struct chunk {
    struct chunk *next;
    size_t used;
    size_t capacity;
    char data[];
};

/** Text under construction: in the struct itself while it is short. */
struct buffer {
    char *data;
    size_t used;
    size_t capacity;
    struct chunk *chunk; /* NULL while in `local` */
    bool no_memory;      /* sticky: what was written since is lost */
    char local[1024];
};

void buffer_init(struct buffer *buffer);
void buffer_free(struct buffer *buffer);
/** Room for `size` more bytes at the returned place, or NULL; the caller adds to `used`. */
char *buffer_reserve(struct buffer *buffer, size_t size);
void buffer_append(struct buffer *buffer, const char *data, size_t size);
void buffer_literal(struct buffer *buffer, const char *text);
void buffer_unsigned(struct buffer *buffer, uint64_t number);
void buffer_integer(struct buffer *buffer, int64_t number);
/** `number` must be finite. Independent of the locale. */
void buffer_double(struct buffer *buffer, double number);
/** Quoted and escaped. False when it is not UTF-8; the buffer is then of no use. */
bool buffer_string(struct buffer *buffer, const char *data, size_t size);
/** As a quoted string of base64. */
void buffer_base64(struct buffer *buffer, const void *data, size_t size);
/** Whether `size` bytes are valid UTF-8. */
bool core_is_utf8(const char *data, size_t size);

/* ---- reading -------------------------------------------------------------------------------- */

/** Memory that is given out in pieces and freed in one go. */
struct arena {
    struct arena_chunk *chunks;
    char *next;
    size_t left;
};

/** `size` bytes for any type, or NULL. */
void *arena_take(struct arena *arena, size_t size);
/** Frees all pieces but keeps one chunk for the next use. */
void arena_reset(struct arena *arena);
void arena_free(struct arena *arena);

/** In front of the entries of each map that core_parse() makes: the structs that were made from it.
 */
struct map_header {
    _Alignas(16) struct cached_record *records;
};

/** The header of a map, or NULL for one that core_parse() did not make. */
struct map_header *core_map_header(const matrix_value *map);

/** The last entry of that key, which is the one that counts for the runtime; NULL when there is
 * none, or `map` is NULL or no map. */
const matrix_entry *core_last_member(const matrix_value *map, const char *key, size_t size);

/** Reads JSON text into `root`, all memory from `arena`. False when it is not JSON or too deep. */
bool core_parse(struct arena *arena, const char *text, size_t size, matrix_value *root);

#endif
