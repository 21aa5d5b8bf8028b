/* SPDX-License-Identifier: Apache-2.0 */
/**
 * libmatrix: take part in Matrix (https://spec.matrix.org) from any C program.
 *
 * WHAT IT IS
 *
 * A program opens a context, makes clients in it and submits operations to them. The work happens
 * on one runtime thread that libmatrix owns. Results and events come back through callbacks, which
 * run when the program calls matrix_dispatch(), on the thread that called it, and never at another
 * time.
 *
 *     matrix_context context;
 *     matrix_client client;
 *     matrix_map *options = matrix_map_new();
 *
 *     matrix_init(NULL, &context);
 *     matrix_map_set_string(options, "homeserver", "https://matrix.example.org");
 *     matrix_create_client(context, options, &client);
 *     matrix_map_free(options);
 *     matrix_login_password(client, "bot", getenv("PASSWORD"), NULL, on_login, NULL, NULL);
 *     while (running)
 *         matrix_dispatch(context, 100, 0);
 *     matrix_shutdown(context, 2000);
 *
 * A program with a frame or event loop calls matrix_dispatch(context, 0, budget_us) before its own
 * update, or polls matrix_fd(), or is told by the wakeup callback.
 *
 * PROMISES
 *
 * Each sentence has a test named after it in tests/host.
 *
 *  1. refused_call_never_calls_back: a function that returns a negative status has done nothing,
 *     and its callback never runs.
 *  2. accepted_call_calls_back_exactly_once: an accepted request runs its callback once: with its
 *     result, an error, E_CANCELLED or E_SHUTDOWN.
 *  3. callbacks_only_inside_dispatch: callbacks run inside matrix_dispatch() or matrix_shutdown()
 *     of their own context, on the thread that called it, in the order in which the runtime
 *     produced them. Two requests in flight may complete in either order.
 *  4. full_queue_never_drops: a full queue refuses the call (E_QUEUE_FULL) or pauses the sync; it
 *     drops neither reply nor event. Log records alone are a ring: the oldest give way and are
 *     counted.
 *  5. one_dispatch_at_a_time: a second matrix_dispatch(), matrix_next() or matrix_shutdown() of a
 *     context while one runs, on any thread or from inside a callback, is refused with E_BUSY.
 *  6. use_after_free_is_an_error: a handle that was closed, or never existed, is E_INVALID_HANDLE.
 *  7. contexts_are_separate: two contexts, in one thread, two threads or two lua_States, never see
 *     each other's callbacks, log records or handles.
 *  8. host_never_waits: no function takes Python's lock, does I/O or waits for the runtime, except
 *     those whose purpose is to wait: matrix_wait(), matrix_wait_ready(), matrix_shutdown(), and
 *     matrix_dispatch() and matrix_next() with a timeout.
 *  9. local_host_loads_extensions: a host may load libmatrix with RTLD_LOCAL.
 * 10. environment_has_no_effect: PATH, PYTHONHOME, PYTHONPATH and the like change nothing.
 * 11. other_python_is_a_conflict: another libpython in the process is E_PYTHON_CONFLICT; other
 *     copies of SQLite or OpenSSL in the process do no harm.
 * 12. process_is_left_alone: no signal handler, signal mask, locale, environment, working
 *     directory or standard stream of the process is changed, nothing is written to stdout or
 *     stderr, and no program is run.
 * 13. unload_and_reopen_works: dlclose() keeps the library mapped and is harmless; opening again
 *     works.
 * 14. forked_child_gets_an_error: after fork() the child gets E_FORKED from every function; the
 *     parent goes on.
 * 15. exit_at_any_moment: exit() may be called at any time, on any thread; it neither crashes nor
 *     hangs.
 * 16. python_host_works: the host may itself be Python of the same minor version.
 * 17. bad_input_names_the_argument: NULL, a wrong type, invalid UTF-8, an unknown key or a missing
 *     field is E_INVALID_ARGUMENT, and the reason names the argument (see REFUSALS).
 *
 * THREADS
 *
 * Every function may be called from any thread, except as said in promise 5. The context's
 * callbacks run on the thread that dispatches. Inside a callback everything may be called except
 * matrix_dispatch(), matrix_next(), matrix_wait() and matrix_shutdown() of the same context
 * (E_BUSY). Inside the wakeup callback nothing of libmatrix may be called. All signals are blocked
 * in the threads libmatrix makes.
 *
 * OWNERSHIP
 *
 * Contexts, clients, requests and subscriptions are numbers; 0 is none, and a number is never used
 * again. What a program passes in is copied before the call returns. A reply given to a callback
 * is valid until the callback returns, unless kept with matrix_reply_keep(). What a function hands
 * out through a pointer to a pointer is freed by the caller with the function of that type;
 * freeing NULL does nothing. Strings are UTF-8, carry their size and end with a NUL that is not
 * counted.
 *
 * REFUSALS
 *
 * A refused call returns a negative status. The reason, naming the argument, is written where the
 * caller can see it: in the matrix_map that was passed (matrix_map_error()) and in a log record of
 * the context, unless that is being shut down.
 *
 * SENDING
 *
 * What goes into a room's timeline is kept in the client's store (option store_path) before it is
 * tried. Each sentence has a test named after it in tests/python/test_sending*.py or
 * tests/faults/test_kill_sender.py.
 *
 *  1. queued_survives_a_kill: a send whose `queued` event was delivered arrives, after a crash or a
 *     restart too; all it needs is a client with the same store that is logged in.
 *  2. order_of_a_room_is_kept: in a room, in the order of the calls; rooms side by side. A call
 *     that has to ask the homeserver first, as matrix_send_reply(), counts as made when the answer
 *     is there.
 *  3. same_transaction_until_taken: an attempt that came to nothing is repeated as it was, and the
 *     homeserver takes it once.
 *  4. uncertain_is_never_resent: 12 hours after an attempt of unknown outcome it ends with
 *     E_SEND_UNCERTAIN.
 *  5. refusal_blocks_nothing: what the homeserver refuses for good, or alone fails at, calls back,
 *     and the next one goes.
 *  6. shutdown_keeps_sends: E_SHUTDOWN, or a closed client, means that it is still stored.
 *  7. unheard_outcome_comes_again: an outcome that a `send` subscription was to hear is told again
 *     after a crash; one that has no request any more waits for a subscription.
 *
 * CURSORS
 *
 * matrix_open_cursor() gives a number for matrix_read_cursor() and matrix_close_cursor() of the
 * same client: a place in a room's history that moves as it is read. Each sentence has a test named
 * after it in tests/homeserver/c/cursors.c.
 *
 *  1. every_event_once_in_order: the pages join without a gap or a repetition; a page is empty only
 *     at the end, where the cursor stays, or when a filter left nothing of a hundred pages.
 *     Forward, the end is the newest event there was.
 *  2. reads_are_answered_in_their_order: several reads may be in flight.
 *  3. cancelled_read_moves_nothing: what a read that failed or was cancelled would have given, the
 *     next one gives.
 *  4. closed_cursor_is_an_error: a cursor that was closed, or never existed, is E_INVALID_HANDLE; a
 *     number is never used again. Closing a client closes its cursors.
 *  5. closing_ends_the_reads: a read in flight ends with E_CANCELLED, one that waits behind it with
 *     E_INVALID_HANDLE.
 *  6. cursors_are_bounded: a client has at most 256, one more is E_QUEUE_FULL; each holds two pages
 *     at most.
 *  7. begins_with_an_event_or_at_a_moment: with the option event_id that event comes first; with
 *     timestamp the one that is nearest, in the cursor's direction.
 *
 * FORK, SIGNALS, EXIT
 *
 * After fork() the child may only exec or _exit. SIGPIPE cannot reach the host from libmatrix. A
 * signal does not end a wait: a program whose handlers only set a flag gives matrix_dispatch() and
 * matrix_wait() a finite `timeout_ms`, or polls matrix_fd(). At exit() the runtime gets 500 ms to
 * close its stores; callbacks that are pending then do not run.
 *
 * SHUTTING DOWN
 *
 *  1. Stop submitting. 2. Let matrix_dispatch() run until what you need has called back. 3. Call
 *  matrix_shutdown(context, timeout_ms) outside any callback: what is left calls back with
 *  E_SHUTDOWN before it returns, and every handle of the context is void. Closing a client is not
 *  a shutdown: it cancels that client's requests.
 */
