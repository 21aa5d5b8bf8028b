/* SPDX-License-Identifier: Apache-2.0 */
#include "context.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "inbox.h"
#include "map.h"
#include "runtime.h"
#include "tables.gen.h"

static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(struct context *) slots[HANDLE_SLOTS];
/* ---- protected by registry ------------------------------------------------------------------ */
static unsigned slots_made;
static unsigned free_slots[HANDLE_SLOTS];
static unsigned free_count;

/* ---- finding -------------------------------------------------------------------------------- */

struct context *core_slot(unsigned slot) {
    return atomic_load(&slots[slot]);
}

struct context *core_lock_slot(uint64_t id) {
    struct context *context = core_slot(handle_slot(id));

    if (!context) {
        return NULL;
    }
    pthread_mutex_lock(&context->lock);
    if (context->state == CONTEXT_FREE) {
        pthread_mutex_unlock(&context->lock);
        return NULL;
    }
    return context;
}

struct context *core_lock_context(uint64_t id) {
    struct context *context = core_lock_slot(id);

    if (context && context->id != id) {
        pthread_mutex_unlock(&context->lock);
        return NULL;
    }
    return context;
}

uint64_t core_serial(struct context *context) {
    uint64_t serial = atomic_fetch_add_explicit(&context->serial, 1, memory_order_relaxed) + 1;
    return serial <= HANDLE_MAX_SERIAL ? serial : 0;
}

bool core_in_own_callback(const struct context *context) {
    return context->in_callback && pthread_equal(context->dispatcher, pthread_self());
}

/* ---- making --------------------------------------------------------------------------------- */

static struct context *make_slot(unsigned slot) {
    struct context *context = calloc(1, sizeof *context);

    if (!context) {
        return NULL;
    }
    context->slot = slot;
    pthread_mutex_init(&context->lock, NULL);
    core_cond_init(&context->due_changed);
    core_cond_init(&context->parked_changed);
    core_wakeup_create(&context->wakeup);
    atomic_store(&slots[slot], context);
    return context;
}

static struct context *take_slot(void) {
    struct context *context = NULL;

    pthread_mutex_lock(&registry);
    if (free_count) {
        context = core_slot(free_slots[--free_count]);
    } else if (slots_made < HANDLE_SLOTS) {
        context = make_slot(slots_made);
        slots_made += context ? 1 : 0;
    }
    pthread_mutex_unlock(&registry);
    return context;
}

static void give_back_slot(struct context *context) {
    pthread_mutex_lock(&registry);
    free_slots[free_count++] = context->slot;
    pthread_mutex_unlock(&registry);
}

static size_t read_limit(const matrix_map *options, const char *name, int64_t fallback) {
    return (size_t)core_map_int(options, name, fallback);
}

static bool read_limits(const matrix_map *options, struct limits *limits, struct reason *reason) {
    if (!core_check_map(options, NULL, &matrix_context_options, reason)) {
        return false;
    }
    limits->requests = read_limit(options, "max_requests", 65536);
    limits->request_bytes = read_limit(options, "max_request_bytes", 64 << 20);
    limits->event_bytes = read_limit(options, "max_event_bytes", 16 << 20);
    limits->events = read_limit(options, "max_events", 65536);
    return true;
}

static matrix_status open_fd(struct wakeup *wakeup) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0) {
        return errno == ENOMEM ? MATRIX_E_NO_MEMORY : MATRIX_E_TOO_MANY_FILES;
    }
    pthread_mutex_lock(&wakeup->fd_lock);
    wakeup->fd = fd;
    wakeup->readable = false;
    pthread_mutex_unlock(&wakeup->fd_lock);
    return MATRIX_OK;
}

/* From here on the context can be found. Call with its lock held. */
static matrix_status begin(struct context *context, const struct limits *limits,
                           const matrix_map *options, bool *wake) {
    uint64_t serial = core_serial(context);
    struct buffer buffer;
    matrix_status status;

    if (!serial) {
        return MATRIX_E_NO_MEMORY;
    }
    context->limits = *limits;
    context->log_level = MATRIX_LOG_LEVEL_WARNING; /* kept for the log callback that may follow */
    context->id = handle_make(TAG_CONTEXT, context->slot, serial);
    core_inbox_begin(context);
    core_message_begin(&buffer, "open_context", context->id, 0, 0, "");
    core_map_write_all(options, &buffer);
    core_message_end(&buffer);
    status = buffer.no_memory ? MATRIX_E_NO_MEMORY
                              : core_inbox_add(context, &buffer, INBOX_ALWAYS, wake);
    buffer_free(&buffer);
    if (status) {
        context->id = 0;
        return status;
    }
    context->state = CONTEXT_OPEN;
    return MATRIX_OK;
}

static void learn_failure(struct context *context) {
    struct block *record;

    context->failure = core_runtime_failure();
    record = context->failure ? core_runtime_failure_record() : NULL;
    if (record) {
        core_log_push(context, record);
    }
}

