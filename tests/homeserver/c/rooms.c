/* SPDX-License-Identifier: Apache-2.0 */
/**
 * rooms: Alice makes rooms and a space, Bob comes, is ruled over, goes; every operation's answer is
 * what it should be.
 */
#include "people.h"

static matrix_client alice, bob;
static const char *alice_id, *bob_id;

/** The value of what was submitted last; it lives until the next call. */
static const matrix_value *answer(matrix_request request) {
    static matrix_reply *reply;

    matrix_reply_free(reply);
    reply = take_ok(request);
    return matrix_reply_value(reply);
}

static void copy(char *into, const matrix_value *value, const char *key) {
    snprintf(into, 256, "%s", matrix_value_get_string(value, key, ""));
    CHECK(into[0]);
}

static void same(const matrix_value *value, const char *key, const char *expected) {
    const char *found = matrix_value_get_string(value, key, "");

    if (strcmp(found, expected))
        fprintf(stderr, "%s is %s, not %s\n", key, found, expected);
    CHECK(!strcmp(found, expected));
}

static size_t count(const matrix_value *value, const char *key) {
    return matrix_value_count(matrix_value_get(value, key));
}

/** Submits, and frees the options. */
#define DO(call)                                                                                   \
    do {                                                                                           \
        request = (matrix_request){0};                                                             \
        CHECK_OK(call);                                                                            \
        matrix_map_free(options);                                                                  \
        options = NULL;                                                                            \
    } while (0)

static void sync_client(matrix_client client) {
    matrix_request request = {0};

    CHECK_OK(matrix_sync_once(client, NULL, NULL, NULL, &request));
    answer(request);
}

/** The content of a state event as the homeserver has it. */
static const matrix_value *state(const char *room_id, const char *type, const char *key) {
    matrix_map *options = matrix_map_new();
    matrix_request request = {0};

    CHECK_OK(matrix_map_set_string(options, "state_key", key));
    CHECK_OK(matrix_map_set_bool(options, "reload", true));
    DO(matrix_state_event(alice, room_id, type, options, NULL, NULL, &request));
    return matrix_value_get(answer(request), "content");
}

static void make_room(char *room_id) {
    matrix_request request = {0};
    matrix_map *options =
        map_of("{\"name\":\"Tea\",\"preset\":\"private_chat\",\"join_rule\":\"invite\","
               "\"room_version\":\"11\",\"history_visibility\":\"shared\","
               "\"guest_access\":\"forbidden\",\"creation_content\":{\"x\":1},"
               "\"initial_state\":[{\"type\":\"org.example\",\"content\":{\"n\":1}}]}");

    DO(matrix_create_room(alice, options, NULL, NULL, &request));
    copy(room_id, answer(request), "room_id");
    CHECK(matrix_value_get_int(state(room_id, "org.example", ""), "n", 0) == 1);
    options = map_of("{\"is_direct\":true}");
    DO(matrix_create_room(alice, options, NULL, NULL, &request));
    fails(request, "E_INVALID_ARGUMENT");
}

static void come_and_go(const char *room_id) {
    matrix_request request = {0};
    matrix_map *options = NULL;
    const matrix_value *value;

    DO(matrix_join_room(bob, room_id, NULL, NULL, NULL, &request));
    fails(request, "M_FORBIDDEN");
    options = map_of("{\"reason\":\"come\"}");
    DO(matrix_invite_user(alice, room_id, bob_id, options, NULL, NULL, &request));
    answer(request);
    same(state(room_id, "m.room.member", bob_id), "reason", "come");
    options = map_of("{\"via\":[\"localhost\"],\"reason\":\"thanks\"}");
    DO(matrix_join_room(bob, room_id, options, NULL, NULL, &request));
    same(answer(request), "room_id", room_id);
    DO(matrix_joined_members(alice, room_id, NULL, NULL, NULL, &request));
    value = answer(request);
    CHECK(count(value, "members") == 2);
    DO(matrix_joined_rooms(bob, NULL, NULL, NULL, &request));
    CHECK(count(answer(request), "room_ids") >= 1);
    DO(matrix_kick_user(alice, room_id, bob_id, NULL, NULL, NULL, &request));
    answer(request);
    DO(matrix_ban_user(alice, room_id, bob_id, NULL, NULL, NULL, &request));
    answer(request);
    options = map_of("{\"membership\":\"ban\",\"reload\":true}");
    DO(matrix_members(alice, room_id, options, NULL, NULL, &request));
    value = matrix_value_get(answer(request), "members");
    CHECK(matrix_value_count(value) == 1);
    same(matrix_value_at(value, 0), "user_id", bob_id);
    DO(matrix_unban_user(alice, room_id, bob_id, NULL, NULL, NULL, &request));
    answer(request);
    DO(matrix_set_join_rule(alice, room_id, MATRIX_JOIN_RULE_KNOCK, NULL, NULL, NULL, &request));
    answer(request);
    DO(matrix_knock_room(bob, room_id, NULL, NULL, NULL, &request));
    answer(request);
    DO(matrix_leave_room(bob, room_id, NULL, NULL, NULL, &request));
    answer(request);
    DO(matrix_forget_room(bob, room_id, NULL, NULL, NULL, &request));
    answer(request);
}

