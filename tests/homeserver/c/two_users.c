/* SPDX-License-Identifier: Apache-2.0 */
/**
 * two_users: Alice makes a room and invites Bob, who joins; they talk, and each operation's result
 * is what it should be.
 */
#include "people.h"

struct inbox {
    int count;
    char sender[256], body[256], room_id[256];
    bool is_own;
};

static void on_message(const matrix_reply *reply, void *user_data) {
    struct inbox *inbox = user_data;
    const matrix_event *event = matrix_reply_as_event(reply, matrix_reply_value(reply));

    CHECK(matrix_reply_get_kind(reply) == MATRIX_REPLY_EVENT);
    CHECK(event && event->body && event->event_id[0] == '$');
    CHECK(!strcmp(event->type, "m.room.message") && !strcmp(event->msgtype, "m.text"));
    CHECK(event->origin_server_ts > 1600000000000);
    CHECK(event->content->type == MATRIX_TYPE_MAP && event->raw->type == MATRIX_TYPE_MAP);
    snprintf(inbox->sender, sizeof inbox->sender, "%s", event->sender);
    snprintf(inbox->body, sizeof inbox->body, "%s", event->body);
    snprintf(inbox->room_id, sizeof inbox->room_id, "%s", event->room_id);
    inbox->is_own = event->is_own;
    inbox->count++;
}

/** A client without encryption: nothing it sends may reach an encrypted room. */
static matrix_client open_plain(void) {
    matrix_client client = {0};
    matrix_map *options = with("{\"encryption\":false}");

    CHECK_OK(matrix_map_set_string(options, "homeserver", env("MATRIX_HOMESERVER")));
    CHECK_OK(matrix_create_client(context, options, &client));
    return client;
}

static matrix_client log_in(const char *suffix, char *user_id, size_t size) {
    matrix_client client = open_plain();
    matrix_request request = {0};
    char again[256];

    string_of(log_in_as(client, suffix), "user_id", user_id, size);
    CHECK_OK(matrix_whoami(client, NULL, NULL, NULL, &request));
    string_of(request, "user_id", again, sizeof again);
    CHECK(!strcmp(user_id, again));
    return client;
}

static void sync_client(matrix_client client) {
    char next_batch[512];
    matrix_request request = {0};

    CHECK_OK(matrix_sync_once(client, NULL, NULL, NULL, &request));
    string_of(request, "next_batch", next_batch, sizeof next_batch);
}

/* Syncs until the inbox holds `count` messages: the homeserver may take its time. */
static void sync_until(matrix_client client, const struct inbox *inbox, int count) {
    matrix_map *options = matrix_map_new();
    matrix_request request = {0};

    CHECK_OK(matrix_map_set_int(options, "timeout_ms", 10000));
    while (inbox->count < count) {
        CHECK_OK(matrix_sync_once(client, options, NULL, NULL, &request));
        done(request);
        /* matrix_wait hands out the result; events before it wait for a dispatch. */
        CHECK(matrix_dispatch(context, 0, 0) >= 0);
    }
    CHECK(inbox->count == count);
    matrix_map_free(options);
}

static void create_room(matrix_client client, const char *invite, bool encrypted, char *room_id,
                        size_t size) {
    matrix_map *options = matrix_map_new();
    matrix_request request = {0};
    char json[300];
    int length = snprintf(json, sizeof json, "[\"%s\"]", invite);

    CHECK_OK(matrix_map_set_string(options, "name", "Tea"));
    CHECK_OK(matrix_map_set_string(options, "topic", "Leaves"));
    CHECK_OK(matrix_map_set_string(options, "preset", "private_chat"));
    CHECK_OK(matrix_map_set_json(options, "invite", json, (size_t)length));
    CHECK_OK(matrix_map_set_bool(options, "encrypted", encrypted));
    CHECK_OK(matrix_create_room(client, options, NULL, NULL, &request));
    matrix_map_free(options);
    string_of(request, "room_id", room_id, size);
}

struct expected {
    matrix_membership membership;
    int64_t joined, invited;
    bool encrypted;
};

