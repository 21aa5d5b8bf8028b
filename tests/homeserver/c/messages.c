/* SPDX-License-Identifier: Apache-2.0 */
/** messages: everything that can be sent into a room, from C: alice sends, bob reads. See people.h.
 */
#include "people.h"

static const char *room_id;
static matrix_client alice, bob;
static struct hearing hearing;
static char event_id[256], other_id[256];

/** What bob gets of the event whose id the request of alice answers with. */
static const matrix_event *heard(matrix_request request) {
    return hear(bob, &hearing, string_of(request, "event_id", event_id, sizeof event_id));
}

static const char *formatted(const matrix_value *content) {
    return matrix_value_get_string(content, "formatted_body", "");
}

static void send_texts(void) {
    matrix_map *html = map_of("{\"html\": \"<b onclick='x()'>tea</b>\"}");
    matrix_request request = {0};
    const matrix_event *event;

    CHECK_OK(matrix_send_text(alice, room_id, "tea", html, NULL, NULL, &request));
    event = heard(request);
    CHECK(!strcmp(event->body, "tea") && !strcmp(event->msgtype, "m.text"));
    CHECK(!strcmp(formatted(event->content), "<b>tea</b>"));
    CHECK_OK(matrix_send_notice(alice, room_id, "tea", NULL, NULL, NULL, &request));
    CHECK(!strcmp(heard(request)->msgtype, "m.notice"));
    CHECK_OK(matrix_send_emote(alice, room_id, "drinks", NULL, NULL, NULL, &request));
    CHECK(!strcmp(heard(request)->msgtype, "m.emote"));
    CHECK_OK(matrix_send_markdown(alice, room_id, "*tea*", NULL, NULL, NULL, &request));
    CHECK(!strcmp(formatted(heard(request)->content), "<em>tea</em>"));
    CHECK_OK(matrix_send_location(alice, room_id, "here", "geo:1,2", NULL, NULL, NULL, &request));
    event = heard(request);
    CHECK(!strcmp(matrix_value_get_string(event->content, "geo_uri", ""), "geo:1,2"));
    CHECK_OK(matrix_send_sticker(alice, room_id, "cat", "mxc://localhost/cat", NULL, NULL, NULL,
                                 &request));
    CHECK(!strcmp(heard(request)->type, "m.sticker"));
    matrix_map_free(html);
}

static void send_own(void) {
    matrix_request request = {0};
    const matrix_event *event;
    const matrix_value *text;

    CHECK_OK(matrix_send_event(alice, room_id, "org.example.move", "{\"x\": 3, \"y\": [1, null]}",
                               NULL, NULL, NULL, &request));
    event = heard(request);
    CHECK(!strcmp(event->type, "org.example.move"));
    CHECK(matrix_value_get_int(event->content, "x", 0) == 3);
    CHECK(matrix_value_count(matrix_value_get(event->content, "y")) == 2);
    CHECK_OK(matrix_send_event(alice, room_id, "org.example.move", "{\"text\": \"a\\u0000b\"}",
                               NULL, NULL, NULL, &request));
    text = matrix_value_get(heard(request)->content, "text");
    CHECK(text->as.string.size == 3 && !memcmp(text->as.string.data, "a\0b", 4));
}

static void relate(void) {
    matrix_map *thread = matrix_map_new();
    matrix_request request = {0};
    const matrix_event *event;

    CHECK_OK(matrix_send_text(alice, room_id, "root", NULL, NULL, NULL, &request));
    string_of(request, "event_id", other_id, sizeof other_id);
    CHECK_OK(matrix_send_reply(alice, room_id, other_id, "reply", NULL, NULL, NULL, &request));
    event = heard(request);
    CHECK(event->reply_to && !strcmp(event->reply_to, other_id) && !event->thread_id);
    CHECK_OK(matrix_map_set_string(thread, "thread_id", other_id));
    CHECK_OK(matrix_send_text(alice, room_id, "in it", thread, NULL, NULL, &request));
    event = heard(request);
    CHECK(event->thread_id && !strcmp(event->thread_id, other_id) && !event->reply_to);
    CHECK_OK(matrix_edit_message(alice, room_id, other_id, "the root", NULL, NULL, NULL, &request));
    event = heard(request);
    CHECK(!strcmp(event->replaces, other_id) && !strcmp(event->new_body, "the root"));
    CHECK_OK(matrix_send_reaction(alice, room_id, other_id, "+1", NULL, NULL, NULL, &request));
    event = heard(request);
    CHECK(!strcmp(event->reaction_key, "+1") && !strcmp(event->relates_to, other_id));
    CHECK_OK(matrix_redact(alice, room_id, other_id, NULL, NULL, NULL, &request));
    CHECK(!strcmp(heard(request)->redacts, other_id));
    matrix_map_free(thread);
}

/** What is no UTF-8 is refused where it is passed; so is half of a surrogate pair in JSON. */
static void refuse_broken_text(void) {
    matrix_map *options = matrix_map_new(), *map = NULL;
    const char *half = "{\"x\": \"\\ud83d\"}";
    matrix_request request = {0};

    CHECK_STATUS(matrix_send_text(alice, room_id, "\xed\xa0\xbd", NULL, NULL, NULL, &request),
                 MATRIX_E_INVALID_ARGUMENT);
    CHECK_STATUS(matrix_map_set_string(options, "html", "\xff"), MATRIX_E_INVALID_ARGUMENT);
    CHECK(strstr(matrix_map_error(options), "html"));
    CHECK_STATUS(matrix_send_event(alice, room_id, "m.x", half, NULL, NULL, NULL, &request),
                 MATRIX_E_INVALID_ARGUMENT);
    CHECK_STATUS(matrix_map_from_json(half, strlen(half), &map), MATRIX_E_INVALID_ARGUMENT);
    CHECK_OK(matrix_send_event(alice, room_id, "m.x", "[1]", NULL, NULL, NULL, &request));
    fails(request, "E_INVALID_ARGUMENT");
    matrix_map_free(options);
}

int main(void) {
    matrix_map *mine = map_of("{\"txn_id\": \"c-once\", \"mentions_room\": true}");
    matrix_request request = {0};

    context = open_context();
    room_id = env("MATRIX_ROOM");
    alice = open_with_token("MATRIX_TOKEN", "MATRIX_USER_ID");
    bob = open_with_token("MATRIX_TOKEN2", "MATRIX_USER_ID2");
    CHECK_OK(matrix_subscribe(bob, "any", NULL, hear_one, &hearing, NULL));
    send_texts();
    send_own();
    relate();
    refuse_broken_text();
    CHECK_OK(matrix_send_text(alice, room_id, "once", mine, NULL, NULL, &request));
    string_of(request, "event_id", event_id, sizeof event_id);
    CHECK_OK(matrix_send_text(alice, room_id, "once", mine, NULL, NULL, &request));
    CHECK(!strcmp(string_of(request, "event_id", other_id, sizeof other_id), event_id));
    matrix_map_free(mine);
    matrix_reply_free(hearing.reply);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
