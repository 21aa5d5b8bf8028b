/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `due` is written under the context's lock, the fd under fd_lock. Whoever changed `due` compares
 * the two afterwards, so the fd ends up saying what `due` says, and no system call is made under
 * the context's lock.
 */
#include <unistd.h>

#include "internal.h"

void core_wakeup_create(struct wakeup *wakeup) {
    pthread_mutex_init(&wakeup->callback_lock, NULL);
    pthread_mutex_init(&wakeup->fd_lock, NULL);
    wakeup->fd = -1;
}

static void update_fd(struct context *context) {
    struct wakeup *wakeup = &context->wakeup;
    uint64_t counter = 1;
    ssize_t ignored;
    bool due;

    pthread_mutex_lock(&wakeup->fd_lock);
    due = atomic_load(&context->due);
    if (due != wakeup->readable && wakeup->fd >= 0) {
        ignored = due ? write(wakeup->fd, &counter, sizeof counter)
                      : read(wakeup->fd, &counter, sizeof counter);
        (void)ignored;
        wakeup->readable = due;
    }
    pthread_mutex_unlock(&wakeup->fd_lock);
}

/* The context whose wakeup callback this thread is in. */
static _Thread_local const struct context *waking;

bool core_in_own_wakeup(const struct context *context) {
    return waking == context;
}

/* Call with callback_lock held. */
static void run_callback(struct context *context) {
    struct wakeup *wakeup = &context->wakeup;
    const struct context *outer = waking;

    wakeup->fired = true;
    waking = context;
    wakeup->callback(wakeup->user_data);
    waking = outer;
}

void core_wakeup(struct context *context) {
    struct wakeup *wakeup = &context->wakeup;

    update_fd(context);
    if (!atomic_load(&context->due) || core_in_own_wakeup(context)) {
        return;
    }
    pthread_mutex_lock(&wakeup->callback_lock);
    if (wakeup->callback && !wakeup->fired && atomic_load(&context->due)) {
        run_callback(context);
    }
    pthread_mutex_unlock(&wakeup->callback_lock);
}

void core_wakeup_rearm(struct context *context) {
    pthread_mutex_lock(&context->wakeup.callback_lock);
    context->wakeup.fired = false;
    pthread_mutex_unlock(&context->wakeup.callback_lock);
}
