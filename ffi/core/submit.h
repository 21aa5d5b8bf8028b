/* SPDX-License-Identifier: Apache-2.0 */
/** The one way by which every operation enters: arguments checked by the tables, then one message
 * to the runtime. */
#ifndef MATRIX_CORE_SUBMIT_H
#define MATRIX_CORE_SUBMIT_H

#include <matrix/matrix.h>

#include "tables.h"

/** One positional argument, as the generated functions pass it. */
union core_argument {
    bool boolean;
    int64_t integer; /* FIELD_INT, and FIELD_ENUM counted from 1 */
    double number;
    const char *string; /* FIELD_STRING; JSON text of a FIELD_JSON or FIELD_LIST */
    struct {
        const void *data;
        size_t size;
    } bytes;
    const matrix_map *map; /* FIELD_RECORD */
};

/**
 * Submits `operation` with its positional arguments, one for each of operation->arguments (NULL:
 * none). With `arguments` NULL the map may hold positional arguments too, and must hold them all:
 * that is matrix_submit().
 */
matrix_status core_submit(matrix_client client, const struct operation *operation,
                          const union core_argument *arguments, matrix_map *options,
                          matrix_callback callback, void *user_data, matrix_request *request);

#endif
