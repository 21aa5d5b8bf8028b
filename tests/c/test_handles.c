/* SPDX-License-Identifier: Apache-2.0 */
/* Handle numbers and the table behind them. */
#include "core_check.h"
#include "handles.h"

enum { COUNT = 20000 };

static void numbers_hold_their_parts(void) {
    uint64_t id = handle_make(TAG_SUBSCRIPTION, HANDLE_SLOTS - 1, HANDLE_MAX_SERIAL);

    CHECK(id < (UINT64_C(1) << 63));
    CHECK(handle_tag(id) == TAG_SUBSCRIPTION);
    CHECK(handle_slot(id) == HANDLE_SLOTS - 1);
    CHECK(handle_serial(id) == HANDLE_MAX_SERIAL);
    CHECK(handle_tag(0) == 0);
}

/* Against a plain array, with a mix of short and long lives. */
static void table_agrees_with_an_array(void) {
    static char present[COUNT];
    struct handle_map map = {0};
    unsigned random = 1;
    size_t count = 0;

    CHECK(handle_map_find(&map, 5) == NULL);
    CHECK(handle_map_remove(&map, 5) == NULL);
    for (int step = 0; step < 400000; step++) {
        unsigned number;
        random = random * 1103515245u + 12345u;
        number = (random >> 8) % COUNT;
        if (present[number]) {
            CHECK(handle_map_remove(&map, number + 1) == &present[number]);
            CHECK(handle_map_find(&map, number + 1) == NULL);
        } else {
            CHECK(handle_map_remove(&map, number + 1) == NULL);
            CHECK(handle_map_insert(&map, number + 1, &present[number]));
        }
        present[number] = !present[number];
        count = present[number] ? count + 1 : count - 1;
        CHECK(map.count == count);
    }
    for (unsigned number = 0; number < COUNT; number++) {
        void *expected = present[number] ? &present[number] : NULL;
        CHECK(handle_map_find(&map, number + 1) == expected);
    }
    handle_map_free(&map);
}

/* A slot is used again; its numbers are not. */
static void numbers_are_never_used_again(void) {
    uint64_t last = 0;

    for (int round = 0; round < 50; round++) {
        matrix_context context = open_context(NULL);
        matrix_client client = open_client(context);
        matrix_request request = ping(client, NULL, NULL, NULL);

        CHECK(handle_slot(context.id) == 0);
        CHECK(handle_serial(context.id) > last);
        CHECK(handle_serial(client.id) > handle_serial(context.id));
        CHECK(handle_serial(request.id) > handle_serial(client.id));
        last = handle_serial(request.id);
        CHECK_OK(matrix_shutdown(context, -1));
        CHECK_STATUS(matrix_dispatch(context, 0, 0), MATRIX_E_INVALID_HANDLE);
        CHECK_STATUS(matrix_close_client(client), MATRIX_E_INVALID_HANDLE);
        CHECK_STATUS(matrix_cancel(request), MATRIX_E_INVALID_HANDLE);
    }
}

static void handles_of_other_kinds_are_invalid(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    matrix_request request = ping(client, FOREVER, matrix_ignore, NULL);
    matrix_reply *reply = NULL;
    uint64_t wrong[] = {0, 1, UINT64_MAX, context.id + 1, context.id, client.id, request.id};

    for (size_t index = 0; index < sizeof wrong / sizeof *wrong; index++) {
        uint64_t id = wrong[index];
        if (id != context.id) {
            CHECK_STATUS(matrix_dispatch((matrix_context){id}, 0, 0), MATRIX_E_INVALID_HANDLE);
            CHECK_STATUS(matrix_shutdown((matrix_context){id}, 0), MATRIX_E_INVALID_HANDLE);
        }
        if (id != client.id) {
            CHECK_STATUS(matrix_ping((matrix_client){id}, NULL, matrix_ignore, NULL, NULL),
                         MATRIX_E_INVALID_HANDLE);
            CHECK_STATUS(matrix_close_client((matrix_client){id}), MATRIX_E_INVALID_HANDLE);
        }
        if (id != request.id) {
            CHECK_STATUS(matrix_cancel((matrix_request){id}), MATRIX_E_INVALID_HANDLE);
            CHECK_STATUS(matrix_wait((matrix_request){id}, 0, &reply), MATRIX_E_INVALID_HANDLE);
        }
        CHECK_STATUS(matrix_unsubscribe((matrix_subscription){id}), MATRIX_E_INVALID_HANDLE);
    }
    CHECK_OK(matrix_shutdown(context, -1));
}

static void many_contexts_at_once(void) {
    static matrix_context contexts[300];
    struct tally tallies[300] = {{0}};

    for (int index = 0; index < 300; index++) {
        contexts[index] = open_context(NULL);
        ping(open_client(contexts[index]), NULL, count_reply, &tallies[index]);
    }
    for (int index = 0; index < 300; index++) {
        pump(contexts[index], &tallies[index].ok, 1);
        CHECK_OK(matrix_shutdown(contexts[index], -1));
    }
}

int main(void) {
    numbers_hold_their_parts();
    table_agrees_with_an_array();
    numbers_are_never_used_again();
    handles_of_other_kinds_are_invalid();
    many_contexts_at_once();
    return 0;
}
