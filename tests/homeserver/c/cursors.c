/* SPDX-License-Identifier: Apache-2.0 */
/**
 * cursors: each promise of CURSORS in matrix.h is a function of its name. MATRIX_COUNT messages
 * "number N" are in the room. See people.h.
 */
#include "people.h"

enum { SIZE = 10 };

static const char *room_id;
static matrix_client alice;
static int count;

static int64_t open_cursor(const char *json) {
    matrix_map *options = map_of(json);
    matrix_request request = {0};
    matrix_reply *reply;
    int64_t cursor;

    CHECK_OK(matrix_open_cursor(alice, room_id, options, NULL, NULL, &request));
    reply = take_ok(request);
    cursor = matrix_value_get_int(matrix_reply_value(reply), "cursor", 0);
    CHECK(cursor > 0);
    matrix_reply_free(reply);
    matrix_map_free(options);
    return cursor;
}

static matrix_request read_page(int64_t cursor) {
    matrix_request request = {0};

    CHECK_OK(matrix_read_cursor(alice, cursor, NULL, NULL, NULL, &request));
    return request;
}

static void close_cursor(int64_t cursor, bool was_open) {
    matrix_request request = {0};
    matrix_reply *reply;

    CHECK_OK(matrix_close_cursor(alice, cursor, NULL, NULL, NULL, &request));
    reply = take_ok(request);
    CHECK(matrix_value_get_bool(matrix_reply_value(reply), "was_open", !was_open) == was_open);
    matrix_reply_free(reply);
}

/** Frees the reply. Goes on from `last` by `step` with the messages of a page; whether more
 * follows. */
static bool follow_reply(matrix_reply *reply, int *last, int step) {
    const matrix_value *value = matrix_reply_value(reply), *events;
    bool is_at_end = matrix_value_get_bool(value, "is_at_end", false);

    events = matrix_value_get(value, "events");
    for (size_t i = 0; i < matrix_value_count(events); i++) {
        const matrix_event *event = matrix_reply_as_event(reply, matrix_value_at(events, i));
        int number = 0;

        if (event->body && sscanf(event->body, "number %d", &number) == 1) {
            CHECK(number == *last + step);
            *last = number;
        }
    }
    CHECK(is_at_end || matrix_value_count(events) > 0);
    matrix_reply_free(reply);
    return !is_at_end;
}

static bool follow(matrix_request request, int *last, int step) {
    return follow_reply(take_ok(request), last, step);
}

static void every_event_once_in_order(void) {
    int64_t backward = open_cursor("{\"page_size\": 10}");
    int64_t forward = open_cursor("{\"page_size\": 7, \"direction\": \"forward\"}");
    int last = count + 1;

    while (follow(read_page(backward), &last, -1))
        ;
    CHECK(last == 1);
    last = 0;
    while (follow(read_page(forward), &last, 1))
        ;
    CHECK(last == count);
    /* At the end it stays there, empty. */
    CHECK(!follow(read_page(forward), &last, 1) && last == count);
    close_cursor(backward, true);
    close_cursor(forward, true);
}

/** The id and the moment of the message with a number. */
static int64_t look_up(int wanted, char *event_id) {
    int64_t cursor = open_cursor("{\"page_size\": 500}"), moment = 0;
    matrix_reply *reply = take_ok(read_page(cursor));
    const matrix_value *events = matrix_value_get(matrix_reply_value(reply), "events");

    for (size_t i = 0; i < matrix_value_count(events); i++) {
        const matrix_event *event = matrix_reply_as_event(reply, matrix_value_at(events, i));
        int number = 0;

        if (event->body && sscanf(event->body, "number %d", &number) == 1 && number == wanted) {
            snprintf(event_id, 256, "%s", event->event_id);
            moment = event->origin_server_ts;
        }
    }
    matrix_reply_free(reply);
    close_cursor(cursor, true);
    CHECK(moment > 0);
    return moment;
}

/** The number of the message that a cursor begins with. */
static int first_number(int64_t cursor) {
    matrix_reply *reply = take_ok(read_page(cursor));
    const matrix_value *events = matrix_value_get(matrix_reply_value(reply), "events");
    int number = 0;

    CHECK(sscanf(matrix_reply_as_event(reply, matrix_value_at(events, 0))->body, "number %d",
                 &number) == 1);
    matrix_reply_free(reply);
    return number;
}

