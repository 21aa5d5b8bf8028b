/* SPDX-License-Identifier: Apache-2.0 */
/** The end of contexts. */
#ifndef MATRIX_CORE_CONTEXT_H
#define MATRIX_CORE_CONTEXT_H

#include "internal.h"

/** Frees all that a context holds and gives its slot back; releases its lock, which must be held.
 */
void core_context_free(struct context *context);
/** Closes the fd and removes the wakeup callback. Call with no lock held. */
void core_context_close_fd(struct context *context);

#endif