static void check_room(matrix_client client, const char *room_id, struct expected expected) {
    matrix_request request = {0};
    matrix_reply *reply;
    const matrix_value *rooms;
    const matrix_room *found = NULL;

    CHECK_OK(matrix_rooms(client, NULL, NULL, NULL, &request));
    reply = take_ok(request);
    rooms = matrix_value_get(matrix_reply_value(reply), "rooms");
    for (size_t i = 0; i < matrix_value_count(rooms); i++) {
        const matrix_room *room = matrix_reply_as_room(reply, matrix_value_at(rooms, i));
        if (!strcmp(room->room_id, room_id))
            found = room;
    }
    CHECK(found);
    CHECK(found->membership == expected.membership);
    CHECK(!strcmp(found->name, "Tea"));
    CHECK(found->is_encrypted == expected.encrypted);
    if (expected.membership == MATRIX_MEMBERSHIP_JOIN) {
        CHECK(found->topic && !strcmp(found->topic, "Leaves"));
        CHECK(found->joined_member_count == expected.joined);
        CHECK(found->invited_member_count == expected.invited);
        CHECK(!found->is_direct && found->canonical_alias == NULL && found->avatar_url == NULL);
    }
    matrix_reply_free(reply);
}

static void say(matrix_client client, const char *room_id, const char *body) {
    matrix_request request = {0};
    char event_id[256];

    CHECK_OK(matrix_send_text(client, room_id, body, NULL, NULL, NULL, &request));
    string_of(request, "event_id", event_id, sizeof event_id);
}

static void refuse_in_encrypted_room(matrix_client client, const char *invite) {
    struct tally tally = {0};
    char room_id[256];

    create_room(client, invite, true, room_id, sizeof room_id);
    /* Both before the client has heard of the room's encryption and after. */
    CHECK_OK(matrix_send_text(client, room_id, "in clear", NULL, count_reply, &tally, NULL));
    pump(context, &tally.failed, 1);
    CHECK(!strcmp(tally.code, "E_ENCRYPTION_UNSUPPORTED"));
    sync_client(client);
    check_room(client, room_id, (struct expected){MATRIX_MEMBERSHIP_JOIN, 1, 1, true});
    CHECK_OK(matrix_send_text(client, room_id, "in clear", NULL, count_reply, &tally, NULL));
    pump(context, &tally.failed, 2);
    CHECK(!strcmp(tally.code, "E_ENCRYPTION_UNSUPPORTED") && tally.ok == 0);
}

static void log_out(matrix_client client) {
    struct tally tally = {0};

    CHECK_OK(matrix_logout(client, NULL, count_reply, &tally, NULL));
    pump(context, &tally.ok, 1);
    CHECK_OK(matrix_whoami(client, NULL, count_reply, &tally, NULL));
    pump(context, &tally.failed, 1);
    CHECK(!strcmp(tally.code, "E_NOT_LOGGED_IN"));
}

int main(void) {
    char alice_id[256], bob_id[256], room_id[256], joined[256];
    struct inbox alice_inbox = {0}, bob_inbox = {0};
    matrix_request request = {0};
    matrix_client alice, bob;

    context = open_context();
    alice = log_in("", alice_id, sizeof alice_id);
    bob = log_in("2", bob_id, sizeof bob_id);
    CHECK_OK(matrix_subscribe(alice, "message", NULL, on_message, &alice_inbox, NULL));
    CHECK_OK(matrix_subscribe(bob, "message", NULL, on_message, &bob_inbox, NULL));

    create_room(alice, bob_id, false, room_id, sizeof room_id);
    sync_client(alice);
    check_room(alice, room_id, (struct expected){MATRIX_MEMBERSHIP_JOIN, 1, 1, false});
    sync_client(bob);
    check_room(bob, room_id, (struct expected){MATRIX_MEMBERSHIP_INVITE, 0, 0, false});
    CHECK_OK(matrix_join_room(bob, room_id, NULL, NULL, NULL, &request));
    string_of(request, "room_id", joined, sizeof joined);
    CHECK(!strcmp(joined, room_id));

    say(alice, room_id, "one lump or two?");
    sync_until(bob, &bob_inbox, 1);
    CHECK(!strcmp(bob_inbox.sender, alice_id) && !strcmp(bob_inbox.body, "one lump or two?"));
    CHECK(!strcmp(bob_inbox.room_id, room_id) && !bob_inbox.is_own);
    check_room(bob, room_id, (struct expected){MATRIX_MEMBERSHIP_JOIN, 2, 0, false});
    say(bob, room_id, "three \xf0\x9f\x8d\xb5");
    sync_until(alice, &alice_inbox, 2);
    CHECK(!strcmp(alice_inbox.body, "three \xf0\x9f\x8d\xb5"));
    sync_until(bob, &bob_inbox, 2);
    CHECK(bob_inbox.is_own);

    refuse_in_encrypted_room(alice, bob_id);
    log_out(alice);
    log_out(bob);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
