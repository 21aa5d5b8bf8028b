/* SPDX-License-Identifier: Apache-2.0 */
/** Taking what is due out of a context, one frame at a time. */
#ifndef MATRIX_CORE_DISPATCH_H
#define MATRIX_CORE_DISPATCH_H

#include "reply.h"

/** What a step found. */
enum step {
    STEP_NOTHING,  /* nothing is due */
    STEP_INTERNAL, /* something was dealt with that no callback is for */
    STEP_CALLBACK  /* `hook` is to be run with the reply */
};

struct delivery {
    struct hook hook;
    matrix_reply *reply;     /* filled by a step that found a callback */
    struct request *request; /* to be freed once the lock is released */
    struct block *block;     /* to be released once the lock is released */
    bool wake;               /* the runtime is to be woken */
};

/** Takes the next frame that was posted before sequence number `until`. Call with the context's
 * lock held. */
enum step core_take_step(struct context *context, uint64_t until, struct delivery *delivery);
/** Wakes the runtime if a step asks for that, once; without the lock. */
void core_tell_runtime(struct delivery *delivery);
/** Does all that a step left to be done without the lock. */
void core_after_step(struct delivery *delivery);
/** Runs what was due when it was called; returns how many callbacks ran. Called and left with the
 * lock held. */
int core_run_due(struct context *context, int budget_us);
/** Waits until something is due or `deadline` (NULL: none) has passed. Called and left with the
 * lock held. */
bool core_wait_due(struct context *context, const struct timespec *deadline);
/** Makes the calling thread the one that dispatches; the context comes back locked, or NULL with
 * `*status`. */
struct context *core_begin_dispatch(uint64_t id, matrix_status *status);
/** Ends it and releases the lock. */
void core_end_dispatch(struct context *context);

#endif
