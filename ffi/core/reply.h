/* SPDX-License-Identifier: Apache-2.0 */
/** matrix_reply from the inside. */
#ifndef MATRIX_CORE_REPLY_H
#define MATRIX_CORE_REPLY_H

#include "event.h"

struct matrix_reply {
    atomic_uint references;
    matrix_reply_kind kind;
    bool ok;
    bool parsed;
    bool text_given; /* somebody has a pointer to `text` */
    uint64_t target;
    const char *text; /* in `block`, in `copy`, or static */
    size_t size;
    struct block *block;
    char *copy;
    char *event_copy;           /* what `source` points to, once the block has gone */
    struct event_source source; /* of an event that came in a run: `text` is made from it */
    matrix_value value;
    struct arena arena;
};

void core_reply_init(matrix_reply *reply);
/** An empty reply, or NULL. */
matrix_reply *core_reply_new(void);
/** Makes a reply that nobody else holds empty again. */
void core_reply_reset(matrix_reply *reply);
/** Points a reply at one frame of `block`, taking over one reference. */
void core_reply_set_frame(matrix_reply *reply, struct block *block,
                          const struct matrix_frame *frame, const char *text);
/** Points a reply at one event of a run in `block`, taking over one reference. */
void core_reply_set_event(matrix_reply *reply, struct block *block,
                          const struct event_source *source, uint64_t target);
/** Makes a reply the end of a request by the core itself. */
void core_reply_set_ended(matrix_reply *reply, const struct request *request);
/** Lets go of a large block that only a small part of is needed from. */
void core_reply_detach(matrix_reply *reply);

#endif