#ifndef MATRIX_MATRIX_H
#define MATRIX_MATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <matrix/version.h>

#if defined(__GNUC__)
#define MATRIX_API __attribute__((visibility("default")))
#else
#define MATRIX_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#include <matrix/status.gen.h>

/* ---- handles -------------------------------------------------------------------------------- */

/** A group of clients with one queue, one file descriptor and one dispatching thread. */
typedef struct matrix_context {
    uint64_t id;
} matrix_context;

/** One Matrix session: a user and a device at a homeserver. */
typedef struct matrix_client {
    uint64_t id;
} matrix_client;

/** An operation in flight. */
typedef struct matrix_request {
    uint64_t id;
} matrix_request;

/** A subscription to one kind of events. */
typedef struct matrix_subscription {
    uint64_t id;
} matrix_subscription;

#include <matrix/values.h>

/* ---- replies -------------------------------------------------------------------------------- */

typedef enum matrix_reply_kind {
    MATRIX_REPLY_RESULT = 1,   /**< the one final answer to a request */
    MATRIX_REPLY_PROGRESS = 2, /**< how far a request is; newer reports replace older ones */
    MATRIX_REPLY_EVENT = 3,    /**< an event for a subscription */
    MATRIX_REPLY_CALL =
        4,               /**< a question of the runtime to the host, answered by matrix_respond() */
    MATRIX_REPLY_LOG = 5 /**< a log record */
} matrix_reply_kind;

