/* SPDX-License-Identifier: Apache-2.0 */
/** Runs: events of one room that the runtime posts as one frame; bridge.h has the layout. */
#ifndef MATRIX_CORE_RUN_H
#define MATRIX_CORE_RUN_H

#include "event.h"

enum run_state {
    RUN_BROKEN, /* not what bridge.h says: nothing of it is left */
    RUN_MORE,
    RUN_LAST /* this delivery was the last one */
};

struct run_event {
    uint64_t target;
    struct event_source source; /* but for its kind, which the subscription tells */
    size_t taken;               /* bytes of the frame that are done with from here on */
};

/** The delivery at `place`, which is moved on. `payload` must stay as long as what is found. */
enum run_state core_run_next(const struct matrix_frame *frame, const char *payload,
                             struct run_place *place, struct run_event *found);

#endif