static void begins_with_an_event_or_at_a_moment(void) {
    char event_id[256], json[512];
    int64_t moment = look_up(20, event_id), cursor;
    int last = 21;

    snprintf(json, sizeof json, "{\"page_size\": 7, \"event_id\": \"%s\"}", event_id);
    cursor = open_cursor(json);
    while (follow(read_page(cursor), &last, -1))
        ;
    CHECK(last == 1);
    close_cursor(cursor, true);
    snprintf(json, sizeof json,
             "{\"page_size\": 7, \"event_id\": \"%s\", \"direction\": \"forward\"}", event_id);
    cursor = open_cursor(json);
    last = 19;
    while (follow(read_page(cursor), &last, 1))
        ;
    CHECK(last == count);
    close_cursor(cursor, true);
    /* Of messages of one millisecond any may be the nearest. */
    snprintf(json, sizeof json, "{\"timestamp\": %lld}", (long long)moment);
    cursor = open_cursor(json);
    last = first_number(cursor);
    CHECK(last >= 20 && last < 30);
    while (follow(read_page(cursor), &last, -1))
        ;
    CHECK(last == 1);
    close_cursor(cursor, true);
}

static void reads_are_answered_in_their_order(void) {
    int64_t cursor = open_cursor("{\"page_size\": 10}");
    matrix_request requests[4];
    int last = count + 1;

    for (int i = 0; i < 4; i++)
        requests[i] = read_page(cursor);
    for (int i = 0; i < 4; i++)
        follow(requests[i], &last, -1);
    CHECK(last == count + 1 - 4 * SIZE);
    close_cursor(cursor, true);
}

static void cancelled_read_moves_nothing(void) {
    int64_t cursor = open_cursor("{\"page_size\": 10}");
    int last = count + 1;

    follow(read_page(cursor), &last, -1);
    for (int i = 0; i < 5; i++) {
        matrix_request request = read_page(cursor);
        matrix_reply *reply;

        CHECK_OK(matrix_cancel(request));
        reply = take(request);
        /* The result may have been faster; then it counts. */
        if (matrix_reply_ok(reply)) {
            follow_reply(reply, &last, -1);
            continue;
        }
        CHECK(!strcmp(matrix_reply_error(reply)->code, "E_CANCELLED"));
        matrix_reply_free(reply);
    }
    while (follow(read_page(cursor), &last, -1))
        ;
    CHECK(last == 1);
    close_cursor(cursor, true);
}

static void closed_cursor_is_an_error(void) {
    int64_t cursor = open_cursor("{}"), next;

    close_cursor(cursor, true);
    close_cursor(cursor, false);
    fails(read_page(cursor), "E_INVALID_HANDLE");
    fails(read_page(0), "E_INVALID_HANDLE");
    fails(read_page(-1), "E_INVALID_HANDLE");
    next = open_cursor("{}");
    CHECK(next != cursor);
    close_cursor(next, true);
}

static void closing_ends_the_reads(void) {
    int64_t cursor = open_cursor("{}");
    matrix_request first = read_page(cursor), second = read_page(cursor);

    close_cursor(cursor, true);
    fails(first, "E_CANCELLED");
    fails(second, "E_INVALID_HANDLE");
}

static void cursors_are_bounded(void) {
    int64_t cursors[256];
    matrix_request request = {0};

    for (int i = 0; i < 256; i++)
        cursors[i] = open_cursor("{}");
    CHECK_OK(matrix_open_cursor(alice, room_id, NULL, NULL, NULL, &request));
    fails(request, "E_QUEUE_FULL");
    for (int i = 0; i < 256; i++)
        close_cursor(cursors[i], true);
    close_cursor(open_cursor("{}"), true);
}

int main(void) {
    context = open_context();
    room_id = env("MATRIX_ROOM");
    count = atoi(env("MATRIX_COUNT"));
    alice = open_with_token("MATRIX_TOKEN", "MATRIX_USER_ID");
    every_event_once_in_order();
    begins_with_an_event_or_at_a_moment();
    reads_are_answered_in_their_order();
    cancelled_read_moves_nothing();
    closed_cursor_is_an_error();
    closing_ends_the_reads();
    cursors_are_bounded();
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