/** What a callback is given. It belongs to one thread at a time. */
typedef struct matrix_reply matrix_reply;

#include <matrix/records.gen.h>

/** Receives replies, events, progress, questions and log records; runs in dispatch. */
typedef void (*matrix_callback)(const matrix_reply *reply, void *user_data);

/** What the reply is; 0 for NULL. */
MATRIX_API matrix_reply_kind matrix_reply_get_kind(const matrix_reply *reply);
/** True unless the reply carries an error; false for NULL, what a refused call leaves. */
MATRIX_API bool matrix_reply_ok(const matrix_reply *reply);
/** The error of a reply that is not ok, NULL too; NULL when it is ok. Lives as long as the reply.
 */
MATRIX_API const matrix_error *matrix_reply_error(const matrix_reply *reply);
/** The payload, a map; made from the JSON text on first use. Lives as long as the reply. Never
 * NULL. */
MATRIX_API const matrix_value *matrix_reply_value(const matrix_reply *reply);
/** The payload as JSON text, NUL-terminated; `*size` (may be NULL) gets its bytes. Lives as long as
 * the reply. */
MATRIX_API const char *matrix_reply_json(const matrix_reply *reply, size_t *size);
/** The request a result or progress report belongs to; 0 for other kinds. */
MATRIX_API matrix_request matrix_reply_request(const matrix_reply *reply);
/** The subscription an event belongs to; 0 for other kinds. */
MATRIX_API matrix_subscription matrix_reply_subscription(const matrix_reply *reply);
/** The number to give to matrix_respond(); 0 for other kinds than MATRIX_REPLY_CALL. */
MATRIX_API uint64_t matrix_reply_call_id(const matrix_reply *reply);
/** Keeps a reply beyond its callback. Free the result with matrix_reply_free(). */
MATRIX_API matrix_reply *matrix_reply_keep(const matrix_reply *reply);
/** Frees a reply that was waited for, taken by matrix_next() or kept. */
MATRIX_API void matrix_reply_free(matrix_reply *reply);

/* ---- contexts ------------------------------------------------------------------------------- */

/**
 * Makes a context; the first of the process starts the runtime thread. Returns at once: if Python
 * cannot start, every accepted request says so, and matrix_wait_ready() does. `options` may be
 * NULL; its keys are in docs/reference (context options).
 */
MATRIX_API matrix_status matrix_init(matrix_map *options, matrix_context *context);
/**
 * Waits until the runtime has started: MATRIX_OK, E_TIMEOUT, or the reason it cannot start.
 * `timeout_ms` < 0 waits without limit. The reason in words is a log record.
 */
MATRIX_API matrix_status matrix_wait_ready(matrix_context context, int timeout_ms);
/**
 * Runs the callbacks that are due, waiting up to `timeout_ms` (< 0: without limit) for the first
 * one, and stops when `budget_us` microseconds are used up (0: no limit; at least one callback
 * runs). Returns how many ran, or a negative status.
 */
MATRIX_API int matrix_dispatch(matrix_context context, int timeout_ms, int budget_us);
/**
 * For language bindings: takes the next due reply instead of running its callback. `*user_data`
 * (may be NULL) gets what was given with the callback. Returns 1, 0 when nothing came within
 * `timeout_ms`, or a negative status. The event before counts as consumed when this is called
 * again.
 */
MATRIX_API int matrix_next(matrix_context context, int timeout_ms, matrix_reply **reply,
                           void **user_data);
/**
 * A file descriptor that is readable while something is due; for poll, epoll, select and event
 * loops. It belongs to the context: never read or close it. Negative status on error.
 */
MATRIX_API int matrix_fd(matrix_context context);
/**
 * `callback` runs on any thread, maybe inside a call of the program's own, when something has
 * become due, and once at most until the next dispatch; once more at the end of a dispatch whose
 * budget left something. It may only wake the host's loop. NULL removes it; it does not run any
 * more when that call has returned.
 */
