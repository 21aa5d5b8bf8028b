/* SPDX-License-Identifier: Apache-2.0 */
#include "reply.h"

#include <stdlib.h>
#include <string.h>

#include "records.h"
#include "tables.gen.h"

#define LARGE_BLOCK 16384

void core_reply_init(matrix_reply *reply) {
    memset(reply, 0, sizeof *reply);
    atomic_init(&reply->references, 1);
    reply->text = "";
}

matrix_reply *core_reply_new(void) {
    matrix_reply *reply = malloc(sizeof *reply);

    if (reply) {
        core_reply_init(reply);
    }
    return reply;
}

void core_reply_reset(matrix_reply *reply) {
    core_block_release(reply->block);
    free(reply->copy);
    free(reply->event_copy);
    arena_reset(&reply->arena);
    reply->block = NULL;
    reply->copy = NULL;
    reply->event_copy = NULL;
    reply->parsed = false;
    reply->text_given = false;
    reply->text = "";
    reply->size = 0;
    reply->source.kind = NULL;
    reply->target = 0;
}

void core_reply_set_frame(matrix_reply *reply, struct block *block,
                          const struct matrix_frame *frame, const char *text) {
    /* The numbers of the first five kinds of frames are those of the kinds of replies. */
    reply->kind = (matrix_reply_kind)frame->kind;
    reply->ok = frame->kind != MATRIX_FRAME_RESULT || (frame->flags & MATRIX_FRAME_OK);
    reply->target = frame->target;
    reply->text = text;
    reply->size = frame->size;
    reply->block = block;
}

void core_reply_set_event(matrix_reply *reply, struct block *block,
                          const struct event_source *source, uint64_t target) {
    reply->kind = MATRIX_REPLY_EVENT;
    reply->ok = true;
    reply->target = target;
    reply->source = *source;
    reply->block = block;
}

void core_reply_set_ended(matrix_reply *reply, const struct request *request) {
    reply->kind = MATRIX_REPLY_RESULT;
    reply->ok = false;
    reply->target = request->id;
    reply->text = request->ended->data;
    reply->size = request->ended->size;
}

static char *copy_text(const char **text, size_t size, char *to) {
    memcpy(to, *text, size);
    to[size] = 0;
    *text = to;
    return to + size + 1;
}

/* One place for all that the block held of an event. */
static void detach_event(matrix_reply *reply) {
    struct event_source *source = &reply->source;
    char *copy = malloc(source->room_id_size + source->user_id_size + source->size + 3);
    char *to = copy;

    if (copy) {
        to = copy_text(&source->room_id, source->room_id_size, to);
        to = copy_text(&source->user_id, source->user_id_size, to);
        copy_text(&source->text, source->size, to);
        core_block_release(reply->block);
        reply->block = NULL;
        reply->event_copy = copy;
    }
}

void core_reply_detach(matrix_reply *reply) {
    char *copy;

    if (reply->block && reply->source.kind) {
        if (reply->block->size >= LARGE_BLOCK && reply->source.size <= reply->block->size / 4) {
            detach_event(reply);
        }
        return;
    }
    if (!reply->block || reply->text_given || reply->block->size < LARGE_BLOCK ||
        reply->size > reply->block->size / 4) {
        return;
    }
    copy = malloc(reply->size + 1);
    if (!copy) {
        return;
    }
    memcpy(copy, reply->text, reply->size + 1);
    core_block_release(reply->block);
    reply->block = NULL;
    reply->copy = copy;
    reply->text = copy;
}

/* ---- matrix.h ------------------------------------------------------------------------------- */

matrix_reply_kind matrix_reply_get_kind(const matrix_reply *reply) {
    return reply ? reply->kind : (matrix_reply_kind)0;
}

bool matrix_reply_ok(const matrix_reply *reply) {
    return reply && reply->ok;
}

/* What is read from a reply is made on first use; it belongs to one thread at a time. */
static matrix_reply *writable(const matrix_reply *reply) {
    return (matrix_reply *)reply;
}

const matrix_value *matrix_reply_value(const matrix_reply *reply) {
    static const matrix_value empty = {.type = MATRIX_TYPE_MAP};
    matrix_reply *own = writable(reply);

    if (!reply) {
        return &empty;
    }
    if (!reply->parsed) {
        own->parsed = true;
        if (reply->source.kind ? !core_event_value(&own->arena, &reply->source, &own->value)
                               : !core_parse(&own->arena, reply->text, reply->size, &own->value)) {
            own->value = empty;
        }
    }
    return reply->value.type == MATRIX_TYPE_MAP ? &reply->value : &empty;
}

const matrix_error *matrix_reply_error(const matrix_reply *reply) {
    static const matrix_error unreadable = {
        .status = MATRIX_E_INTERNAL, .code = "E_INTERNAL", .message = "the error cannot be read"};
    static const matrix_error none = {.status = MATRIX_E_INVALID_ARGUMENT,
                                      .code = "E_INVALID_ARGUMENT",
                                      .message = "there is no reply: the call was refused "
                                                 "(its map and the log say why)"};
    const matrix_error *error;

    if (!reply) {
        return &none;
    }
    if (reply->ok) {
        return NULL;
    }
    error = core_record(reply, matrix_reply_value(reply), &matrix_record_error);
    return error && error->code && error->message ? error : &unreadable;
}

/* The text of an event that came without one. */
static void make_text(matrix_reply *reply) {
    const matrix_value *record = matrix_reply_value(reply);
    struct buffer buffer;

    buffer_init(&buffer);
    if (record->as.map.count) {
        core_event_write(&reply->source, record, &buffer);
    }
    reply->copy = buffer.no_memory ? NULL : malloc(buffer.used + 1);
    if (reply->copy) {
        memcpy(reply->copy, buffer.data, buffer.used);
        reply->copy[buffer.used] = 0;
        reply->text = reply->copy;
        reply->size = buffer.used;
    }
    buffer_free(&buffer);
}

const char *matrix_reply_json(const matrix_reply *reply, size_t *size) {
    if (reply && reply->source.kind && !reply->copy) {
        make_text(writable(reply));
    }
    if (!reply || reply->size == 0) {
        if (size) {
            *size = strlen("{}");
        }
        return "{}";
    }
    if (size) {
        *size = reply->size;
    }
    writable(reply)->text_given = true;
    return reply->text;
}

static bool is_about_request(const matrix_reply *reply) {
    return reply && (reply->kind == MATRIX_REPLY_RESULT || reply->kind == MATRIX_REPLY_PROGRESS);
}

matrix_request matrix_reply_request(const matrix_reply *reply) {
    return (matrix_request){is_about_request(reply) ? reply->target : 0};
}

matrix_subscription matrix_reply_subscription(const matrix_reply *reply) {
    bool is_event = reply && reply->kind == MATRIX_REPLY_EVENT;
    return (matrix_subscription){is_event ? reply->target : 0};
}

uint64_t matrix_reply_call_id(const matrix_reply *reply) {
    return reply && reply->kind == MATRIX_REPLY_CALL ? reply->target : 0;
}

matrix_reply *matrix_reply_keep(const matrix_reply *reply) {
    matrix_reply *own = writable(reply);

    if (own) {
        atomic_fetch_add(&own->references, 1);
        core_reply_detach(own);
    }
    return own;
}

void matrix_reply_free(matrix_reply *reply) {
    if (!reply || atomic_fetch_sub(&reply->references, 1) != 1) {
        return;
    }
    core_reply_reset(reply);
    arena_free(&reply->arena);
    free(reply);
}
