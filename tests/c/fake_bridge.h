/* SPDX-License-Identifier: Apache-2.0 */
/**
 * A runtime without Python, for tests of the core alone. What it does is told by the options of the
 * operations:
 *
 *     ping {payload}            gives it back at once; a delay_ms of 1000 or more is never over
 *     ping {progress_count: n}  n progress reports, then the result
 *     ping {host_call: name}    asks the host, gives the answer back
 *     sync_once {timeout_ms: n} n events to each subscription of the client, a mark, then the
 * result whoami                    fails with M_UNKNOWN_TOKEN logout                    the runtime
 * dies
 */
#ifndef FAKE_BRIDGE_H
#define FAKE_BRIDGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bridge.h"

/** What the core has said; each counts since the program began. */
struct fake_counts {
    atomic_int contexts;
    atomic_int closed_contexts;
    atomic_int clients;
    atomic_int closed_clients;
    atomic_int requests;
    atomic_int cancels;
    atomic_int subscriptions;
    atomic_int unsubscriptions;
    atomic_int consumed;
    atomic_int drained;
    atomic_int answers;
    atomic_int not_handled;
    atomic_int log_levels;
    atomic_int busy_turns;
    /* Blocks of frames that it gives, or gave, to the core. */
    atomic_int posts_begun;
    atomic_int posts;
};

extern struct fake_counts fake;

/** Set before the first context: the runtime takes nothing while this is true. */
extern atomic_bool fake_is_busy;
/** Set before the first context: contexts are never said to be closed. */
extern atomic_bool fake_is_stubborn;
/** The last message about a context, request or the like, as JSON text. */
extern char fake_last_body[4096];
/** The core, as it was given to the runtime. */
extern const struct matrix_bridge_core *fake_core;

/** Posts one frame. */
int fake_post(int kind, int flags, uint64_t context, uint64_t target, uint64_t extra,
              const char *json);
/** Adds one to a counter, for who waits in fake_reaches(). Takes no lock, so forks do no harm. */
void fake_count(atomic_int *counter);
/** Waits for a counter that fake_count() adds to; false when nothing was counted for 10 s. */
bool fake_reaches(atomic_int *counter, int wanted);

#endif