MATRIX_API matrix_status matrix_set_wakeup_callback(matrix_context context,
                                                    void (*callback)(void *user_data),
                                                    void *user_data);
/** Log records from `level` on go to `callback` (in dispatch). NULL stops them; refusals are logged
 * as errors. */
MATRIX_API matrix_status matrix_set_log_callback(matrix_context context, matrix_log_level level,
                                                 matrix_callback callback, void *user_data);
/** Questions of the runtime to the host go to `callback`. Without one they are answered
 * E_NOT_HANDLED. */
MATRIX_API matrix_status matrix_set_call_callback(matrix_context context, matrix_callback callback,
                                                  void *user_data);
/** Answers a question (NULL: an empty answer). E_INVALID_HANDLE when it was answered or has timed
 * out. */
MATRIX_API matrix_status matrix_respond(matrix_context context, uint64_t call_id,
                                        matrix_map *answer);
/**
 * Ends the context: everything still open calls back with what it has or E_SHUTDOWN before this
 * returns, and all handles of the context are void. Requests in flight are ended, not waited for:
 * `timeout_ms` (< 0: 2,000) is what the runtime gets to close its connections and stores; what it
 * then still holds ends as E_SHUTDOWN all the same.
 */
MATRIX_API matrix_status matrix_shutdown(matrix_context context, int timeout_ms);

/* ---- clients -------------------------------------------------------------------------------- */

/** Makes a client; nothing is sent yet. The keys of `options` are in docs/reference (client
 * options). */
MATRIX_API matrix_status matrix_create_client(matrix_context context, matrix_map *options,
                                              matrix_client *client);
/** Closes a client: its requests call back with E_CANCELLED, its subscriptions end. It is not a
 * logout. */
MATRIX_API matrix_status matrix_close_client(matrix_client client);

/* ---- requests ------------------------------------------------------------------------------- */

/**
 * Submits any operation by name with all its arguments in one map; the typed functions of
 * operations.gen.h do the same. Without a callback the reply waits for matrix_wait(); so one of
 * `callback` and `request` must be given.
 */
MATRIX_API matrix_status matrix_submit(matrix_client client, const char *operation,
                                       matrix_map *arguments, matrix_callback callback,
                                       void *user_data, matrix_request *request);
/** A callback that does nothing: for requests whose result does not matter. */
MATRIX_API void matrix_ignore(const matrix_reply *reply, void *user_data);
/** Progress reports of `request` go to `callback`, all of them before the final one. */
MATRIX_API matrix_status matrix_set_progress_callback(matrix_request request,
                                                      matrix_callback callback, void *user_data);
/** Asks for the end of a request. It still calls back once: E_CANCELLED, or its result if that was
 * faster. */
MATRIX_API matrix_status matrix_cancel(matrix_request request);
/**
 * Waits for a request that was submitted without a callback; `*reply` is then the caller's. With
 * `reply` NULL it is freed: for requests that only have to be over. E_TIMEOUT leaves the request as
 * it was. `timeout_ms` < 0 waits without limit. It runs no callbacks: events and log records that
 * came before the result still wait for matrix_dispatch().
 */
MATRIX_API matrix_status matrix_wait(matrix_request request, int timeout_ms, matrix_reply **reply);

/* ---- subscriptions -------------------------------------------------------------------------- */

/**
 * Gives the events of `kind` to `callback`; the kinds and the keys of `filter` (may be NULL) are in
 * docs/reference. A subscription made before a sync is submitted gets that sync's first event.
 */
MATRIX_API matrix_status matrix_subscribe(matrix_client client, const char *kind,
                                          matrix_map *filter, matrix_callback callback,
                                          void *user_data, matrix_subscription *subscription);
/** Ends a subscription, also from inside its callback, which does not run again. */
MATRIX_API matrix_status matrix_unsubscribe(matrix_subscription subscription);

/* ---- version -------------------------------------------------------------------------------- */

/** What is loaded; static. Grows at the end only. */
typedef struct matrix_version_info {
    uint32_t api_version; /**< MATRIX_API_VERSION of the library */
    const char *version;  /**< "0.1.0" */
    const char *python;   /**< the Python it carries, "3.11.7" */
    const char *yyjson;   /**< the JSON parser it carries */
} matrix_version_info;

/** The versions of what is loaded; works before matrix_init(). Never NULL. */
MATRIX_API const matrix_version_info *matrix_version(void);

#include <matrix/operations.gen.h>

#ifdef __cplusplus
}
#endif

#endif
