/* SPDX-License-Identifier: Apache-2.0 */
/* One frame: who is it for, and is that one still there? */
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "inbox.h"
#include "run.h"

/* ---- taking frames off the queue ------------------------------------------------------------ */

static void pop_item(struct context *context) {
    context->first = context->first->next;
    if (!context->first) {
        context->last = NULL;
    }
}

/* The next frame of the first block, and its payload. */
static const char *peek_frame(const struct context *context, struct matrix_frame *frame) {
    const struct block *block = (const struct block *)(const void *)context->first;

    memcpy(frame, block->data + block->read, sizeof *frame);
    return block->data + block->read + sizeof *frame;
}

/* The block in `delivery` then holds a reference of its own. */
static void hold_block(struct context *context, struct delivery *delivery) {
    delivery->block = (struct block *)(void *)context->first;
    atomic_fetch_add_explicit(&delivery->block->references, 1, memory_order_relaxed);
}

/* Passes the frame; holds its block as well. */
static void pop_frame(struct context *context, const struct matrix_frame *frame,
                      struct delivery *delivery) {
    struct block *block = (struct block *)(void *)context->first;

    block->read += sizeof *frame + frame->size + 1;
    block->place = (struct run_place){0};
    block->item.sequence++;
    if (block->read == block->size) {
        delivery->block = block;
        pop_item(context); /* the queue's reference is now ours */
    } else {
        hold_block(context, delivery);
    }
}

/* Hands the frame to the callback in delivery->hook, if there is one. */
static enum step deliver(struct delivery *delivery, const struct matrix_frame *frame,
                         const char *text) {
    if (!delivery->hook.callback) {
        return STEP_INTERNAL;
    }
    core_reply_set_frame(delivery->reply, delivery->block, frame, text);
    delivery->block = NULL;
    return STEP_CALLBACK;
}

/* ---- the kinds of frames -------------------------------------------------------------------- */

static void close_request(struct context *context, struct request *request,
                          struct delivery *delivery) {
    handle_map_remove(&context->requests, request->id);
    core_drop_calls(context, request);
    if (request->client) {
        *request->link = request->next;
        if (request->next) {
            request->next->link = request->link;
        }
    }
    delivery->hook = (struct hook){request->callback, request->user_data};
    delivery->request = request;
}

static void find_result(struct context *context, const struct matrix_frame *frame,
                        struct delivery *delivery) {
    struct request *request = handle_map_find(&context->requests, frame->target);

    if (request && !request->ended) {
        close_request(context, request, delivery);
    }
}

static void find_progress(struct context *context, const struct matrix_frame *frame,
                          struct delivery *delivery) {
    struct request *request = handle_map_find(&context->requests, frame->target);

    if (!request) {
        return;
    }
    request->progress_waiting--;
    if (!request->ended && request->progress_waiting == 0) {
        delivery->hook = (struct hook){request->progress, request->progress_data};
    }
}

/* So much of the queue does not count any more. */
static void note_taken(struct context *context, size_t events, size_t bytes,
                       struct delivery *delivery) {
    context->events -= events;
    context->event_bytes -= bytes;
    if (context->told_full && context->events <= context->limits.events &&
        context->event_bytes <= context->limits.event_bytes) {
        context->told_full = false;
        core_inbox_note(context, "drained", 0, 0, "", &delivery->wake);
    }
}

static void find_event(struct context *context, const struct matrix_frame *frame,
                       struct delivery *delivery) {
    const struct subscription *subscription =
        handle_map_find(&context->subscriptions, frame->target);

    note_taken(context, 1, frame->size, delivery);
    if (subscription) {
        delivery->hook = (struct hook){subscription->callback, subscription->user_data};
    }
}

