/* SPDX-License-Identifier: Apache-2.0 */
/** The record `event`, made from an event's own JSON text when a host first asks for it. */
#ifndef MATRIX_CORE_EVENT_H
#define MATRIX_CORE_EVENT_H

#include "internal.h"

/** An event that was delivered, and what it does not say itself. */
struct event_source {
    const char *kind; /* NULL: no event */
    const char *room_id;
    size_t room_id_size;
    const char *user_id;
    size_t user_id_size;
    const char *text; /* JSON that the runtime has found sound */
    size_t size;
    bool is_historic;
    bool is_filled;
};

/** The record as a map, all memory from `arena`; `content` is the very map that is in `raw`.
 * False when memory is short or the text is no event. */
bool core_event_value(struct arena *arena, const struct event_source *source, matrix_value *record);

/** Writes the record, as core_event_value() made it, as JSON text; what is JSON in it is copied as
 * it came. */
void core_event_write(const struct event_source *source, const matrix_value *record,
                      struct buffer *buffer);

#endif
