/* SPDX-License-Identifier: Apache-2.0 */
/**
 * What the parts of the core share: a context and what hangs on it.
 *
 * Lock order, outermost first:
 *
 *     context.lock > inbox.lock
 *     context.lock > wakeup.fd_lock
 *     wakeup.callback_lock, registry (context.c) and runtime.lock (runtime.c): each alone
 *
 * No lock is held while a callback of the host runs, except wakeup.callback_lock for the wakeup
 * callback. Contexts are made once and their memory is used again, never freed: whoever has a
 * handle may lock the context it names and then see whether the handle is still its own.
 */
#ifndef MATRIX_CORE_INTERNAL_H
#define MATRIX_CORE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <matrix/matrix.h>

#include "bridge.h"
#include "handles.h"
#include "json.h"

/** A JSON text that is never freed: the error a request ends with when the core itself ends it. */
struct static_text {
    const char *data;
    size_t size;
};

/* ---- the queue ------------------------------------------------------------------------------ */

enum item_kind {
    ITEM_BLOCK, /* struct block */
    ITEM_ENDED  /* struct request, ended by the core */
};

struct item {
    struct item *next;
    uint64_t sequence; /* of its first frame: the order of everything due in a context */
    enum item_kind kind;
};

/** How far dispatch is in a run of events. */
struct run_place {
    uint32_t delivered;
    uint32_t event;
    size_t offset; /* of the event among the texts */
    size_t taken;  /* bytes that do not count for the queue any more */
};

/** Frames as the runtime posted them; shared by the queue and the replies that point into it. */
struct block {
    struct item item;
    atomic_uint references;
    size_t size;     /* of data */
    size_t read;     /* how far dispatch is */
    uint32_t frames; /* in all */
    uint32_t passed; /* log records that gave way before this one, when this is one */
    struct run_place place;
    char data[];
};

struct request {
    struct item item;
    uint64_t id;
    struct client *client;
    struct request *next; /* of the same client */
    struct request **link;
    matrix_callback callback;
    void *user_data;
    matrix_callback progress;
    void *progress_data;
    uint32_t progress_waiting; /* reports in the queue: only the last one runs */
    bool cancelled;
    struct call *calls; /* questions it has asked the host: void when it ends */
    const struct static_text
        *ended;           /* set: the core has ended it; what the runtime says no longer counts */
    matrix_reply *parked; /* the reply, for matrix_wait() */
};

struct client {
    uint64_t id;
    struct request *requests;
};

struct subscription {
    uint64_t id;
    uint64_t client;
    const char *kind; /* static */
    matrix_callback callback;
    void *user_data;
};

/** What asks to be run: a callback with its argument. */
struct hook {
    matrix_callback callback;
    void *user_data;
};

/* ---- the wakeup ----------------------------------------------------------------------------- */

struct wakeup {
    /* -- atomic -- */
    atomic_bool fired; /* since the last dispatch began */
    atomic_uint turns; /* of threads that looked whether the callback is due */

    pthread_mutex_t callback_lock;
    /* ---- protected by callback_lock --------------------------------------------------------- */
    void (*callback)(void *user_data);
    void *user_data;

    pthread_mutex_t fd_lock;
    /* ---- protected by fd_lock --------------------------------------------------------------- */
    int fd;        /* -1: none */
    bool readable; /* what the fd says */
};

/* ---- contexts ------------------------------------------------------------------------------- */

struct limits {
    size_t requests;
    size_t request_bytes;
    size_t event_bytes;
    size_t events;
};

enum context_state {
    CONTEXT_FREE,
    CONTEXT_OPEN,
    CONTEXT_CLOSING /* in matrix_shutdown(): nothing new is accepted */
};

struct context {
    /* ---- immutable -------------------------------------------------------------------------- */
    unsigned slot;
    pthread_mutex_t lock;
    pthread_cond_t due_changed;    /* something is due, or a dispatch ended */
    pthread_cond_t parked_changed; /* a waited-for request has its reply, or a waiter has left */

    /* ---- atomic ----------------------------------------------------------------------------- */
    _Atomic uint64_t id; /* 0: the slot is free; written under lock */
    _Atomic uint64_t serial;
    atomic_bool due; /* there is something for dispatch; written under lock */

    /* ---- protected by lock ------------------------------------------------------------------ */
    enum context_state state;
    struct limits limits;
    const struct static_text *failure; /* why the runtime does not answer, or NULL */

    struct handle_map clients;
    struct handle_map requests;
    struct handle_map subscriptions;
    struct handle_map calls; /* questions to the host */

    struct item *first; /* the queue */
    struct item *last;
    uint64_t sequence; /* of the next frame */
    size_t events;     /* in the queue */
    size_t event_bytes;
    bool told_full; /* the runtime waits for "drained" */
    bool closed;    /* the runtime holds nothing of this context any more */

