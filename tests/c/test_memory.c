/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory runs short at every single allocation the host's thread makes, one after the other: each
 * call is then refused or works, and nothing crashes, leaks or is answered twice. Linked with
 * --wrap for the allocator.
 */
#include "core_check.h"

static _Thread_local int allocations_left = -1; /* -1: no limit */
static _Thread_local bool has_failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool may_allocate(void) {
    if (allocations_left < 0) {
        return true;
    }
    has_failed |= allocations_left == 0;
    return allocations_left > 0 && allocations_left-- > 0;
}

void *__wrap_malloc(size_t size) {
    return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size) {
    return may_allocate() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *memory, size_t size) {
    return may_allocate() ? __real_realloc(memory, size) : NULL;
}

static void allow(int count) {
    allocations_left = count;
    has_failed = false;
}

/* What the calls of one round have been promised, and what they got. */
static int accepted;
static int ended;

static void end(const matrix_reply *reply, void *user_data) {
    matrix_reply_value(reply);
    matrix_reply_error(reply);
    matrix_reply_as_event(reply, matrix_reply_value(reply));
    matrix_reply_free(matrix_reply_keep(reply));
    *(int *)user_data += 1;
}

static bool check(matrix_status status) {
    CHECK(status == MATRIX_OK || status == MATRIX_E_NO_MEMORY ||
          status == MATRIX_E_INVALID_ARGUMENT);
    CHECK(status == MATRIX_OK || has_failed);
    return status == MATRIX_OK;
}

static matrix_map *build_map(void) {
    matrix_map *map = matrix_map_new();

    if (map) {
        check(matrix_map_set_int(map, "delay_ms", 5));
        check(matrix_map_set_json(map, "payload", "[1,{\"a\":\"b\"},0.5]", 17));
        check(matrix_map_set_double(map, "payload", 0.25));
        check(matrix_map_set_strings(map, "payload", (const char *[]){"a", "b"}, 2));
        check(matrix_map_set_map(map, "payload", map));
    }
    return map;
}

static void use_client(matrix_context context, matrix_client client) {
    matrix_subscription subscription = {0};
    matrix_request request = {0};
    matrix_reply *reply = NULL;
    matrix_map *map = build_map(), *read = NULL;
    static int events;

    if (check(matrix_map_from_json("{\"timeout_ms\":3}", 16, &read))) {
        check(matrix_subscribe(client, "message", NULL, end, &events, &subscription));
        accepted += check(matrix_sync_once(client, read, end, &ended, NULL));
    }
    accepted += check(matrix_ping(client, map, end, &ended, NULL));
    accepted += check(
        matrix_send_text(client, "!r:x", "a long text \xe2\x82\xac", NULL, end, &ended, NULL));
    accepted += check(matrix_whoami(client, NULL, end, &ended, NULL));
    if (check(matrix_ping(client, NULL, NULL, NULL, &request))) {
        matrix_status status;
        do {
            status = matrix_wait(request, 1, &reply);
        } while (status == MATRIX_E_TIMEOUT);
        check(status);
        matrix_reply_free(reply);
    }
    CHECK(matrix_send_text(client, NULL, NULL, NULL, end, &ended, NULL) < 0);
    CHECK(matrix_dispatch(context, 1, 0) >= MATRIX_E_NO_MEMORY);
    matrix_map_free(map);
    matrix_map_free(read);
}

/* One round with `count` allocations; true when one more was wanted. */
static bool round_with(int count) {
    matrix_context context = {0};
    matrix_client client = {0};
    matrix_map *options = map_of("{\"homeserver\":\"http://h\"}");
    bool wanted_more;

    accepted = ended = 0;
    allow(count);
    if (check(matrix_init(NULL, &context))) {
        check(matrix_set_log_callback(context, MATRIX_LOG_LEVEL_ERROR, matrix_ignore, NULL));
        if (check(matrix_create_client(context, options, &client))) {
            use_client(context, client);
        }
    }
    wanted_more = has_failed;
    allow(-1);
    if (context.id) {
        CHECK_OK(matrix_shutdown(context, -1));
    }
    CHECK(accepted == ended);
    matrix_map_free(options);
    return wanted_more;
}

int main(void) {
    int count = 0;

    /* The first context, and with it the runtime thread, is made in the first round that can. */
    while (round_with(count)) {
        count++;
    }
    CHECK(count > 20 && count < 2000);
    return 0;
}
