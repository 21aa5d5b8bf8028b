/* SPDX-License-Identifier: Apache-2.0 */
/* Questions of the runtime to the host. */
#include <stdlib.h>

#include "inbox.h"
#include "map.h"
#include "runtime.h"

matrix_status matrix_set_call_callback(matrix_context context, matrix_callback callback,
                                       void *user_data) {
    struct context *own;

    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    own = core_lock_context(context.id);
    if (!own) {
        return MATRIX_E_INVALID_HANDLE;
    }
    own->on_call = (struct hook){callback, user_data};
    pthread_mutex_unlock(&own->lock);
    return MATRIX_OK;
}

static void leave_asker(struct context *context, const struct call *call) {
    struct request *asker = handle_map_find(&context->requests, call->asker);
    struct call **link = asker ? &asker->calls : NULL;

    while (link && *link && *link != call) {
        link = &(*link)->next;
    }
    if (link && *link) {
        *link = call->next;
    }
}

void core_forget_call(struct context *context, uint64_t call_id) {
    struct call *call = handle_map_remove(&context->calls, call_id);

    if (call) {
        leave_asker(context, call);
        free(call);
    }
}

/* Call with the lock held. */
static matrix_status answer(struct context *context, uint64_t call_id, struct buffer *buffer,
                            bool *wake) {
    struct call *call = handle_map_find(&context->calls, call_id);
    bool is_late = call && core_now_us() > call->deadline;
    matrix_status status = MATRIX_E_INVALID_HANDLE;

    if (call && !is_late) {
        status = core_inbox_add(context, buffer, INBOX_BOUNDED, wake);
    }
    if (call && (is_late || !status)) {
        core_forget_call(context, call_id);
    }
    return status;
}

matrix_status matrix_respond(matrix_context context, uint64_t call_id, matrix_map *answer_map) {
    struct buffer buffer;
    struct context *own;
    matrix_status status = MATRIX_E_INVALID_HANDLE;
    const char *wrong = "context";
    bool wake = false;

    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    core_message_begin(&buffer, "respond", context.id, 0, call_id, "");
    core_map_write_all(answer_map, &buffer);
    core_message_end(&buffer);
    own = core_lock_context(context.id);
    if (own) {
        wrong = "call_id";
        status = buffer.no_memory ? MATRIX_E_NO_MEMORY : answer(own, call_id, &buffer, &wake);
        pthread_mutex_unlock(&own->lock);
    }
    buffer_free(&buffer);
    if (status) {
        return core_refuse_status("respond", context.id, answer_map, status, wrong);
    }
    if (wake) {
        core_inbox_wake();
    }
    core_accept(answer_map);
    return MATRIX_OK;
}