static void rule(const char *room_id) {
    matrix_request request = {0};
    matrix_map *options = NULL;

    DO(matrix_set_room_name(alice, room_id, "Coffee", NULL, NULL, NULL, &request));
    answer(request);
    options = map_of("{\"html\":\"<i>beans</i>\"}");
    DO(matrix_set_room_topic(alice, room_id, "beans", options, NULL, NULL, &request));
    answer(request);
    DO(matrix_set_room_avatar(alice, room_id, "mxc://localhost/bean", NULL, NULL, NULL, &request));
    answer(request);
    same(state(room_id, "m.room.name", ""), "name", "Coffee");
    same(state(room_id, "m.room.topic", ""), "topic", "beans");
    same(state(room_id, "m.room.avatar", ""), "url", "mxc://localhost/bean");
    DO(matrix_set_history_visibility(alice, room_id, MATRIX_HISTORY_VISIBILITY_WORLD_READABLE, NULL,
                                     NULL, NULL, &request));
    answer(request);
    DO(matrix_set_guest_access(alice, room_id, MATRIX_GUEST_ACCESS_CAN_JOIN, NULL, NULL, NULL,
                               &request));
    answer(request);
    same(state(room_id, "m.room.guest_access", ""), "guest_access", "can_join");
    DO(matrix_send_state_event(alice, room_id, "org.example", "{\"n\":2}", options, NULL, NULL,
                               &request));
    answer(request);
}

static void empower(const char *room_id) {
    matrix_request request = {0};
    matrix_map *options = NULL;
    const matrix_value *value;

    DO(matrix_set_power_level(alice, room_id, bob_id, 50, NULL, NULL, NULL, &request));
    answer(request);
    options = map_of("{\"kick\":60}");
    DO(matrix_set_power_levels(alice, room_id, options, NULL, NULL, &request));
    answer(request);
    DO(matrix_power_levels(alice, room_id, NULL, NULL, NULL, &request));
    value = answer(request);
    CHECK(matrix_value_get_int(value, "kick", 0) == 60);
    CHECK(matrix_value_get_int(matrix_value_get(value, "users"), bob_id, 0) == 50);
    CHECK(matrix_value_get_int(value, "own_level", 0) == 100);
}

static void pin(const char *room_id) {
    matrix_request request = {0};
    matrix_map *options = NULL;
    char event_id[256];

    DO(matrix_send_text(alice, room_id, "pin me", NULL, NULL, NULL, &request));
    copy(event_id, answer(request), "event_id");
    DO(matrix_pin_event(alice, room_id, event_id, NULL, NULL, NULL, &request));
    CHECK(count(answer(request), "event_ids") == 1);
    DO(matrix_pinned_events(alice, room_id, NULL, NULL, NULL, &request));
    CHECK(count(answer(request), "event_ids") == 1);
    DO(matrix_unpin_event(alice, room_id, event_id, NULL, NULL, NULL, &request));
    CHECK(count(answer(request), "event_ids") == 0);
}

/** The room from outside. */
static void look(const char *room_id, const char *alias) {
    matrix_request request = {0};
    matrix_map *options = NULL;
    const matrix_room_preview *room;
    matrix_reply *reply;

    DO(matrix_room_summary(bob, alias, NULL, NULL, NULL, &request));
    reply = take_ok(request);
    room = matrix_reply_as_room_preview(reply, matrix_value_get(matrix_reply_value(reply), "room"));
    CHECK(room && !strcmp(room->room_id, room_id) && !strcmp(room->name, "Coffee"));
    CHECK(!strcmp(room->topic, "beans") && room->joined_member_count == 1);
    CHECK(room->is_world_readable && room->guest_can_join && !strcmp(room->join_rule, "knock"));
    matrix_reply_free(reply);
}

