/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_bridge.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <yyjson.h>

struct fake_counts fake;
atomic_bool fake_is_busy;
atomic_bool fake_is_stubborn;
char fake_last_body[4096];
const struct matrix_bridge_core *fake_core;

struct message {
    const char *kind;
    uint64_t context;
    uint64_t client;
    uint64_t target;
    const char *name;
    yyjson_val *body;
};

/* Subscriptions and requests that wait for something, by a linear search: tests have few. */
struct entry {
    struct entry *next;
    uint64_t context;
    uint64_t client;
    uint64_t id;
    uint64_t call;
};

static struct entry *subscriptions;
static struct entry *waiting;
static uint64_t last_call;
static bool is_dead;

/* ---- frames --------------------------------------------------------------------------------- */

static char *out;
static size_t out_size;
static size_t out_capacity;

static void add_frame(int kind, int flags, uint64_t context, uint64_t target, uint64_t extra,
                      const char *json, size_t size) {
    struct matrix_frame frame = {(uint32_t)size, (uint16_t)kind, (uint16_t)flags,
                                 context,        target,         extra};
    size_t needed = out_size + sizeof frame + size + 1;

    if (needed > out_capacity) {
        out_capacity = needed * 2;
        out = realloc(out, out_capacity);
    }
    memcpy(out + out_size, &frame, sizeof frame);
    memcpy(out + out_size + sizeof frame, json, size);
    out[needed - 1] = 0;
    out_size = needed;
}

static int flush(void) {
    int full;

    if (!out_size) {
        return 0;
    }
    fake_count(&fake.posts_begun);
    full = fake_core->post(out, out_size);
    fake_count(&fake.posts);
    out_size = 0;
    return full;
}

int fake_post(int kind, int flags, uint64_t context, uint64_t target, uint64_t extra,
              const char *json) {
    size_t size = strlen(json);
    size_t total = sizeof(struct matrix_frame) + size + 1;
    struct matrix_frame frame = {(uint32_t)size, (uint16_t)kind, (uint16_t)flags,
                                 context,        target,         extra};
    char *block = malloc(total);
    int full;

    memcpy(block, &frame, sizeof frame);
    memcpy(block + sizeof frame, json, size + 1);
    full = fake_core->post(block, total);
    free(block);
    return full;
}

static void add_text(int kind, int flags, const struct message *message, uint64_t target,
                     const char *json) {
    add_frame(kind, flags, message->context, target, 0, json, strlen(json));
}

/* ---- entries -------------------------------------------------------------------------------- */

static struct entry *remember(struct entry **list, const struct message *message) {
    struct entry *entry = calloc(1, sizeof *entry);

    *entry = (struct entry){*list, message->context, message->client, message->target, 0};
    *list = entry;
    return entry;
}

static bool forget(struct entry **list, uint64_t id) {
    for (; *list; list = &(*list)->next) {
        struct entry *entry = *list;
        if (entry->id == id || (entry->call && entry->call == id)) {
            *list = entry->next;
            free(entry);
            return true;
        }
    }
    return false;
}

static void forget_all(struct entry **list, uint64_t context, uint64_t client) {
    while (*list) {
        struct entry *entry = *list;
        if (entry->context == context && (!client || entry->client == client)) {
            *list = entry->next;
            free(entry);
        } else {
            list = &entry->next;
        }
    }
}

/* ---- operations ----------------------------------------------------------------------------- */

static int64_t option(const struct message *message, const char *name) {
    return yyjson_get_sint(yyjson_obj_get(message->body, name));
}

static void ask(const struct message *message) {
    struct entry *entry = remember(&waiting, message);
    char question[256];

    entry->call = ++last_call;
    snprintf(question, sizeof question, "{\"name\":\"%.60s\",\"payload\":null,\"timeout_ms\":%d}",
             yyjson_get_str(yyjson_obj_get(message->body, "host_call")),
             (int)option(message, "host_call_timeout_ms"));
    add_frame(MATRIX_FRAME_CALL, 0, message->context, entry->call, message->target, question,
              strlen(question));
}

