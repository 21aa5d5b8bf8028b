/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages lie one after the other in chunks, each with a comma in front. Taking swaps the chunks
 * out under the lock and makes one list of them outside it: a single chunk becomes the list in
 * place.
 */
#include "inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define CHUNK_SIZE 65536
#define LARGE_SIZE 16384 /* from here on a message is taken over instead of copied */
#define TAIL_SIZE 2      /* for "]" and NUL */
#define SPARES 4

static struct {
    pthread_mutex_t lock;
    int fd; /* immutable once opened */
    /* ---- protected by lock ------------------------------------------------------------------ */
    struct chunk *first;
    struct chunk *last;
    struct chunk *spares; /* empty ones, so that a busy inbox allocates nothing */
    size_t spare_count;
    uint64_t epoch; /* counts takes: what a context had pending before is gone */
    bool closed;
    /* ---- the runtime thread's own ----------------------------------------------------------- */
    struct chunk *taken;
    char *joined;
} inbox = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

matrix_status core_inbox_open(void) {
    int index;

    if (inbox.fd < 0) {
        inbox.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    if (inbox.fd < 0) {
        return errno == ENOMEM ? MATRIX_E_NO_MEMORY : MATRIX_E_TOO_MANY_FILES;
    }
    for (index = 0; index < 2 && inbox.spare_count < 2; index++) {
        struct chunk *chunk = malloc(sizeof *chunk + CHUNK_SIZE);
        if (!chunk) {
            return MATRIX_E_NO_MEMORY;
        }
        chunk->capacity = CHUNK_SIZE;
        chunk->next = inbox.spares;
        inbox.spares = chunk;
        inbox.spare_count++;
    }
    return MATRIX_OK;
}

int core_inbox_fd(void) {
    return inbox.fd;
}

void core_inbox_wake(void) {
    static const uint64_t one = 1;
    ssize_t written = write(inbox.fd, &one, sizeof one);
    (void)written; /* it fails only when the fd is readable already */
}

/* ---- messages ------------------------------------------------------------------------------- */

void core_message_begin(struct buffer *buffer, const char *kind, uint64_t context, uint64_t client,
                        uint64_t target, const char *name) {
    buffer_init(buffer);
    buffer_literal(buffer, ",[\"");
    buffer_literal(buffer, kind);
    buffer_literal(buffer, "\",");
    buffer_unsigned(buffer, context);
    buffer_literal(buffer, ",");
    buffer_unsigned(buffer, client);
    buffer_literal(buffer, ",");
    buffer_unsigned(buffer, target);
    buffer_literal(buffer, ",\"");
    buffer_literal(buffer, name);
    buffer_literal(buffer, "\",");
}

void core_message_end(struct buffer *buffer) {
    buffer_literal(buffer, "]");
    if (buffer->chunk) {
        buffer_reserve(buffer, TAIL_SIZE);
    }
}

static void link_chunk(struct chunk *chunk) {
    chunk->next = NULL;
    if (inbox.last) {
        inbox.last->next = chunk;
    } else {
        inbox.first = chunk;
    }
    inbox.last = chunk;
}

/* An empty chunk at the end. The last spare one is for messages that must get through. */
static bool extend(enum inbox_bound bound) {
    struct chunk *chunk;

    if (inbox.spare_count > 1) {
        chunk = inbox.spares;
    } else {
        chunk = malloc(sizeof *chunk + CHUNK_SIZE);
        if (!chunk && (bound == INBOX_BOUNDED || !inbox.spares)) {
            return false;
        }
    }
    if (!chunk || chunk == inbox.spares) {
        chunk = inbox.spares;
        inbox.spares = chunk->next;
        inbox.spare_count--;
    }
    chunk->capacity = CHUNK_SIZE;
    chunk->used = 0;
    link_chunk(chunk);
    return true;
}

static matrix_status add(struct buffer *buffer, enum inbox_bound bound) {
    if (buffer->chunk && buffer->used >= LARGE_SIZE) {
        buffer->chunk->used = buffer->used;
        buffer->chunk->capacity = buffer->used + TAIL_SIZE; /* full: nothing is put behind it */
        link_chunk(buffer->chunk);
        buffer->chunk = NULL;
        return MATRIX_OK;
    }
    if (!inbox.last || inbox.last->capacity - inbox.last->used < buffer->used + TAIL_SIZE) {
        if (!extend(bound)) {
            return MATRIX_E_NO_MEMORY;
        }
    }
    memcpy(inbox.last->data + inbox.last->used, buffer->data, buffer->used);
    inbox.last->used += buffer->used;
    return MATRIX_OK;
}

void core_inbox_begin(struct context *context) {
    pthread_mutex_lock(&inbox.lock);
    context->pending_bytes = 0;
    pthread_mutex_unlock(&inbox.lock);
}

matrix_status core_inbox_add(struct context *context, struct buffer *buffer, enum inbox_bound bound,
                             bool *wake) {
    matrix_status status = MATRIX_OK;
    bool was_empty;

    pthread_mutex_lock(&inbox.lock);
    if (context->pending_epoch != inbox.epoch) {
        context->pending_epoch = inbox.epoch;
        context->pending_bytes = 0;
    }
    was_empty = !inbox.first;
    if (inbox.closed) {
        pthread_mutex_unlock(&inbox.lock);
        return MATRIX_OK;
    }
    if (bound == INBOX_BOUNDED && buffer->used > context->limits.request_bytes) {
        status = MATRIX_E_TOO_LARGE;
    } else if (bound == INBOX_BOUNDED &&
               context->pending_bytes + buffer->used > context->limits.request_bytes) {
        status = MATRIX_E_QUEUE_FULL;
    } else {
        status = add(buffer, bound);
    }
    if (!status) {
        context->pending_bytes += buffer->used;
        *wake = *wake || was_empty;
    }
    pthread_mutex_unlock(&inbox.lock);
    return status;
}

void core_inbox_note(struct context *context, const char *kind, uint64_t client, uint64_t target,
                     const char *name, bool *wake) {
    struct buffer buffer;

    core_message_begin(&buffer, kind, context->id, client, target, name);
    buffer_literal(&buffer, "null");
    core_message_end(&buffer);
    core_inbox_add(context, &buffer, INBOX_ALWAYS, wake);
}

/* ---- the runtime's side --------------------------------------------------------------------- */

static void free_chunks(struct chunk *chunk) {
    while (chunk) {
        struct chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

/* Keeps chunks of the usual size for the next messages; returns the others, to be freed. Under the
 * lock. */
static struct chunk *recycle(struct chunk *chunk) {
    struct chunk *rest = NULL;

    while (chunk) {
        struct chunk *next = chunk->next;
        struct chunk **list = &rest;
        if (chunk->capacity == CHUNK_SIZE && inbox.spare_count < SPARES) {
            list = &inbox.spares;
            inbox.spare_count++;
        }
        chunk->next = *list;
        *list = chunk;
        chunk = next;
    }
    return rest;
}

/* All chunks as one text; the first byte of each chunk is its comma. */
static size_t join(const struct chunk *first, char **text) {
    const struct chunk *chunk;
    size_t size = 0;

    for (chunk = first; chunk; chunk = chunk->next) {
        size += chunk->used;
    }
    *text = malloc(size + TAIL_SIZE);
    if (!*text) {
        return 0;
    }
    size = 0;
    for (chunk = first; chunk; chunk = chunk->next) {
        memcpy(*text + size, chunk->data, chunk->used);
        size += chunk->used;
    }
    return size;
}

/* Waits for memory: what was accepted is never lost, and only the runtime waits. */
static size_t join_patiently(const struct chunk *first, char **text) {
    size_t size = join(first, text);

    while (!size) {
        usleep(10000);
        size = join(first, text);
    }
    return size;
}

size_t core_inbox_take(const char **json) {
    struct chunk *rest;
    uint64_t counter;
    size_t size;
    char *text;
    ssize_t ignored = read(inbox.fd, &counter, sizeof counter);

    (void)ignored;
    free(inbox.joined);
    inbox.joined = NULL;
    pthread_mutex_lock(&inbox.lock);
    rest = recycle(inbox.taken);
    inbox.taken = inbox.first;
    inbox.first = inbox.last = NULL;
    inbox.epoch++;
    pthread_mutex_unlock(&inbox.lock);
    free_chunks(rest);
    if (!inbox.taken) {
        *json = "[]";
        return 0;
    }
    if (inbox.taken->next) {
        size = join_patiently(inbox.taken, &inbox.joined);
        text = inbox.joined;
    } else {
        text = inbox.taken->data;
        size = inbox.taken->used;
    }
    text[0] = '[';
    text[size++] = ']';
    text[size] = 0;
    *json = text;
    return size;
}

void core_inbox_close(void) {
    struct chunk *chunk;

    pthread_mutex_lock(&inbox.lock);
    inbox.closed = true;
    chunk = inbox.first;
    inbox.first = inbox.last = NULL;
    pthread_mutex_unlock(&inbox.lock);
    free_chunks(chunk);
}
