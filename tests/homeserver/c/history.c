/* SPDX-License-Identifier: Apache-2.0 */
/** history: what was said before, from C: single events, pages, relations, threads, search. */
#include "people.h"

static const char *room_id;
static matrix_client alice, bob;
static char root[256], edit[256], answer[256];

static void say(matrix_client client, const char *body, matrix_map *options, char *into) {
    matrix_request request = {0};

    CHECK_OK(matrix_send_text(client, room_id, body, options, NULL, NULL, &request));
    string_of(request, "event_id", into, 256);
}

static const matrix_event *event_at(const matrix_reply *reply, const char *list, size_t index) {
    const matrix_value *events = matrix_value_get(matrix_reply_value(reply), list);

    return matrix_reply_as_event(reply, matrix_value_at(events, index));
}

static const char *id_of(const matrix_reply *reply, const matrix_value *event) {
    return matrix_reply_as_event(reply, event)->event_id;
}

static void look_at_one(void) {
    matrix_request request = {0};
    matrix_reply *reply;
    const matrix_event *event;

    CHECK_OK(matrix_fetch_event(bob, room_id, root, NULL, NULL, NULL, &request));
    reply = take_ok(request);
    event = matrix_reply_as_event(reply, matrix_value_get(matrix_reply_value(reply), "event"));
    CHECK(!strcmp(event->body, "first") && !strcmp(event->kind, "history") && !event->is_own);
    matrix_reply_free(reply);
    CHECK_OK(matrix_event_context(bob, room_id, answer, NULL, NULL, NULL, &request));
    reply = take_ok(request);
    event = matrix_reply_as_event(reply, matrix_value_get(matrix_reply_value(reply), "event"));
    CHECK(!strcmp(event->event_id, answer) && !strcmp(event->thread_id, root));
    CHECK(matrix_value_count(matrix_value_get(matrix_reply_value(reply), "events_before")) > 1);
    matrix_reply_free(reply);
    CHECK_OK(matrix_fetch_event(bob, room_id, "$nowhere", NULL, NULL, NULL, &request));
    fails(request, "M_NOT_FOUND");
}

static void look_back(void) {
    matrix_map *two = map_of("{\"limit\": 2}");
    matrix_request request = {0};
    matrix_reply *reply;

    CHECK_OK(matrix_history(bob, room_id, two, NULL, NULL, &request));
    reply = take_ok(request);
    CHECK(!strcmp(event_at(reply, "events", 0)->event_id, answer));
    CHECK(!strcmp(event_at(reply, "events", 1)->event_id, edit));
    CHECK_OK(matrix_map_set_string(
        two, "from_token", matrix_value_get_string(matrix_reply_value(reply), "next_batch", "")));
    matrix_reply_free(reply);
    CHECK_OK(matrix_history(bob, room_id, two, NULL, NULL, &request));
    reply = take_ok(request);
    CHECK(!strcmp(event_at(reply, "events", 0)->event_id, root));
    matrix_reply_free(reply);
    matrix_map_free(two);
}

static void look_around(void) {
    matrix_map *thread = map_of("{\"rel_type\": \"m.thread\"}");
    matrix_request request = {0};
    matrix_reply *reply;
    const matrix_thread *found;

    CHECK_OK(matrix_relations(bob, room_id, root, thread, NULL, NULL, &request));
    reply = take_ok(request);
    CHECK(!strcmp(event_at(reply, "events", 0)->event_id, answer));
    matrix_reply_free(reply);
    CHECK_OK(matrix_edit_history(bob, room_id, root, NULL, NULL, NULL, &request));
    reply = take_ok(request);
    CHECK(!strcmp(event_at(reply, "edits", 0)->new_body, "second"));
    CHECK(!event_at(reply, "edits", 1));
    matrix_reply_free(reply);
    CHECK_OK(matrix_threads(bob, room_id, NULL, NULL, NULL, &request));
    reply = take_ok(request);
    found = matrix_reply_as_thread(
        reply, matrix_value_at(matrix_value_get(matrix_reply_value(reply), "threads"), 0));
    CHECK(found->count == 1 && !strcmp(id_of(reply, found->event), root));
    CHECK(!strcmp(id_of(reply, found->latest_event), answer) && found->has_participated);
    matrix_reply_free(reply);
    matrix_map_free(thread);
}

