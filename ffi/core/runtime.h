/* SPDX-License-Identifier: Apache-2.0 */
/** The runtime thread, and why there may be none. */
#ifndef MATRIX_CORE_RUNTIME_H
#define MATRIX_CORE_RUNTIME_H

#include <matrix/matrix.h>

#include "internal.h"

/** Whether this process is a forked child: every function then returns E_FORKED, before it takes
 * any lock. */
bool core_forked(void);
/** Starts the runtime thread unless it was started; MATRIX_OK or why not. */
matrix_status core_runtime_start(void);
/** Why the runtime does not answer, or NULL. */
const struct static_text *core_runtime_failure(void);
/** The failure as a log record, or NULL. */
struct block *core_runtime_failure_record(void);
bool core_stopping(void);

/* conflict.c */

/** What Python the process has besides ours. */
enum python_found {
    PYTHON_NONE,
    PYTHON_HOST,    /* the process is Python of our version */
    PYTHON_CONFLICT /* `message` names both files */
};

enum python_found core_find_python(const char *own_library, char *message, size_t size);

#endif
