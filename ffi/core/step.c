/* SPDX-License-Identifier: Apache-2.0 */
/* One frame: who is it for, and is that one still there? */
#include <stdlib.h>
#include <string.h>

#include "dispatch.h"
#include "inbox.h"

/* ---- taking frames off the queue ------------------------------------------------------------ */

static void pop_item(struct context *context) {
    context->first = context->first->next;
    if (!context->first) {
        context->last = NULL;
    }
}

/* Reads the next frame of the first block. The block in `delivery` then holds a reference of its
 * own. */
static const char *pop_frame(struct context *context, struct matrix_frame *frame,
                             struct delivery *delivery) {
    struct block *block = (struct block *)(void *)context->first;
    const char *text;

    memcpy(frame, block->data + block->read, sizeof *frame);
    text = block->data + block->read + sizeof *frame;
    block->read += sizeof *frame + frame->size + 1;
    block->item.sequence++;
    if (block->read == block->size) {
        pop_item(context); /* the queue's reference is now ours */
    } else {
        atomic_fetch_add_explicit(&block->references, 1, memory_order_relaxed);
    }
    delivery->block = block;
    return text;
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

static void find_event(struct context *context, const struct matrix_frame *frame,
                       struct delivery *delivery) {
    const struct subscription *subscription =
        handle_map_find(&context->subscriptions, frame->target);

    context->events--;
    context->event_bytes -= frame->size;
    if (context->told_full && context->events <= context->limits.events &&
        context->event_bytes <= context->limits.event_bytes) {
        context->told_full = false;
        core_inbox_note(context, "drained", 0, 0, "", &delivery->wake);
    }
    if (subscription) {
        delivery->hook = (struct hook){subscription->callback, subscription->user_data};
    }
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
    const char *text = pop_frame(context, &frame, delivery);

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

void core_after_step(struct delivery *delivery) {
    core_block_release(delivery->block);
    free(delivery->request);
    if (delivery->wake) {
        core_inbox_wake();
    }
}
