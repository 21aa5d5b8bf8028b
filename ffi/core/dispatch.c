/* SPDX-License-Identifier: Apache-2.0 */
#include "dispatch.h"

#include "runtime.h"

struct context *core_begin_dispatch(uint64_t id, matrix_status *status) {
    struct context *context;

    *status = core_forked() ? MATRIX_E_FORKED : MATRIX_E_INVALID_HANDLE;
    context = core_forked() ? NULL : core_lock_context(id);
    if (!context) {
        return NULL;
    }
    if (context->dispatching || core_in_own_wakeup(context)) {
        pthread_mutex_unlock(&context->lock);
        *status = MATRIX_E_BUSY;
        return NULL;
    }
    *status = MATRIX_OK;
    context->dispatching = true;
    context->dispatcher = pthread_self();
    atomic_store(&context->wakeup.fired, false);
    return context;
}

void core_end_dispatch(struct context *context) {
    context->dispatching = false;
    pthread_mutex_unlock(&context->lock);
    core_wakeup_fd(context);
}

/* A shutdown then waits in vain. */
static bool ends_without_runtime(const struct context *context) {
    return context->state == CONTEXT_CLOSING && context->failure;
}

bool core_wait_due(struct context *context, const struct timespec *deadline) {
    int error = 0;

    while (!atomic_load(&context->due) && !error && !ends_without_runtime(context)) {
        if (deadline) {
            error = pthread_cond_timedwait(&context->due_changed, &context->lock, deadline);
        } else {
            pthread_cond_wait(&context->due_changed, &context->lock);
        }
    }
    return atomic_load(&context->due);
}

/* A reply that somebody has kept is theirs; then the next callback needs a new one. */
static bool renew(matrix_reply **reply) {
    if (*reply && atomic_load(&(*reply)->references) == 1) {
        core_reply_reset(*reply);
        return true;
    }
    matrix_reply_free(*reply);
    *reply = core_reply_new();
    return *reply != NULL;
}

/* Runs the callback a step found, and leaves nothing of it behind. Call without the lock. */
static bool finish_step(struct context *context, enum step step, struct delivery *delivery) {
    if (step == STEP_CALLBACK) {
        core_tell_runtime(delivery); /* first: the callback may wait for what the runtime does */
        delivery->hook.callback(delivery->reply, delivery->hook.user_data);
    }
    core_after_step(delivery);
    return step == STEP_INTERNAL || renew(&context->reply);
}

int core_run_due(struct context *context, int budget_us) {
    int64_t end = budget_us ? core_now_us() + budget_us : 0;
    uint64_t until = context->sequence;
    bool usable = renew(&context->reply);
    struct delivery delivery;
    int count = 0;

    while (usable) {
        enum step step;
        delivery.reply = context->reply;
        step = core_take_step(context, until, &delivery);
        if (step == STEP_NOTHING) {
            return count;
        }
        context->in_callback = step == STEP_CALLBACK;
        pthread_mutex_unlock(&context->lock);
        usable = finish_step(context, step, &delivery);
        pthread_mutex_lock(&context->lock);
        context->in_callback = false;
        count += step == STEP_CALLBACK;
        if (end && count && core_now_us() >= end) {
            return count;
        }
    }
    return count ? count : MATRIX_E_NO_MEMORY;
}

/* What is due may be for nobody, as a mark is: then there is more to wait for. */
static int wait_and_run(struct context *context, int timeout_ms, int budget_us) {
    int count = atomic_load(&context->due) ? core_run_due(context, budget_us) : 0;
    struct timespec deadline;

    if (count || !timeout_ms) {
        return count;
    }
    deadline = core_deadline(CLOCK_MONOTONIC, timeout_ms < 0 ? 0 : timeout_ms);
    while (count == 0 && core_wait_due(context, timeout_ms < 0 ? NULL : &deadline)) {
        count = core_run_due(context, budget_us);
    }
    return count;
}

int matrix_dispatch(matrix_context context, int timeout_ms, int budget_us) {
    matrix_status status;
    struct context *own;
    int count;

    if (budget_us < 0 && !core_forked()) {
        return core_refuse("dispatch", context.id, NULL, MATRIX_E_INVALID_ARGUMENT,
                           "budget_us: is negative");
    }
    own = core_begin_dispatch(context.id, &status);
    if (!own) {
        return status;
    }
    count = wait_and_run(own, timeout_ms, budget_us);
    core_end_dispatch(own);
    if (budget_us) {
        core_wakeup(own); /* for what the budget has left; of what came meanwhile others tell */
    }
    return count;
}

/* Takes steps until one is for a callback: 1, 0 when none is, or E_NO_MEMORY. */
static int take_next(struct context *context, matrix_reply **reply, void **user_data) {
    struct delivery delivery = {0};
    uint64_t until = context->sequence;
    enum step step;

    /* Used again when the caller has freed it by the next time. */
    if (!renew(&context->reply)) {
        return MATRIX_E_NO_MEMORY;
    }
    delivery.reply = context->reply;
    do {
        step = core_take_step(context, until, &delivery);
        pthread_mutex_unlock(&context->lock);
        core_after_step(&delivery);
        pthread_mutex_lock(&context->lock);
    } while (step == STEP_INTERNAL);
    if (step == STEP_NOTHING) {
        return 0;
    }
    atomic_fetch_add(&delivery.reply->references, 1);
    *reply = delivery.reply;
    if (user_data) {
        *user_data = delivery.hook.user_data;
    }
    return 1;
}

int matrix_next(matrix_context context, int timeout_ms, matrix_reply **reply, void **user_data) {
    struct timespec deadline = {0};
    matrix_status status;
    struct context *own;
    int found = 0;

    if (timeout_ms > 0) {
        deadline = core_deadline(CLOCK_MONOTONIC, timeout_ms);
    }
    if (!reply && !core_forked()) {
        return core_refuse("next", context.id, NULL, MATRIX_E_INVALID_ARGUMENT, "reply: is NULL");
    }
    if (reply) {
        *reply = NULL;
    }
    own = core_begin_dispatch(context.id, &status);
    if (!own) {
        return status;
    }
    while (!found && (atomic_load(&own->due) ||
                      (timeout_ms && core_wait_due(own, timeout_ms < 0 ? NULL : &deadline)))) {
        found = take_next(own, reply, user_data);
    }
    core_end_dispatch(own);
    return found;
}