static void find(void) {
    matrix_request request = {0};
    char event_id[256];
    matrix_reply *reply;
    const matrix_search_result *result;

    CHECK_OK(matrix_timestamp_to_event(bob, room_id, 1, NULL, NULL, NULL, &request));
    string_of(request, "event_id", event_id, sizeof event_id);
    CHECK_OK(matrix_fetch_event(bob, room_id, event_id, NULL, NULL, NULL, &request));
    reply = take_ok(request);
    CHECK(strstr(matrix_reply_json(reply, NULL), "m.room.create"));
    matrix_reply_free(reply);
    CHECK_OK(matrix_search_messages(bob, "answered", NULL, NULL, NULL, &request));
    reply = take_ok(request);
    result = matrix_reply_as_search_result(
        reply, matrix_value_at(matrix_value_get(matrix_reply_value(reply), "results"), 0));
    CHECK(!strcmp(id_of(reply, result->event), answer));
    matrix_reply_free(reply);
}

static matrix_status search_page(matrix_map *options, matrix_request *request) {
    return matrix_search_messages(bob, "bergamot", options, NULL, NULL, request);
}

static matrix_status threads_page(matrix_map *options, matrix_request *request) {
    return matrix_threads(bob, room_id, options, NULL, NULL, request);
}

static matrix_status relations_page(matrix_map *options, matrix_request *request) {
    return matrix_relations(bob, room_id, root, options, NULL, NULL, request);
}

/** Goes from page to page, of one each, to the end; how many there were. */
static size_t count_all(matrix_status (*ask)(matrix_map *, matrix_request *), const char *list) {
    matrix_map *options = map_of("{\"limit\": 1}");
    size_t count = 0;

    for (bool is_at_end = false; !is_at_end;) {
        matrix_request request = {0};
        const matrix_value *value;
        const char *token;
        matrix_reply *reply;

        CHECK_OK(ask(options, &request));
        reply = take_ok(request);
        value = matrix_reply_value(reply);
        CHECK(matrix_value_count(matrix_value_get(value, list)) <= 1);
        count += matrix_value_count(matrix_value_get(value, list));
        token = matrix_value_get_string(value, "next_batch", NULL);
        is_at_end = !token;
        if (token)
            CHECK_OK(matrix_map_set_string(options, "from_token", token));
        matrix_reply_free(reply);
    }
    matrix_map_free(options);
    return count;
}

static void go_through_pages(void) {
    matrix_map *thread = matrix_map_new();
    char ids[3][256];

    for (int i = 0; i < 3; i++) {
        say(alice, "bergamot", NULL, ids[i]);
        CHECK_OK(matrix_map_set_string(thread, "thread_id", ids[i]));
        say(bob, "in it", thread, answer);
    }
    CHECK(count_all(search_page, "results") == 3);
    CHECK(count_all(threads_page, "threads") == 4);
    /* The edit, and the answer. */
    CHECK(count_all(relations_page, "events") == 2);
    matrix_map_free(thread);
}

int main(void) {
    matrix_map *thread = matrix_map_new();
    matrix_request request = {0};

    context = open_context();
    room_id = env("MATRIX_ROOM");
    alice = open_with_token("MATRIX_TOKEN", "MATRIX_USER_ID");
    bob = open_with_token("MATRIX_TOKEN2", "MATRIX_USER_ID2");
    say(alice, "first", NULL, root);
    CHECK_OK(matrix_edit_message(alice, room_id, root, "second", NULL, NULL, NULL, &request));
    string_of(request, "event_id", edit, sizeof edit);
    CHECK_OK(matrix_map_set_string(thread, "thread_id", root));
    say(bob, "answered", thread, answer);
    look_at_one();
    look_back();
    look_around();
    find();
    go_through_pages();
    matrix_map_free(thread);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
