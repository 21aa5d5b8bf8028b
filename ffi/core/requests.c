/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "inbox.h"
#include "reply.h"
#include "runtime.h"

void matrix_ignore(const matrix_reply *reply, void *user_data) {
    (void)reply;
    (void)user_data;
}

/* An open request and its context, locked; NULL when there is none. */
static struct request *lock_request(matrix_request request, struct context **context) {
    struct request *own = NULL;

    *context = core_lock_slot(request.id);
    if (*context) {
        own = handle_map_find(&(*context)->requests, request.id);
        if (!own) {
            pthread_mutex_unlock(&(*context)->lock);
        }
    }
    return own;
}

static matrix_status unknown(const char *function, matrix_request request) {
    return core_refuse_status(function, request.id, NULL, MATRIX_E_INVALID_HANDLE, "request");
}

matrix_status matrix_cancel(matrix_request request) {
    struct context *context;
    struct request *own;
    bool wake = false;

    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    own = lock_request(request, &context);
    if (!own) {
        return unknown("cancel", request);
    }
    if (!own->cancelled && !own->ended && !own->parked) {
        own->cancelled = true;
        core_inbox_note(context, "cancel", own->client->id, request.id, "", &wake);
    }
    pthread_mutex_unlock(&context->lock);
    if (wake) {
        core_inbox_wake();
    }
    return MATRIX_OK;
}

matrix_status matrix_set_progress_callback(matrix_request request, matrix_callback callback,
                                           void *user_data) {
    struct context *context;
    struct request *own;

    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    own = lock_request(request, &context);
    if (!own) {
        return unknown("set_progress_callback", request);
    }
    own->progress = callback;
    own->progress_data = user_data;
    pthread_mutex_unlock(&context->lock);
    return MATRIX_OK;
}

/* ---- waiting -------------------------------------------------------------------------------- */

/* Waits until `request` has its reply. NULL: somebody else took it, or the time was not enough
 * (`*late`). */
static struct request *await(struct context *context, matrix_request request, int timeout_ms,
                             bool *late) {
    struct timespec deadline = core_deadline(CLOCK_MONOTONIC, timeout_ms < 0 ? 0 : timeout_ms);
    struct request *own = handle_map_find(&context->requests, request.id);
    int error = 0;

    while (own && !own->parked && !own->ended && !error) {
        if (timeout_ms < 0) {
            pthread_cond_wait(&context->parked_changed, &context->lock);
        } else {
            error = pthread_cond_timedwait(&context->parked_changed, &context->lock, &deadline);
        }
        own = handle_map_find(&context->requests, request.id);
    }
    *late = own && !own->parked && !own->ended;
    return *late ? NULL : own;
}

/* Makes the parked reply, or the core's own ending, the caller's. */
static matrix_status take_reply(struct context *context, struct request *request,
                                matrix_reply **reply) {
    *reply = request->parked ? request->parked : core_reply_new();
    if (!*reply) {
        return MATRIX_E_NO_MEMORY;
    }
    if (!request->parked) {
        core_reply_set_ended(*reply, request);
    }
    handle_map_remove(&context->requests, request->id);
    core_drop_calls(context, request);
    free(request);
    return MATRIX_OK;
}

static matrix_status wait_locked(struct context *context, matrix_request request, int timeout_ms,
                                 matrix_reply **reply) {
    matrix_status status = MATRIX_E_INVALID_HANDLE;
    struct request *own;
    bool late;

    if (core_in_own_callback(context)) {
        return MATRIX_E_BUSY;
    }
    context->waiters++;
    own = await(context, request, timeout_ms, &late);
    if (own) {
        status = take_reply(context, own, reply);
    } else if (late) {
        status = MATRIX_E_TIMEOUT;
    }
    context->waiters--;
    if (context->state == CONTEXT_CLOSING) {
        pthread_cond_broadcast(&context->parked_changed); /* shutdown waits for the last one */
    }
    return status;
}

matrix_status matrix_wait(matrix_request request, int timeout_ms, matrix_reply **reply) {
    matrix_reply *taken = NULL;
    struct context *context;
    matrix_status status;

    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    if (reply) {
        *reply = NULL;
    }
    if (!lock_request(request, &context)) {
        return unknown("wait", request);
    }
    if (handle_tag(request.id) == TAG_REQUEST) {
        pthread_mutex_unlock(&context->lock);
        return core_refuse("wait", request.id, NULL, MATRIX_E_INVALID_ARGUMENT,
                           "request: was submitted with a callback");
    }
    status = wait_locked(context, request, timeout_ms, &taken);
    pthread_mutex_unlock(&context->lock);
    if (reply) {
        *reply = taken;
    } else {
        matrix_reply_free(taken);
    }
    if (status && status != MATRIX_E_TIMEOUT) {
        return core_refuse_status("wait", request.id, NULL, status, "request");
    }
    return status;
}
