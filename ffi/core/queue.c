/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the runtime posts. Everything is copied and sorted before a context's lock is taken: runs of
 * frames of one context become pieces (blocks for dispatch, log records, replies that are waited
 * for), and the pieces are then put into the context at once.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inbox.h"
#include "reply.h"
#include "runtime.h"

struct block *core_block_new(size_t size) {
    struct block *block = malloc(sizeof *block + size);

    if (block) {
        memset(block, 0, sizeof *block);
        atomic_init(&block->references, 1);
        block->size = size;
    }
    return block;
}

void core_block_release(struct block *block) {
    if (block && atomic_fetch_sub(&block->references, 1) == 1) {
        free(block);
    }
}

/* ---- the queue; with the context's lock held ------------------------------------------------ */

/* Whether a waiting thread is to be told. */
static bool set_due(struct context *context) {
    bool due = context->first || (context->first_log && context->on_log.callback);

    if (due != atomic_load_explicit(&context->due, memory_order_relaxed)) {
        atomic_store(&context->due, due);
    }
    return due && context->dispatching;
}

void core_update_due(struct context *context) {
    if (set_due(context)) {
        pthread_cond_broadcast(&context->due_changed);
    }
}

void core_enqueue(struct context *context, struct item *item, uint32_t frames) {
    item->next = NULL;
    item->sequence = context->sequence;
    context->sequence += frames;
    if (context->last) {
        context->last->next = item;
    } else {
        context->first = item;
    }
    context->last = item;
}

static void leave_client(struct request *request) {
    if (!request->client) {
        return;
    }
    *request->link = request->next;
    if (request->next) {
        request->next->link = request->link;
    }
    request->client = NULL;
}

void core_drop_calls(struct context *context, struct request *request) {
    while (request->calls) {
        struct call *call = request->calls;
        request->calls = call->next;
        free(handle_map_remove(&context->calls, call->id));
    }
}

void core_end_request(struct context *context, struct request *request,
                      const struct static_text *text) {
    leave_client(request);
    core_drop_calls(context, request);
    if (request->ended || request->parked) {
        return;
    }
    request->ended = text;
    if (request->callback) {
        request->item.kind = ITEM_ENDED;
        core_enqueue(context, &request->item, 1);
    } else {
        pthread_cond_broadcast(&context->parked_changed);
    }
}

void core_end_all_requests(struct context *context, const struct static_text *text) {
    size_t index;

    for (index = 0; index < context->requests.capacity; index++) {
        if (context->requests.entries[index].id) {
            core_end_request(context, context->requests.entries[index].value, text);
        }
    }
}

/* ---- pieces --------------------------------------------------------------------------------- */

/* What one frame, or a run of them, becomes. */
struct piece {
    struct piece *next;
    struct block *block;  /* frames for dispatch */
    struct block *record; /* or a log record */
    matrix_reply *reply;  /* or the reply to a request that is waited for */
    struct call *call;    /* of the one frame in `block`, when it is a question */
    size_t events;
    size_t event_bytes;
    bool has_progress;
};

static void *patient_malloc(size_t size) {
    void *memory = malloc(size);

    /* What the runtime has posted is never dropped; only the runtime waits. */
    while (!memory && !core_stopping()) {
        usleep(10000);
        memory = malloc(size);
    }
    return memory;
}

/* Whether a frame is a piece of its own. */
static bool is_alone(const struct matrix_frame *frame) {
    return frame->kind == MATRIX_FRAME_LOG || frame->kind == MATRIX_FRAME_CALL ||
           (frame->kind == MATRIX_FRAME_RESULT && handle_tag(frame->target) == TAG_WAITED_REQUEST);
}

static struct block *copy_frames(const char *start, size_t size, uint32_t frames) {
    struct block *block = patient_malloc(sizeof *block + size);

    if (block) {
        memset(block, 0, sizeof *block);
        atomic_init(&block->references, 1);
        block->item.kind = ITEM_BLOCK;
        block->size = size;
        block->frames = frames;
        memcpy(block->data, start, size);
    }
    return block;
}

static struct call *make_call(const struct matrix_frame *frame, const char *text) {
    struct call *call = patient_malloc(sizeof *call);
    struct arena arena = {0};
    matrix_value question;
    int64_t timeout_ms = 0;

    if (!call) {
        return NULL;
    }
    if (core_parse(&arena, text, frame->size, &question)) {
        timeout_ms = matrix_value_get_int(&question, "timeout_ms", 0);
    }
    arena_free(&arena);
    *call = (struct call){frame->target, frame->extra, NULL, core_now_us() + timeout_ms * 1000};
    return call;
}

static void make_reply(struct piece *piece, const struct matrix_frame *frame) {
    piece->reply = patient_malloc(sizeof *piece->reply);
    if (piece->reply) {
        core_reply_init(piece->reply);
        core_reply_set_frame(piece->reply, piece->block, frame, piece->block->data + sizeof *frame);
        piece->block = NULL;
    }
}

static void make_alone(struct piece *piece, const struct matrix_frame *frame, const char *start) {
    if (frame->kind == MATRIX_FRAME_LOG) {
        piece->record = core_log_block(frame, start + sizeof *frame);
        return;
    }
    piece->block = copy_frames(start, sizeof *frame + frame->size + 1, 1);
    if (piece->block && frame->kind == MATRIX_FRAME_CALL) {
        piece->call = make_call(frame, start + sizeof *frame);
    } else if (piece->block) {
        make_reply(piece, frame);
    }
}