/** Aliases and the directory. */
static void publish(const char *room_id) {
    matrix_request request = {0};
    matrix_map *options = NULL;
    const matrix_value *value;
    char alias[300];

    snprintf(alias, sizeof alias, "#c-%.*s", (int)strlen(alice_id + 1), alice_id + 1);
    DO(matrix_create_room_alias(alice, room_id, alias, NULL, NULL, NULL, &request));
    answer(request);
    DO(matrix_resolve_room_alias(bob, alias, NULL, NULL, NULL, &request));
    value = answer(request);
    same(value, "room_id", room_id);
    CHECK(count(value, "via") == 1);
    DO(matrix_room_aliases(alice, room_id, NULL, NULL, NULL, &request));
    CHECK(count(answer(request), "aliases") == 1);
    options = matrix_map_new();
    CHECK_OK(matrix_map_set_string(options, "alias", alias));
    DO(matrix_set_canonical_alias(alice, room_id, options, NULL, NULL, &request));
    answer(request);
    options = map_of("{\"reload\":true}");
    DO(matrix_canonical_alias(alice, room_id, options, NULL, NULL, &request));
    same(answer(request), "alias", alias);
    DO(matrix_set_directory_visibility(alice, room_id, MATRIX_VISIBILITY_PUBLIC, NULL, NULL, NULL,
                                       &request));
    answer(request);
    DO(matrix_directory_visibility(bob, room_id, NULL, NULL, NULL, &request));
    same(answer(request), "visibility", "public");
    options = matrix_map_new();
    CHECK_OK(matrix_map_set_string(options, "search_term", alias));
    DO(matrix_public_rooms(bob, options, NULL, NULL, &request));
    value = matrix_value_get(answer(request), "rooms");
    CHECK(matrix_value_count(value) == 1);
    look(room_id, alias);
    DO(matrix_delete_room_alias(alice, alias, NULL, NULL, NULL, &request));
    answer(request);
}

static void talk_directly(void) {
    matrix_request request = {0};
    matrix_map *options = NULL;
    char room_id[256];
    const matrix_value *value;

    DO(matrix_direct_room(alice, bob_id, NULL, NULL, NULL, &request));
    value = answer(request);
    CHECK(matrix_value_get_bool(value, "is_new", false));
    copy(room_id, value, "room_id");
    DO(matrix_room_encryption(alice, room_id, NULL, NULL, NULL, &request));
    CHECK(matrix_value_get_bool(answer(request), "is_encrypted", false));
    DO(matrix_find_direct_room(alice, bob_id, NULL, NULL, NULL, &request));
    same(answer(request), "room_id", room_id);
    DO(matrix_remove_direct_room(alice, room_id, NULL, NULL, NULL, &request));
    answer(request);
    DO(matrix_find_direct_room(alice, bob_id, NULL, NULL, NULL, &request));
    CHECK(!matrix_value_get(answer(request), "room_id"));
    DO(matrix_add_direct_room(alice, bob_id, room_id, NULL, NULL, NULL, &request));
    answer(request);
    DO(matrix_direct_rooms(alice, NULL, NULL, NULL, &request));
    value = matrix_value_get(answer(request), "rooms");
    CHECK(matrix_value_count(value) == 1);
    same(matrix_value_at(value, 0), "user_id", bob_id);
    DO(matrix_direct_room(alice, alice_id, NULL, NULL, NULL, &request));
    fails(request, "E_INVALID_ARGUMENT");
}

static void mark(const char *room_id) {
    matrix_request request = {0};
    matrix_map *options = map_of("{\"order\":0.5}");
    const matrix_value *tags;

    DO(matrix_set_room_tag(alice, room_id, "m.favourite", options, NULL, NULL, &request));
    answer(request);
    DO(matrix_room_tags(alice, room_id, NULL, NULL, NULL, &request));
    tags = matrix_value_get(answer(request), "tags");
    CHECK(matrix_value_get_double(matrix_value_get(tags, "m.favourite"), "order", 0) == 0.5);
    DO(matrix_delete_room_tag(alice, room_id, "m.favourite", NULL, NULL, NULL, &request));
    answer(request);
    DO(matrix_mark_room_unread(alice, room_id, NULL, NULL, NULL, &request));
    answer(request);
    sync_client(alice);
    DO(matrix_room_details(alice, room_id, NULL, NULL, NULL, &request));
    CHECK(matrix_value_get_bool(matrix_value_get(answer(request), "room"), "is_marked_unread", 0));
}

