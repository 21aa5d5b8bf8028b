/* SPDX-License-Identifier: Apache-2.0 */
/** Maps as plain structs. */
#ifndef MATRIX_CORE_RECORDS_H
#define MATRIX_CORE_RECORDS_H

#include <matrix/matrix.h>

#include "tables.h"

/**
 * The struct of `record`, filled from the map `value` into the memory of `reply`; the same value
 * gives the same pointer. NULL when `value` is NULL or no map, or when memory is short.
 */
const void *core_record(const matrix_reply *reply, const matrix_value *value,
                        const struct record *record);

#endif
