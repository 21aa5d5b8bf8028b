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

void core_wakeup_fd(struct context *context) {
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

static bool is_wanted(const struct context *context) {
    return atomic_load(&context->due) && !atomic_load(&context->wakeup.fired);
}

/* Call with callback_lock held. False when there is no callback. */
static bool run_callback(struct context *context) {
    struct wakeup *wakeup = &context->wakeup;
    const struct context *outer = waking;

    if (!wakeup->callback) {
        return false;
    }
    if (atomic_load(&context->due) && !atomic_exchange(&wakeup->fired, true)) {
        waking = context;
        wakeup->callback(wakeup->user_data);
        waking = outer;
    }
    return true;
}

/*
 * Never waits for a callback that runs on another thread, which may itself wait for something this
 * thread's host holds: whoever runs one looks again afterwards.
 */
void core_wakeup(struct context *context) {
    struct wakeup *wakeup = &context->wakeup;
    bool again = !core_in_own_wakeup(context);

    core_wakeup_fd(context);
    while (again && is_wanted(context)) {
        /* Counting orders this against whoever has the lock: they count, then look again. */
        atomic_fetch_add(&wakeup->turns, 1);
        if (pthread_mutex_trylock(&wakeup->callback_lock) != 0) {
            return;
        }
        again = run_callback(context);
        pthread_mutex_unlock(&wakeup->callback_lock);
        atomic_fetch_add(&wakeup->turns, 1);
    }
}