static size_t count_events(const struct matrix_frame *frame) {
    if (frame->kind == MATRIX_FRAME_RUN) {
        return frame->extra;
    }
    return frame->kind == MATRIX_FRAME_EVENT;
}

/* One frame at `start`; false when there is no whole one. */
static bool read_frame(const char *start, const char *end, struct matrix_frame *frame) {
    if ((size_t)(end - start) <= sizeof *frame) {
        return false;
    }
    memcpy(frame, start, sizeof *frame);
    return (size_t)(end - start) > sizeof *frame + frame->size;
}

/* The next piece from `*start`, all of one context; NULL at the end. */
static struct piece *cut_piece(const char **start, const char *end, uint64_t *context) {
    const char *at = *start;
    struct piece *piece = NULL;
    struct matrix_frame frame;
    uint32_t frames = 0;

    while (read_frame(at, end, &frame) && (!frames || frame.context == *context)) {
        if (is_alone(&frame) && frames) {
            break;
        }
        if (!frames) {
            piece = patient_malloc(sizeof *piece);
            if (!piece) {
                return NULL;
            }
            memset(piece, 0, sizeof *piece);
            *context = frame.context;
        }
        frames++;
        at += sizeof frame + frame.size + 1;
        if (is_alone(&frame)) {
            make_alone(piece, &frame, *start);
            *start = at;
            return piece;
        }
        piece->events += count_events(&frame);
        piece->event_bytes += count_events(&frame) ? frame.size : 0;
        piece->has_progress |= frame.kind == MATRIX_FRAME_PROGRESS;
    }
    if (piece) {
        piece->block = copy_frames(*start, (size_t)(at - *start), frames);
    }
    *start = at;
    return piece;
}

static void free_piece(struct piece *piece) {
    core_block_release(piece->block);
    core_block_release(piece->record);
    matrix_reply_free(piece->reply);
    free(piece->call);
    free(piece);
}

/* ---- putting pieces into a context; with its lock held -------------------------------------- */

/* False when the question is void already: the request that asked has ended. */
static bool note_call(struct context *context, struct piece *piece) {
    uint64_t id = piece->call->asker;
    struct request *asker = handle_map_find(&context->requests, id);

    if (id && (!asker || asker->ended)) {
        return false;
    }
    if (!handle_map_insert(&context->calls, piece->call->id, piece->call)) {
        return false;
    }
    if (asker) {
        piece->call->next = asker->calls;
        asker->calls = piece->call;
    }
    piece->call = NULL;
    return true;
}

static void note_progress(struct context *context, const struct block *block) {
    const char *end = block->data + block->size;
    const char *at = block->data;
    struct matrix_frame frame;

    for (; read_frame(at, end, &frame); at += sizeof frame + frame.size + 1) {
        struct request *request = NULL;
        if (frame.kind == MATRIX_FRAME_PROGRESS) {
            request = handle_map_find(&context->requests, frame.target);
        }
        if (request) {
            request->progress_waiting++;
        }
    }
}

static void park(struct context *context, struct piece *piece) {
    struct request *request = handle_map_find(&context->requests, piece->reply->target);

    if (request && !request->ended && !request->parked) {
        request->parked = piece->reply;
        piece->reply = NULL;
        leave_client(request);
        core_drop_calls(context, request);
        pthread_cond_broadcast(&context->parked_changed);
    }
}

static void put_piece(struct context *context, struct piece *piece) {
    if (piece->reply) {
        park(context, piece);
    } else if (piece->record) {
        core_log_push(context, piece->record);
        piece->record = NULL;
    } else if (piece->block && (!piece->call || note_call(context, piece))) {
        if (piece->has_progress) {
            note_progress(context, piece->block);
        }
        context->events += piece->events;
        context->event_bytes += piece->event_bytes;
        core_enqueue(context, &piece->block->item, piece->block->frames);
        piece->block = NULL;
    }
}

static bool is_full(struct context *context) {
    bool full = context->events > context->limits.events ||
                context->event_bytes > context->limits.event_bytes;

    context->told_full |= full;
    return full;
}

/* Puts all pieces, which are of one context, and frees what is left of them. */
static bool put_pieces(uint64_t id, struct piece *pieces) {
    struct context *context = core_lock_context(id);
    bool full = false;
    bool events = false;
    struct piece *piece;

    for (piece = pieces; context && piece; piece = piece->next) {
        events |= piece->events > 0;
        put_piece(context, piece);
    }
    if (context) {
        bool is_awaited = set_due(context);
        full = events && is_full(context);
        pthread_mutex_unlock(&context->lock);
        if (is_awaited) {
            /* Told under the lock, it would wake up only to wait for that. */
            pthread_cond_broadcast(&context->due_changed);
        }
        core_wakeup(context);
    }
    while (pieces) {
        struct piece *next = pieces->next;
        free_piece(pieces);
        pieces = next;
    }
    return full;
}

int core_post(const void *frames, size_t size) {
    const char *start = frames;
    const char *end = start + size;
    struct piece *first = NULL;
    struct piece **last = &first;
    uint64_t context = 0;
    bool full = false;

    for (;;) {
        uint64_t next_context = context;
        struct piece *piece = cut_piece(&start, end, &next_context);
        if (first && (!piece || next_context != context)) {
            full |= put_pieces(context, first);
            first = NULL;
            last = &first;
        }
        if (!piece) {
            return full;
        }
        context = next_context;
        *last = piece;
        last = &piece->next;
    }
}

int core_is_full(uint64_t id) {
    struct context *context = core_lock_context(id);
    bool full;

    if (!context) {
        return 0;
    }
    full = is_full(context);
    pthread_mutex_unlock(&context->lock);
    return full;
}