static void ping(const struct message *message) {
    yyjson_val *payload = yyjson_obj_get(message->body, "payload");
    int64_t count = option(message, "progress_count");
    char *text = payload ? yyjson_val_write(payload, 0, NULL) : NULL;
    size_t size = (text ? strlen(text) : 0) + 32;
    char *json = malloc(size);

    for (int64_t done = 1; done <= count; done++) {
        snprintf(json, size, "{\"done\":%d,\"total\":%d}", (int)done, (int)count);
        add_text(MATRIX_FRAME_PROGRESS, 0, message, message->target, json);
    }
    if (yyjson_obj_get(message->body, "host_call")) {
        ask(message);
    } else if (option(message, "delay_ms") >= 1000) {
        remember(&waiting, message);
    } else if (text) {
        int written = snprintf(json, size, "{\"payload\":%s}", text);
        add_frame(MATRIX_FRAME_RESULT, MATRIX_FRAME_OK, message->context, message->target, 0, json,
                  (size_t)written);
    } else {
        add_text(MATRIX_FRAME_RESULT, MATRIX_FRAME_OK, message, message->target, "{}");
    }
    free(json);
    free(text);
}

static void sync_once(const struct message *message) {
    static const char event[] = "{\"kind\":\"message\",\"room_id\":\"!r:x\",\"event_id\":\"$%d\","
                                "\"type\":\"m.room.message\",\"origin_server_ts\":%d}";
    char json[256];

    for (int64_t number = 0; number < option(message, "timeout_ms"); number++) {
        snprintf(json, sizeof json, event, (int)number, (int)number);
        for (struct entry *entry = subscriptions; entry; entry = entry->next) {
            if (entry->client == message->client) {
                add_text(MATRIX_FRAME_EVENT, 0, message, entry->id, json);
            }
        }
    }
    add_frame(MATRIX_FRAME_MARK, 0, message->context, message->client, 7, "", 0);
    add_text(MATRIX_FRAME_RESULT, MATRIX_FRAME_OK, message, message->target,
             "{\"next_batch\":\"s1\"}");
}

static void request(const struct message *message) {
    static const char failure[] = "{\"code\":\"M_UNKNOWN_TOKEN\",\"message\":\"no such token\","
                                  "\"http_status\":401}";

    fake_count(&fake.requests);
    if (!strcmp(message->name, "ping")) {
        ping(message);
    } else if (!strcmp(message->name, "sync_once")) {
        sync_once(message);
    } else if (!strcmp(message->name, "whoami")) {
        add_text(MATRIX_FRAME_RESULT, 0, message, message->target, failure);
    } else if (!strcmp(message->name, "logout")) {
        flush();
        fake_core->failed("E_PYTHON", "the fake has died");
        is_dead = true;
    } else {
        add_text(MATRIX_FRAME_RESULT, MATRIX_FRAME_OK, message, message->target, "{}");
    }
}

static void respond(const struct message *message) {
    struct entry *entry = waiting;
    char *text = yyjson_val_write(message->body, 0, NULL);
    char json[512];

    while (entry && entry->call != message->target) {
        entry = entry->next;
    }
    fake_count(message->name[0] ? &fake.not_handled : &fake.answers);
    if (entry && message->name[0]) {
        snprintf(json, sizeof json, "{\"code\":\"%.60s\",\"message\":\"nobody\"}", message->name);
        add_text(MATRIX_FRAME_RESULT, 0, message, entry->id, json);
    } else if (entry) {
        snprintf(json, sizeof json, "{\"answer\":%.400s}", text);
        add_text(MATRIX_FRAME_RESULT, MATRIX_FRAME_OK, message, entry->id, json);
    }
    forget(&waiting, message->target);
    free(text);
}

static void cancel(const struct message *message) {
    fake_count(&fake.cancels);
    if (forget(&waiting, message->target)) {
        add_text(MATRIX_FRAME_RESULT, 0, message, message->target,
                 "{\"code\":\"E_CANCELLED\",\"message\":\"cancelled\"}");
    }
}

/* ---- messages ------------------------------------------------------------------------------- */

