/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one runtime thread of the process: started by the first context, never restarted, told to
 * stop by exit().
 */
#include "runtime.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inbox.h"
#include "load.h"
#include "tame.h"

#define STACK_SIZE (8u << 20) /* as a main thread has: Python and its extensions count on it */
#define EXIT_WAIT_MS 500
#define FAILURE_SIZE 1024

enum runtime_state { RUNTIME_NONE, RUNTIME_STARTING, RUNTIME_READY, RUNTIME_FAILED };

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* ---- protected by lock ------------------------------------------------------------------ */
    enum runtime_state state;
    bool prepared;
    matrix_status failure_status;
    char failure_message[FAILURE_SIZE];
    /* ---- atomic ----------------------------------------------------------------------------- */
    _Atomic(const struct static_text *) failure; /* set once, never freed */
    atomic_bool forked;
    atomic_bool stopping;
    /* -- written under lock before the thread runs -- */
    pthread_t thread;
    pid_t process;
} runtime = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool core_forked(void) {
    return atomic_load_explicit(&runtime.forked, memory_order_relaxed);
}

bool core_stopping(void) {
    return atomic_load(&runtime.stopping);
}

/* ---- failure -------------------------------------------------------------------------------- */

const struct static_text *core_runtime_failure(void) {
    return atomic_load(&runtime.failure);
}

struct block *core_runtime_failure_record(void) {
    return core_log_record(runtime.failure_message, matrix_status_string(runtime.failure_status));
}

static const struct static_text *make_failure(const char *code, const char *message) {
    static struct static_text failure;
    struct buffer buffer;
    char *copy;

    buffer_init(&buffer);
    buffer_literal(&buffer, "{\"code\":");
    buffer_string(&buffer, code, strlen(code));
    buffer_literal(&buffer, ",\"message\":");
    buffer_string(&buffer, message, strlen(message));
    buffer_literal(&buffer, "}");
    copy = buffer.no_memory ? NULL : strndup(buffer.data, buffer.used);
    failure.size = buffer.used;
    buffer_free(&buffer);
    failure.data = copy;
    return copy ? &failure : core_status_text(MATRIX_E_NO_MEMORY);
}

static void fail_context(struct context *context, const struct static_text *failure) {
    struct block *record = core_runtime_failure_record();
    bool live;

    pthread_mutex_lock(&context->lock);
    live = context->state != CONTEXT_FREE && !context->failure;
    if (live) {
        context->failure = failure;
        core_end_all_requests(context, failure);
        if (record) {
            core_log_push(context, record);
            record = NULL;
        }
        core_update_due(context);
        pthread_cond_broadcast(&context->due_changed); /* a shutdown need not wait any more */
    }
    pthread_mutex_unlock(&context->lock);
    core_block_release(record);
    if (live) {
        core_wakeup(context);
    }
}

/* What bridge.h calls `failed`. Contexts made from here on learn of it when they are made. */
static void runtime_failed(const char *code, const char *message) {
    const struct static_text *failure;
    struct context *context;
    unsigned slot;

    pthread_mutex_lock(&runtime.lock);
    if (runtime.state == RUNTIME_FAILED) {
        pthread_mutex_unlock(&runtime.lock);
        return;
    }
    snprintf(runtime.failure_message, FAILURE_SIZE, "%s",
             core_is_utf8(message, strlen(message)) ? message : "Python has failed");
    runtime.failure_status = core_status_of(code);
    failure = make_failure(code, runtime.failure_message);
    atomic_store(&runtime.failure, failure);
    runtime.state = RUNTIME_FAILED;
    pthread_cond_broadcast(&runtime.changed);
    pthread_mutex_unlock(&runtime.lock);
    core_inbox_close();
    for (slot = 0; slot < HANDLE_SLOTS && (context = core_slot(slot)); slot++) {
        fail_context(context, failure);
    }
}

/* ---- exit and fork -------------------------------------------------------------------------- */

static void in_forked_child(void) {
    atomic_store(&runtime.forked, true);
}

/*
 * Registered early and once more when Python is up: exit handlers run last in, first out, so the
 * runtime stops before anything Python has loaded is torn down. The second time there is nothing
 * left to wait for.
 */
