/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "inbox.h"
#include "map.h"
#include "runtime.h"

#define RING_SIZE 1024
#define DROPPED_SIZE 32 /* room behind a record for its count */

/* ---- the ring ------------------------------------------------------------------------------- */

static struct block *take_oldest(struct context *context) {
    struct block *oldest = context->first_log;

    context->first_log = (struct block *)(void *)oldest->item.next;
    if (!context->first_log) {
        context->last_log = NULL;
    }
    context->logs--;
    return oldest;
}

static void drop_oldest(struct context *context) {
    struct block *oldest = take_oldest(context);
    uint32_t gone = oldest->passed + 1;

    if (context->first_log) {
        context->first_log->passed += gone;
    } else {
        context->logs_dropped += gone;
    }
    core_block_release(oldest);
}

static int level_of(const struct block *record) {
    struct matrix_frame frame;

    memcpy(&frame, record->data, sizeof frame);
    return frame.flags;
}

void core_log_push(struct context *context, struct block *record) {
    if (level_of(record) < context->log_level) {
        core_block_release(record);
        return;
    }
    if (context->logs == RING_SIZE) {
        drop_oldest(context);
    }
    record->passed += context->logs_dropped;
    context->logs_dropped = 0;
    record->item.next = NULL;
    record->item.sequence = context->sequence++;
    if (context->last_log) {
        context->last_log->item.next = &record->item;
    } else {
        context->first_log = record;
    }
    context->last_log = record;
    context->logs++;
}

void core_log_clear(struct context *context) {
    while (context->first_log) {
        core_block_release(take_oldest(context));
    }
    context->logs_dropped = 0;
}

/* ---- records -------------------------------------------------------------------------------- */

struct block *core_log_block(const struct matrix_frame *frame, const char *text) {
    struct block *record = core_block_new(sizeof *frame + frame->size + DROPPED_SIZE);

    if (record) {
        record->frames = 1;
        memcpy(record->data, frame, sizeof *frame);
        memcpy(record->data + sizeof *frame, text, frame->size);
    }
    return record;
}

struct block *core_log_record(const char *message, const char *code) {
    struct matrix_frame frame = {.kind = MATRIX_FRAME_LOG, .flags = MATRIX_LOG_LEVEL_ERROR};
    struct block *record = NULL;
    struct buffer buffer;

    buffer_init(&buffer);
    buffer_literal(&buffer, "{\"level\":\"error\",\"source\":\"host\",\"message\":");
    if (!buffer_string(&buffer, message, strlen(message))) {
        buffer_free(&buffer);
        return NULL;
    }
    if (code) {
        buffer_literal(&buffer, ",\"code\":");
        buffer_string(&buffer, code, strlen(code));
    }
    buffer_literal(&buffer, "}");
    if (!buffer.no_memory) {
        frame.size = (uint32_t)buffer.used;
        record = core_log_block(&frame, buffer.data);
    }
    buffer_free(&buffer);
    return record;
}

void core_log_finish(struct block *record) {
    struct matrix_frame frame;
    char *text = record->data + sizeof frame;
    size_t size;

    memcpy(&frame, record->data, sizeof frame);
    size = frame.size;
    if (size < 2 || text[size - 1] != '}') {
        text[size] = 0;
        return;
    }
    size += (size_t)snprintf(text + size - 1, DROPPED_SIZE + 1, "%s\"dropped\":%u}",
                             size > 2 ? "," : "", record->passed) -
            1;
    frame.size = (uint32_t)size;
    memcpy(record->data, &frame, sizeof frame);
}

/* ---- matrix.h ------------------------------------------------------------------------------- */

matrix_status matrix_set_log_callback(matrix_context context, matrix_log_level level,
                                      matrix_callback callback, void *user_data) {
    struct context *own;
    bool wake = false;

    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    if (callback && (level < MATRIX_LOG_LEVEL_TRACE || level > MATRIX_LOG_LEVEL_OFF)) {
        return core_refuse("set_log_callback", context.id, NULL, MATRIX_E_INVALID_ARGUMENT,
                           "level: is no log level");
    }
    level = callback ? level : MATRIX_LOG_LEVEL_OFF;
    own = core_lock_context(context.id);
    if (!own) {
        return MATRIX_E_INVALID_HANDLE;
    }
    own->on_log = (struct hook){callback, user_data};
    own->log_level = (int)level;
    if (level == MATRIX_LOG_LEVEL_OFF) {
        core_log_clear(own);
    }
    core_inbox_note(own, "log_level", 0, 0, matrix_log_level_string(level), &wake);
    core_update_due(own);
    pthread_mutex_unlock(&own->lock);
    if (wake) {
        core_inbox_wake();
    }
    core_wakeup(own);
    return MATRIX_OK;
}