static void close_context(const struct message *message) {
    forget_all(&waiting, message->context, 0);
    forget_all(&subscriptions, message->context, 0);
    fake_count(&fake.closed_contexts);
    if (!atomic_load(&fake_is_stubborn)) {
        add_text(MATRIX_FRAME_CLOSED, 0, message, 0, "");
    }
}

static void close_client(const struct message *message) {
    forget_all(&waiting, message->context, message->client);
    forget_all(&subscriptions, message->context, message->client);
    fake_count(&fake.closed_clients);
}

static void keep_body(const struct message *message) {
    char *text = yyjson_val_write(message->body, 0, NULL);

    snprintf(fake_last_body, sizeof fake_last_body, "%s", text);
    free(text);
}

static void handle(const struct message *message) {
    const char *kind = message->kind;

    if (!strcmp(kind, "request")) {
        request(message);
    } else if (!strcmp(kind, "cancel")) {
        cancel(message);
    } else if (!strcmp(kind, "respond")) {
        respond(message);
    } else if (!strcmp(kind, "close_context")) {
        close_context(message);
    } else if (!strcmp(kind, "close_client")) {
        close_client(message);
    } else if (!strcmp(kind, "subscribe")) {
        remember(&subscriptions, message);
        keep_body(message);
        fake_count(&fake.subscriptions);
    } else if (!strcmp(kind, "unsubscribe")) {
        forget(&subscriptions, message->target);
        fake_count(&fake.unsubscriptions);
    } else if (!strcmp(kind, "open_context")) {
        keep_body(message);
        fake_count(&fake.contexts);
    } else if (!strcmp(kind, "create_client")) {
        keep_body(message);
        fake_count(&fake.clients);
    } else if (!strcmp(kind, "consumed")) {
        if (message->target == 7) {
            fake_count(&fake.consumed);
        }
    } else if (!strcmp(kind, "drained")) {
        fake_count(&fake.drained);
    } else if (!strcmp(kind, "log_level")) {
        fake_count(&fake.log_levels);
    } else {
        abort();
    }
}

static void take_all(void) {
    const char *json = NULL;
    size_t size = fake_core->take(&json);
    yyjson_doc *document = size ? yyjson_read(json, size, 0) : NULL;
    yyjson_val *value;
    size_t index, max;

    if (size && !document) {
        fprintf(stderr, "the inbox is no JSON: %.300s\n", json);
        abort();
    }
    yyjson_arr_foreach(yyjson_doc_get_root(document), index, max, value) {
        struct message message = {
            yyjson_get_str(yyjson_arr_get(value, 0)),  yyjson_get_uint(yyjson_arr_get(value, 1)),
            yyjson_get_uint(yyjson_arr_get(value, 2)), yyjson_get_uint(yyjson_arr_get(value, 3)),
            yyjson_get_str(yyjson_arr_get(value, 4)),  yyjson_arr_get(value, 5)};
        if (yyjson_arr_size(value) != 6 || !message.kind || !message.name) {
            abort();
        }
        handle(&message);
        if (is_dead) {
            break;
        }
    }
    flush();
    yyjson_doc_free(document);
}

int matrix_bridge_main(const struct matrix_bridge_core *core) {
    struct pollfd readable = {.fd = core->request_fd, .events = POLLIN};

    fake_core = core;
    core->ready();
    while (!core->stopping() && !is_dead) {
        if (atomic_load(&fake_is_busy)) {
            fake_count(&fake.busy_turns);
            usleep(1000); /* it looks at nothing but whether it is to stop, which no one signals */
            continue;
        }
        poll(&readable, 1, -1);
        take_all();
    }
    free(out);
    out = NULL;
    return 0;
}

void fake_count(atomic_int *counter) {
    atomic_fetch_add(counter, 1);
    syscall(SYS_futex, counter, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

bool fake_reaches(atomic_int *counter, int wanted) {
    struct timespec most = {.tv_sec = 10};
    int value;

    while ((value = atomic_load(counter)) < wanted) {
        if (syscall(SYS_futex, counter, FUTEX_WAIT, value, &most, NULL, 0) < 0 &&
            errno == ETIMEDOUT) {
            return atomic_load(counter) >= wanted;
        }
    }
    return true;
}