static matrix_status make(const struct limits *limits, const matrix_map *options,
                          matrix_context *made) {
    struct context *context = take_slot();
    matrix_status status;
    bool wake = false;

    if (!context) {
        return MATRIX_E_NO_MEMORY;
    }
    status = open_fd(&context->wakeup);
    if (!status) {
        pthread_mutex_lock(&context->lock);
        status = begin(context, limits, options, &wake);
        if (!status) {
            learn_failure(context);
            made->id = context->id;
        }
        pthread_mutex_unlock(&context->lock);
    }
    if (status) {
        core_context_close_fd(context);
        give_back_slot(context);
        return status;
    }
    if (wake) {
        core_inbox_wake();
    }
    return MATRIX_OK;
}

matrix_status matrix_init(matrix_map *options, matrix_context *context) {
    struct limits limits;
    struct reason reason = {"context: is NULL"};
    matrix_status status;

    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    if (context) {
        context->id = 0;
    }
    if (!context || !read_limits(options, &limits, &reason)) {
        return core_refuse("init", 0, options, MATRIX_E_INVALID_ARGUMENT, reason.text);
    }
    status = core_runtime_start();
    status = status ? status : make(&limits, options, context);
    if (status) {
        return core_refuse_status("init", 0, options, status, "context");
    }
    core_accept(options);
    return MATRIX_OK;
}

/* ---- ending --------------------------------------------------------------------------------- */

void core_context_drop_wakeup(struct context *context) {
    struct wakeup *wakeup = &context->wakeup;

    pthread_mutex_lock(&wakeup->callback_lock);
    wakeup->callback = NULL;
    pthread_mutex_unlock(&wakeup->callback_lock);
}

void core_context_close_fd(struct context *context) {
    struct wakeup *wakeup = &context->wakeup;

    core_context_drop_wakeup(context);
    pthread_mutex_lock(&wakeup->fd_lock);
    if (wakeup->fd >= 0) {
        close(wakeup->fd);
    }
    wakeup->fd = -1;
    pthread_mutex_unlock(&wakeup->fd_lock);
}

static void free_values(struct handle_map *map) {
    size_t index;

    for (index = 0; index < map->capacity; index++) {
        free(map->entries[index].value);
    }
    handle_map_free(map);
}

static void free_requests(struct handle_map *map) {
    size_t index;

    for (index = 0; index < map->capacity; index++) {
        struct request *request = map->entries[index].value;
        if (request) {
            matrix_reply_free(request->parked);
            free(request);
        }
    }
    handle_map_free(map);
}

static void free_queue(struct context *context) {
    while (context->first) {
        struct item *next = context->first->next;
        if (context->first->kind == ITEM_BLOCK) {
            core_block_release((struct block *)(void *)context->first);
        }
        context->first = next;
    }
    context->last = NULL;
    core_log_clear(context);
}

/* Back to what calloc gave, but for locks, slot and serial. Call with the lock held. */
static void wipe(struct context *context) {
    matrix_reply_free(context->reply);
    context->reply = NULL;
    free_queue(context);
    free_requests(&context->requests);
    free_values(&context->clients);
    free_values(&context->subscriptions);
    free_values(&context->calls);
    context->state = CONTEXT_FREE;
    context->id = 0;
    atomic_store(&context->due, false);
    context->failure = NULL;
    context->events = context->event_bytes = 0;
    context->told_full = context->closed = false;
    context->on_log = context->on_call = (struct hook){0};
    context->dispatching = context->in_callback = false;
}

void core_context_free(struct context *context) {
    wipe(context);
    pthread_mutex_unlock(&context->lock);
    core_context_close_fd(context);
    give_back_slot(context);
}

/* ---- small things about contexts ------------------------------------------------------------ */

int matrix_fd(matrix_context context) {
    struct context *own;
    int fd;

    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    own = core_lock_context(context.id);
    if (!own) {
        return MATRIX_E_INVALID_HANDLE;
    }
    pthread_mutex_lock(&own->wakeup.fd_lock);
    fd = own->wakeup.fd;
    pthread_mutex_unlock(&own->wakeup.fd_lock);
    pthread_mutex_unlock(&own->lock);
    return fd;
}

matrix_status matrix_set_wakeup_callback(matrix_context context, void (*callback)(void *user_data),
                                         void *user_data) {
    struct context *own;
    bool is_open;

    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    own = core_lock_context(context.id);
    if (!own) {
        return MATRIX_E_INVALID_HANDLE;
    }
    pthread_mutex_unlock(&own->lock);
    if (core_in_own_wakeup(own)) {
        return MATRIX_E_BUSY;
    }
    pthread_mutex_lock(&own->wakeup.callback_lock);
    /* It may have been shut down meanwhile: that voids its number first and then removes the
     * callback. */
    is_open = atomic_load(&own->id) == context.id;
    if (is_open) {
        own->wakeup.callback = callback;
        own->wakeup.user_data = user_data;
        atomic_store(&own->wakeup.fired, false);
    }
    pthread_mutex_unlock(&own->wakeup.callback_lock);
    atomic_fetch_add(&own->wakeup.turns, 1);
    core_wakeup(own);
    return is_open ? MATRIX_OK : MATRIX_E_INVALID_HANDLE;
}
