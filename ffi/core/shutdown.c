/* SPDX-License-Identifier: Apache-2.0 */
#include "context.h"
#include "dispatch.h"
#include "inbox.h"
#include "runtime.h"

#define DEFAULT_TIMEOUT_MS 2000

static void run_all_due(struct context *context) {
    while (atomic_load(&context->due) && core_run_due(context, 0) >= 0) {
    }
}

/* Waits for the runtime to let go of the context, running what comes meanwhile. */
static void run_until_closed(struct context *context, int timeout_ms) {
    struct timespec deadline = core_deadline(CLOCK_MONOTONIC, timeout_ms);

    while (!context->closed && !context->failure && core_wait_due(context, &deadline)) {
        run_all_due(context);
    }
    run_all_due(context);
}

/* What the runtime has not answered ends here. */
static void end_leftovers(struct context *context) {
    core_end_all_requests(context, core_status_text(MATRIX_E_SHUTDOWN));
    core_update_due(context);
    run_all_due(context);
    while (context->waiters) {
        pthread_cond_broadcast(&context->parked_changed);
        pthread_cond_wait(&context->parked_changed, &context->lock);
    }
}

matrix_status matrix_shutdown(matrix_context context, int timeout_ms) {
    matrix_status status;
    bool wake = false;
    struct context *own = core_begin_dispatch(context.id, &status);

    if (!own) {
        return status == MATRIX_E_FORKED
                   ? status
                   : core_refuse_status("shutdown", context.id, NULL, status, "context");
    }
    own->state = CONTEXT_CLOSING;
    run_all_due(own); /* what the host has consumed is to be told before the end is */
    core_inbox_note(own, "close_context", 0, 0, "", &wake);
    pthread_mutex_unlock(&own->lock);
    if (wake) {
        core_inbox_wake();
    }
    pthread_mutex_lock(&own->lock);
    run_until_closed(own, timeout_ms < 0 ? DEFAULT_TIMEOUT_MS : timeout_ms);
    end_leftovers(own);
    /* A wakeup callback that runs on another thread still finds its context. */
    pthread_mutex_unlock(&own->lock);
    core_context_drop_wakeup(own);
    pthread_mutex_lock(&own->lock);
    core_context_free(own);
    return MATRIX_OK;
}
