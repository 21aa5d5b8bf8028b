/* SPDX-License-Identifier: Apache-2.0 */
/** Messages to the runtime, in the order of the calls. */
#ifndef MATRIX_CORE_INBOX_H
#define MATRIX_CORE_INBOX_H

#include "internal.h"

/** Whether a message counts against max_request_bytes, or must get through. */
enum inbox_bound { INBOX_BOUNDED, INBOX_ALWAYS };

/** Makes the fd the runtime waits on. E_TOO_MANY_FILES or E_NO_MEMORY when it cannot. */
matrix_status core_inbox_open(void);
int core_inbox_fd(void);
/** Begins a message; what follows is its body, then core_message_end(). `name` needs no escaping.
 */
void core_message_begin(struct buffer *buffer, const char *kind, uint64_t context, uint64_t client,
                        uint64_t target, const char *name);
void core_message_end(struct buffer *buffer);
/**
 * Adds a message; call with the context's lock held. A large one is taken over from `buffer`.
 * `*wake` becomes true when core_inbox_wake() must follow once the lock is released. Refuses with
 * E_TOO_LARGE, E_QUEUE_FULL or E_NO_MEMORY.
 */
matrix_status core_inbox_add(struct context *context, struct buffer *buffer, enum inbox_bound bound,
                             bool *wake);
/** A message without a body worth speaking of. */
void core_inbox_note(struct context *context, const char *kind, uint64_t client, uint64_t target,
                     const char *name, bool *wake);
void core_inbox_wake(void);
/** A new context begins: what the one before it in the slot has sent counts for nobody. Call with
 * the context's lock held. */
void core_inbox_begin(struct context *context);
/** What bridge.h calls `take`. */
size_t core_inbox_take(const char **json);
/** Nobody will take any more: drops what is there and what comes. */
void core_inbox_close(void);

#endif
