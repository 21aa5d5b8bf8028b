/* SPDX-License-Identifier: Apache-2.0 */
/** The end of contexts. */
#ifndef MATRIX_CORE_CONTEXT_H
#define MATRIX_CORE_CONTEXT_H

#include "internal.h"

/** Frees all that a context holds, gives its slot back and releases its lock, held till then. */
void core_context_free(struct context *context);
/** Removes the wakeup callback; waits while it runs on another thread. Call without locks. */
void core_context_drop_wakeup(struct context *context);
/** Closes the fd and removes the wakeup callback. Call with no lock held. */
void core_context_close_fd(struct context *context);

#endif