    struct block *first_log; /* the ring, oldest first */
    struct block *last_log;
    size_t logs;
    uint32_t logs_dropped; /* since the last one that stayed */
    int log_level;         /* from here on; MATRIX_LOG_LEVEL_OFF: none */
    struct hook on_log;
    struct hook on_call;

    bool dispatching;     /* some thread is in dispatch, next or shutdown */
    bool in_callback;     /* and runs a callback */
    pthread_t dispatcher; /* that thread */
    unsigned waiters;     /* threads in matrix_wait() */

    /* ---- the dispatching thread's own ------------------------------------------------------- */
    matrix_reply *reply; /* used for one callback after the other */

    /* ---- protected by the inbox's lock ------------------------------------------------------ */
    uint64_t pending_epoch;
    size_t pending_bytes;

    struct wakeup wakeup;
};

/** A question of the runtime that waits for its answer. */
struct call {
    uint64_t id;
    uint64_t asker;    /* the request it is for, or 0 */
    struct call *next; /* of the same request */
    int64_t deadline;  /* on core_now_us() */
};

/* context.c */

/** The context with this very id, locked; NULL when there is none. */
struct context *core_lock_context(uint64_t id);
/** The context that a handle of another kind would be in, locked; NULL when there is none. */
struct context *core_lock_slot(uint64_t id);
/** The context at `slot`, or NULL; not locked. */
struct context *core_slot(unsigned slot);
/** A new serial number of a context's slot; 0 when all are used up. */
uint64_t core_serial(struct context *context);
/** Whether the calling thread runs a callback of this context. Call with the lock held. */
bool core_in_own_callback(const struct context *context);

/* queue.c; all but core_post are called with the context's lock held */

/** Sets `due` by what is there and tells waiting threads; core_wakeup() must follow once the lock
 * is released. */
void core_update_due(struct context *context);
void core_enqueue(struct context *context, struct item *item, uint32_t frames);
/** Ends an open request with an error of the core's own. */
void core_end_request(struct context *context, struct request *request,
                      const struct static_text *text);
void core_end_all_requests(struct context *context, const struct static_text *text);
/** Forgets the questions of a request. */
void core_drop_calls(struct context *context, struct request *request);
/** Forgets one question (calls.c). */
void core_forget_call(struct context *context, uint64_t call_id);
/** What bridge.h calls `post` and `is_full`. */
int core_post(const void *frames, size_t size);
int core_is_full(uint64_t context);

/* blocks (queue.c) */

struct block *core_block_new(size_t size);
void core_block_release(struct block *block);

/* wakeup.c; called with no lock held */

void core_wakeup_create(struct wakeup *wakeup);
/** Brings the fd into line with `due`. */
void core_wakeup_fd(struct context *context);
/** The same, and runs the callback if it is due. */
void core_wakeup(struct context *context);
/** Whether the calling thread is in this context's wakeup callback, and so holds its lock. */
bool core_in_own_wakeup(const struct context *context);

/* log.c */

/** Appends a record that is a block of one frame; frees it when it is not wanted. Call with the
 * lock held. */
void core_log_push(struct context *context, struct block *record);
/** Drops all records. Call with the lock held. */
void core_log_clear(struct context *context);
/** A copy of a frame that is a log record, with room for what core_log_finish() adds. */
struct block *core_log_block(const struct matrix_frame *frame, const char *text);
/** A record of the core's own; `code` may be NULL. */
struct block *core_log_record(const char *message, const char *code);
/** Makes the payload of a record that is about to be delivered whole. */
void core_log_finish(struct block *record);

/**
 * Refuses a call: writes the reason into `map` (may be NULL) and into the log of the context that
 * `id` belongs to. Returns `status`. Call with no lock held.
 */
matrix_status core_refuse(const char *function, uint64_t id, matrix_map *map, matrix_status status,
                          const char *reason);
/** The same for a status that says it all; `argument` is the handle that was given. */
matrix_status core_refuse_status(const char *function, uint64_t id, matrix_map *map,
                                 matrix_status status, const char *argument);
/** E_INVALID_ARGUMENT, or E_INVALID_HANDLE when not even the client is right. */
matrix_status core_refuse_client(const char *function, matrix_client client, matrix_map *map,
                                 const char *reason);
/** Forgets the reason of an earlier refusal. */
void core_accept(matrix_map *map);

/* status.c */

matrix_status core_status_of(const char *code);
/** The error record of one of the core's own endings. */
const struct static_text *core_status_text(matrix_status status);
int64_t core_now_us(void);
/** The time `timeout_ms` from now on a clock; the core's conditions run on CLOCK_MONOTONIC. */
struct timespec core_deadline(clockid_t clock, int timeout_ms);
void core_cond_init(pthread_cond_t *condition);

#endif