/** The rooms of a space, page by page. */
static size_t walk(const char *space_id, int limit) {
    char token[256] = "";
    size_t found = 0;

    do {
        matrix_request request = {0};
        matrix_map *options = matrix_map_new();
        const matrix_value *value;

        CHECK_OK(matrix_map_set_int(options, "limit", limit));
        if (token[0])
            CHECK_OK(matrix_map_set_string(options, "from_token", token));
        DO(matrix_space_hierarchy(bob, space_id, options, NULL, NULL, &request));
        value = answer(request);
        CHECK(count(value, "rooms") <= (size_t)limit);
        found += count(value, "rooms");
        snprintf(token, sizeof token, "%s", matrix_value_get_string(value, "next_batch", ""));
    } while (token[0]);
    return found;
}

static void fill_space(const char *room_id) {
    matrix_request request = {0};
    matrix_map *options = map_of("{\"name\":\"Drinks\",\"preset\":\"public_chat\"}");
    const matrix_value *rooms;
    char space_id[256];

    DO(matrix_create_space(alice, options, NULL, NULL, &request));
    copy(space_id, answer(request), "space_id");
    options = map_of("{\"suggested\":true,\"order\":\"a\"}");
    DO(matrix_add_space_child(alice, space_id, room_id, options, NULL, NULL, &request));
    answer(request);
    DO(matrix_space_children(alice, space_id, NULL, NULL, NULL, &request));
    CHECK(count(answer(request), "children") == 1);
    DO(matrix_space_hierarchy(alice, space_id, NULL, NULL, NULL, &request));
    rooms = matrix_value_get(answer(request), "rooms");
    CHECK(matrix_value_count(rooms) == 2);
    same(matrix_value_at(rooms, 0), "room_id", space_id);
    CHECK(count(matrix_value_at(rooms, 0), "children") == 1);
    same(matrix_value_at(rooms, 1), "room_id", room_id);
    CHECK(walk(space_id, 1) == 2);
    options = map_of("{\"canonical\":true}");
    DO(matrix_add_space_parent(alice, room_id, space_id, options, NULL, NULL, &request));
    answer(request);
    options = map_of("{\"reload\":true}");
    DO(matrix_space_parents(alice, room_id, options, NULL, NULL, &request));
    CHECK(count(answer(request), "parents") == 1);
    DO(matrix_remove_space_parent(alice, room_id, space_id, NULL, NULL, NULL, &request));
    answer(request);
    DO(matrix_remove_space_child(alice, space_id, room_id, NULL, NULL, NULL, &request));
    answer(request);
    DO(matrix_space_children(alice, space_id, NULL, NULL, NULL, &request));
    CHECK(count(answer(request), "children") == 0);
}

/** Encrypted at last, then replaced. */
static void replace(const char *room_id) {
    matrix_request request = {0};
    matrix_map *options = NULL;
    char successor[256];

    DO(matrix_enable_encryption(alice, room_id, NULL, NULL, NULL, &request));
    answer(request);
    DO(matrix_upgrade_room(alice, room_id, "12", NULL, NULL, NULL, &request));
    copy(successor, answer(request), "successor_room_id");
    DO(matrix_room_successor(alice, room_id, NULL, NULL, NULL, &request));
    same(answer(request), "successor_room_id", successor);
    DO(matrix_room_predecessor(alice, successor, NULL, NULL, NULL, &request));
    same(answer(request), "predecessor_room_id", room_id);
    DO(matrix_join_successor(alice, room_id, NULL, NULL, NULL, &request));
    same(answer(request), "room_id", successor);
}

int main(void) {
    char room_id[256];

    alice_id = env("MATRIX_USER_ID");
    bob_id = env("MATRIX_USER_ID2");
    context = open_context();
    alice = open_with_token("MATRIX_TOKEN", "MATRIX_USER_ID");
    bob = open_with_token("MATRIX_TOKEN2", "MATRIX_USER_ID2");
    make_room(room_id);
    come_and_go(room_id);
    rule(room_id);
    empower(room_id);
    pin(room_id);
    publish(room_id);
    talk_directly();
    mark(room_id);
    fill_space(room_id);
    replace(room_id);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
