/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <string.h>

/* Where the parts of a payload are. */
struct run {
    struct matrix_run head;
    const char *deliveries;
    const char *sizes;
    const char *room_id;
    const char *user_id;
    const char *texts;
};

static uint32_t size_at(const struct run *run, uint32_t event) {
    uint32_t size;

    memcpy(&size, run->sizes + (size_t)event * sizeof size, sizeof size);
    return size;
}

/* False when the parts do not fit; all sums are of 32-bit numbers. */
static bool locate(const char *payload, size_t size, struct run *run) {
    uint64_t fixed;

    if (size < sizeof run->head) {
        return false;
    }
    memcpy(&run->head, payload, sizeof run->head);
    fixed = sizeof run->head + (uint64_t)run->head.deliveries * sizeof(struct matrix_delivery) +
            (uint64_t)run->head.events * sizeof(uint32_t) + run->head.room_id_size +
            run->head.user_id_size + 2;
    run->deliveries = payload + sizeof run->head;
    run->sizes = run->deliveries + (size_t)run->head.deliveries * sizeof(struct matrix_delivery);
    run->room_id = run->sizes + (size_t)run->head.events * sizeof(uint32_t);
    run->user_id = run->room_id + run->head.room_id_size + 1;
    run->texts = run->user_id + run->head.user_id_size + 1;
    return fixed <= size && run->head.deliveries;
}

/* Whether the texts fill the rest; looked at once. */
static bool is_whole(const struct run *run, const char *payload, size_t size) {
    uint64_t texts = (uint64_t)(run->texts - payload);
    uint32_t event;

    for (event = 0; event < run->head.events; event++) {
        texts += size_at(run, event);
    }
    return texts == size && !run->user_id[-1] && !run->texts[-1];
}

/* Goes on to the event of a delivery; `taken` are the bytes of those that are new. */
static bool move(const struct run *run, struct run_place *place, uint64_t event, size_t *taken) {
    *taken = place->delivered ? 0 : size_at(run, 0);
    if (event < place->event || event >= run->head.events) {
        return false;
    }
    while (place->event < event) {
        place->offset += size_at(run, place->event++);
        *taken += size_at(run, place->event);
    }
    return true;
}

enum run_state core_run_next(const struct matrix_frame *frame, const char *payload,
                             struct run_place *place, struct run_event *found) {
    struct matrix_delivery delivery;
    struct run run;
    bool is_sound = locate(payload, frame->size, &run);

    found->taken = frame->size - place->taken;
    if (!is_sound || (!place->delivered && !is_whole(&run, payload, frame->size))) {
        return RUN_BROKEN;
    }
    memcpy(&delivery, run.deliveries + place->delivered * sizeof delivery, sizeof delivery);
    if (!run.head.events || !move(&run, place, delivery.event, &found->taken)) {
        found->taken = frame->size - place->taken;
        return RUN_BROKEN;
    }
    found->target = delivery.target;
    found->source = (struct event_source){
        .room_id = run.room_id,
        .room_id_size = run.head.room_id_size,
        .user_id = run.user_id,
        .user_id_size = run.head.user_id_size,
        .text = run.texts + place->offset,
        .size = size_at(&run, place->event),
        .is_historic = frame->flags & MATRIX_FRAME_HISTORIC,
        .is_filled = frame->flags & MATRIX_FRAME_FILLED,
    };
    if (++place->delivered == run.head.deliveries) {
        found->taken = frame->size - place->taken;
        return RUN_LAST;
    }
    place->taken += found->taken;
    return RUN_MORE;
}
