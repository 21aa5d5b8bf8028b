/* SPDX-License-Identifier: Apache-2.0 */
/* Why a call was refused: into the caller's map, and into the log of the context. */
#include <stdio.h>

#include "internal.h"
#include "map.h"

/* The context a refused call was about: also that of a client or request that is closed by now. */
static struct context *lock_context_of(uint64_t id) {
    struct context *context;

    if (handle_tag(id) == TAG_CONTEXT) {
        return core_lock_context(id);
    }
    context = core_lock_slot(id);
    if (context && handle_serial(id) <= handle_serial(context->id)) {
        pthread_mutex_unlock(&context->lock); /* of an earlier context in the same slot */
        return NULL;
    }
    return context;
}

matrix_status core_refuse(const char *function, uint64_t id, matrix_map *map, matrix_status status,
                          const char *reason) {
    char message[CORE_REASON_SIZE + 64];
    struct context *context;
    struct block *record;

    if (map) {
        snprintf(map->error, sizeof map->error, "%s", reason);
    }
    snprintf(message, sizeof message, "matrix_%s: %s", function, reason);
    record = core_log_record(message, matrix_status_string(status));
    context = record ? lock_context_of(id) : NULL;
    if (!context) {
        core_block_release(record);
        return status;
    }
    if (context->state == CONTEXT_CLOSING) {
        /* A log callback that submits would bring the next record, and no end. */
        core_block_release(record);
    } else {
        core_log_push(context, record);
        core_update_due(context);
    }
    pthread_mutex_unlock(&context->lock);
    core_wakeup(context);
    return status;
}

void core_accept(matrix_map *map) {
    if (map) {
        map->error[0] = 0;
    }
}

static const char *explain(matrix_status status) {
    switch (status) {
    case MATRIX_E_INVALID_HANDLE:
        return "is closed, or never existed";
    case MATRIX_E_QUEUE_FULL:
        return "has too many requests open or waiting; dispatch or wait for some, then try again";
    case MATRIX_E_TOO_LARGE:
        return "was given more than max_request_bytes";
    case MATRIX_E_TOO_MANY_FILES:
        return "needs a file descriptor, and none is left";
    case MATRIX_E_SHUTDOWN:
        return "is being shut down";
    case MATRIX_E_BUSY:
        return "is being dispatched, or this is one of its callbacks";
    default:
        return "memory is short";
    }
}

matrix_status core_refuse_status(const char *function, uint64_t id, matrix_map *map,
                                 matrix_status status, const char *argument) {
    struct reason reason;

    core_reason(&reason, "%s: %s", argument, explain(status));
    return core_refuse(function, id, map, status, reason.text);
}

static bool is_open(matrix_client client) {
    struct context *context = core_lock_slot(client.id);
    bool open = context && handle_map_find(&context->clients, client.id);

    if (context) {
        pthread_mutex_unlock(&context->lock);
    }
    return open;
}

matrix_status core_refuse_client(const char *function, matrix_client client, matrix_map *map,
                                 const char *reason) {
    if (!is_open(client)) {
        return core_refuse_status(function, client.id, map, MATRIX_E_INVALID_HANDLE, "client");
    }
    return core_refuse(function, client.id, map, MATRIX_E_INVALID_ARGUMENT, reason);
}
