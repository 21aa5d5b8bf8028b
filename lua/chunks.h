/* SPDX-License-Identifier: Apache-2.0 */
/** The Lua half of the module, compiled in by the build: one entry for each lua/ *.lua. */
#ifndef MATRIX_LUA_CHUNKS_H
#define MATRIX_LUA_CHUNKS_H

#include <stddef.h>

struct matrix_chunk {
    const char *name; /* the file's name without .lua or .gen.lua; NULL ends the list */
    const char *source;
    size_t size;
};

extern const struct matrix_chunk matrix_chunks[];

#endif