static void at_exit(void) {
    struct timespec deadline = core_deadline(CLOCK_REALTIME, EXIT_WAIT_MS);
    bool started;

    if (core_forked() || getpid() != runtime.process || atomic_exchange(&runtime.stopping, true)) {
        return;
    }
    pthread_mutex_lock(&runtime.lock);
    started = runtime.state != RUNTIME_NONE;
    pthread_mutex_unlock(&runtime.lock);
    if (started && !pthread_equal(pthread_self(), runtime.thread)) {
        core_inbox_wake();
        pthread_timedjoin_np(runtime.thread, NULL, &deadline);
    }
}

static void runtime_ready(void) {
    pthread_mutex_lock(&runtime.lock);
    if (runtime.state == RUNTIME_STARTING) {
        runtime.state = RUNTIME_READY;
    }
    pthread_cond_broadcast(&runtime.changed);
    pthread_mutex_unlock(&runtime.lock);
    atexit(at_exit);
}

static int is_tame(const char *text, size_t size) {
    return core_is_tame(text, size);
}

static int runtime_stopping(void) {
    return core_stopping();
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void *run(void *unused) {
    struct matrix_bridge_core core = {
        .abi = MATRIX_BRIDGE_ABI,
        .request_fd = core_inbox_fd(),
        .take = core_inbox_take,
        .post = core_post,
        .is_full = core_is_full,
        .is_tame = is_tame,
        .ready = runtime_ready,
        .failed = runtime_failed,
        .stopping = runtime_stopping,
    };
    char message[FAILURE_SIZE];
    bridge_main *bridge;
    const char *code = core_load_bridge(&core, &bridge, message, sizeof message);

    (void)unused;
    pthread_setname_np(pthread_self(), "matrix-runtime");
    if (code) {
        runtime_failed(code, message);
    } else {
        bridge(&core);
        if (!core_stopping()) {
            runtime_failed("E_PYTHON", "the runtime has stopped");
        }
    }
    return NULL;
}

/* The thread inherits the mask: no signal of the process reaches it, or threads it makes. */
static int start_thread(void) {
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    int error;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&runtime.thread, &attributes, run, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return error;
}

static matrix_status prepare(void) {
    matrix_status status = core_inbox_open();

    if (status || runtime.prepared) {
        return status;
    }
    core_cond_init(&runtime.changed);
    if (pthread_atfork(NULL, NULL, in_forked_child) != 0 || atexit(at_exit) != 0) {
        return MATRIX_E_NO_MEMORY;
    }
    runtime.prepared = true;
    core_pin_library();
    return MATRIX_OK;
}

matrix_status core_runtime_start(void) {
    matrix_status status = MATRIX_OK;

    pthread_mutex_lock(&runtime.lock);
    if (core_stopping()) {
        status = MATRIX_E_SHUTDOWN;
    } else if (runtime.state == RUNTIME_NONE) {
        status = prepare();
        runtime.process = getpid();
        runtime.state = status ? RUNTIME_NONE : RUNTIME_STARTING;
        if (!status && start_thread() != 0) {
            runtime.state = RUNTIME_NONE;
            status = MATRIX_E_NO_MEMORY;
        }
    }
    pthread_mutex_unlock(&runtime.lock);
    return status;
}

/* ---- matrix.h ------------------------------------------------------------------------------- */

matrix_status matrix_wait_ready(matrix_context context, int timeout_ms) {
    struct timespec deadline = core_deadline(CLOCK_MONOTONIC, timeout_ms < 0 ? 0 : timeout_ms);
    matrix_status status = MATRIX_E_TIMEOUT;
    struct context *own;
    int error = 0;

    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    own = core_lock_context(context.id);
    if (!own) {
        return MATRIX_E_INVALID_HANDLE;
    }
    pthread_mutex_unlock(&own->lock);
    pthread_mutex_lock(&runtime.lock);
    while (runtime.state == RUNTIME_STARTING && !error) {
        error = timeout_ms < 0 ? pthread_cond_wait(&runtime.changed, &runtime.lock)
                               : pthread_cond_timedwait(&runtime.changed, &runtime.lock, &deadline);
    }
    if (runtime.state == RUNTIME_READY) {
        status = MATRIX_OK;
    } else if (runtime.state == RUNTIME_FAILED) {
        status = runtime.failure_status;
    }
    pthread_mutex_unlock(&runtime.lock);
    return status;
}