/* One event of a run. */
static enum step step_run(struct context *context, const struct matrix_frame *frame,
                          const char *payload, struct delivery *delivery) {
    struct block *block = (struct block *)(void *)context->first;
    uint64_t left = frame->extra - block->place.delivered;
    const struct subscription *subscription = NULL;
    struct run_event event;
    enum run_state state = core_run_next(frame, payload, &block->place, &event);

    note_taken(context, state == RUN_MORE ? 1 : left, event.taken, delivery);
    if (state == RUN_MORE) {
        hold_block(context, delivery);
    } else {
        pop_frame(context, frame, delivery);
    }
    if (state != RUN_BROKEN) {
        subscription = handle_map_find(&context->subscriptions, event.target);
    }
    if (!subscription) {
        return STEP_INTERNAL;
    }
    delivery->hook = (struct hook){subscription->callback, subscription->user_data};
    event.source.kind = subscription->kind;
    core_reply_set_event(delivery->reply, delivery->block, &event.source, event.target);
    delivery->block = NULL;
    return STEP_CALLBACK;
}

static void find_call(struct context *context, const struct matrix_frame *frame,
                      struct delivery *delivery) {
    if (!handle_map_find(&context->calls, frame->target)) {
        return;
    }
    if (context->on_call.callback) {
        delivery->hook = context->on_call;
        return;
    }
    core_forget_call(context, frame->target);
    core_inbox_note(context, "respond", 0, frame->target, "E_NOT_HANDLED", &delivery->wake);
}

static enum step step_block(struct context *context, struct delivery *delivery) {
    struct matrix_frame frame;
    const char *text = peek_frame(context, &frame);

    if (frame.kind == MATRIX_FRAME_RUN) {
        return step_run(context, &frame, text, delivery);
    }
    pop_frame(context, &frame, delivery);
    switch (frame.kind) {
    case MATRIX_FRAME_RESULT:
        find_result(context, &frame, delivery);
        break;
    case MATRIX_FRAME_PROGRESS:
        find_progress(context, &frame, delivery);
        break;
    case MATRIX_FRAME_EVENT:
        find_event(context, &frame, delivery);
        break;
    case MATRIX_FRAME_CALL:
        find_call(context, &frame, delivery);
        break;
    case MATRIX_FRAME_MARK:
        /* Every callback before it has returned. */
        core_inbox_note(context, "consumed", frame.target, frame.extra, "", &delivery->wake);
        break;
    case MATRIX_FRAME_CLOSED:
        context->closed = true;
        break;
    default:
        break;
    }
    return deliver(delivery, &frame, text);
}

static enum step step_ended(struct context *context, struct delivery *delivery) {
    struct request *request = (struct request *)(void *)context->first;

    pop_item(context);
    close_request(context, request, delivery);
    core_reply_set_ended(delivery->reply, request);
    return STEP_CALLBACK;
}

static enum step step_log(struct context *context, struct delivery *delivery) {
    struct block *record = context->first_log;
    struct matrix_frame frame;

    context->first_log = (struct block *)(void *)record->item.next;
    if (!context->first_log) {
        context->last_log = NULL;
    }
    context->logs--;
    delivery->block = record;
    core_log_finish(record);
    memcpy(&frame, record->data, sizeof frame);
    if (frame.flags >= context->log_level) {
        delivery->hook = context->on_log;
    }
    return deliver(delivery, &frame, record->data + sizeof frame);
}

/* ---- the next one --------------------------------------------------------------------------- */

static bool log_is_next(const struct context *context) {
    if (!context->first_log || !context->on_log.callback) {
        return false;
    }
    return !context->first || context->first_log->item.sequence < context->first->sequence;
}

static bool queue_is_next(const struct context *context, uint64_t until) {
    return context->first && context->first->sequence < until;
}

enum step core_take_step(struct context *context, uint64_t until, struct delivery *delivery) {
    enum step step = STEP_NOTHING;

    delivery->hook = (struct hook){0};
    delivery->request = NULL;
    delivery->block = NULL;
    delivery->wake = false;
    if (log_is_next(context)) {
        if (context->first_log->item.sequence < until) {
            step = step_log(context, delivery);
        }
    } else if (queue_is_next(context, until)) {
        step = context->first->kind == ITEM_BLOCK ? step_block(context, delivery)
                                                  : step_ended(context, delivery);
    }
    if (step != STEP_NOTHING) {
        core_update_due(context);
    }
    return step;
}

void core_tell_runtime(struct delivery *delivery) {
    if (delivery->wake) {
        delivery->wake = false;
        core_inbox_wake();
    }
}

void core_after_step(struct delivery *delivery) {
    core_block_release(delivery->block);
    free(delivery->request);
    core_tell_runtime(delivery);
}
