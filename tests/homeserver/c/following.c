/* SPDX-License-Identifier: Apache-2.0 */
/**
 * following: what following.lua does, in C: Bob follows what Alice does, and knows it all after a
 * restart. MATRIX_HOMESERVER, MATRIX_USER_ID, MATRIX_TOKEN, …2 for Bob, MATRIX_STORE.
 */
#include "people.h"

enum { KINDS = 16, MOST = 400 };

static const char *const kinds[KINDS] = {
    "message", "state",     "membership", "redaction",  "reaction",     "invite",
    "room",    "receipt",   "typing",     "presence",   "account_data", "room_account_data",
    "sync",    "to_device", "any",        "sync_state",
};
static matrix_reply *heard[KINDS][MOST];
static int counts[KINDS];
static const char *alice_id, *bob_id;
static char room_id[256];

static matrix_client open_client_of(matrix_map *options) {
    matrix_client client = {0};

    CHECK_OK(matrix_map_set_bool(options, "encryption", false));
    CHECK_OK(matrix_create_client(context, options, &client));
    return client;
}

/* ---- what is heard -------------------------------------------------------------------------- */

static void keep(const matrix_reply *reply, void *user_data) {
    int kind = (int)((const char *const *)user_data - kinds);

    CHECK(counts[kind] < MOST);
    heard[kind][counts[kind]++] = matrix_reply_keep(reply);
}

static void listen_to_all(matrix_client client) {
    for (int kind = 0; kind < KINDS; kind++) {
        while (counts[kind])
            matrix_reply_free(heard[kind][--counts[kind]]);
        CHECK_OK(matrix_subscribe(client, kinds[kind], NULL, keep, (void *)&kinds[kind], NULL));
    }
}

/** The first event of a kind whose field is this, whenever it comes. */
static const matrix_value *hear_of(const char *kind, const char *key, const char *value) {
    int at = 0, index = 0;

    while (strcmp(kinds[index], kind))
        CHECK(++index < KINDS);
    for (;;) {
        for (; at < counts[index]; at++) {
            const matrix_value *event = matrix_reply_value(heard[index][at]);
            if (!strcmp(matrix_value_get_string(event, key, ""), value))
                return event;
        }
        CHECK(matrix_dispatch(context, 20000, 0) > 0);
    }
}

static void is(const matrix_value *value, const char *key, const char *expected) {
    const char *found = matrix_value_get_string(value, key, "");

    if (strcmp(found, expected))
        fprintf(stderr, "%s is %s, not %s\n", key, found, expected);
    CHECK(!strcmp(found, expected));
}

/* ---- what is done --------------------------------------------------------------------------- */

static void sync_by_hand(matrix_client bob) {
    char id[128], next[256];

    string_of(ASK(matrix_upload_filter(bob, "{\"room\":{\"timeline\":{\"limit\":5}}}", NULL, NULL,
                                       NULL, &request)),
              "filter_id", id, sizeof id);
    string_of(
        ASK(matrix_sync_once(bob, with("{\"filter\":\"%s\",\"set_presence\":\"unavailable\"}", id),
                             NULL, NULL, &request)),
        "next_batch", next, sizeof next);
    fails(ASK(matrix_sync_once(bob, with("{\"filter\":\"987654\"}"), NULL, NULL, &request)),
          "M_INVALID_PARAM");
    done(ASK(matrix_sync_once(bob, with("{\"full_state\":true,\"timeout_ms\":10}"), NULL, NULL,
                              &request)));
    string_of(ASK(matrix_account(bob, NULL, NULL, NULL, &request)), "next_batch", next,
              sizeof next);
}

static void start_loop(matrix_client bob) {
    done(ASK(matrix_sync_loop_start(bob, with("{\"timeout_ms\":20000,\"backoff_min_ms\":100}"),
                                    NULL, NULL, &request)));
    fails(ASK(matrix_sync_loop_start(bob, NULL, NULL, NULL, &request)), "E_ALREADY_RUNNING");
    fails(ASK(matrix_sync_once(bob, NULL, NULL, NULL, &request)), "E_ALREADY_RUNNING");
    hear_of("sync_state", "state", "syncing");
}

static void stop_loop(matrix_client bob) {
    for (int round = 0; round < 2; round++) {
        matrix_reply *reply = take_ok(ASK(matrix_sync_loop_stop(bob, NULL, NULL, NULL, &request)));
        CHECK(matrix_value_get_bool(matrix_reply_value(reply), "was_running", round) == !round);
        matrix_reply_free(reply);
    }
    hear_of("sync_state", "state", "stopped");
    CHECK(counts[KINDS - 1] == 2);
    CHECK(counts[12] > 0 && counts[14] > 0);
}

static matrix_subscription own;
static int once;

static void hear_once(const matrix_reply *reply, void *user_data) {
    (void)reply;
    (void)user_data;
    once++;
    CHECK_OK(matrix_unsubscribe(own));
}

static void talk(matrix_client alice, matrix_client bob) {
    char said[256], other[256];
    const matrix_value *message;

    is(hear_of("invite", "room_id", room_id), "sender", alice_id);
    done(ASK(matrix_join_room(bob, room_id, NULL, NULL, NULL, &request)));
    hear_of("membership", "state_key", bob_id);
    CHECK_OK(matrix_subscribe(
        bob, "message",
        with("{\"room_id\":\"%s\",\"sender\":\"%s\",\"not_own\":true}", room_id, alice_id),
        hear_once, NULL, &own));
    string_of(ASK(matrix_send_text(alice, room_id, "hello", NULL, NULL, NULL, &request)),
              "event_id", said, sizeof said);
    message = hear_of("message", "event_id", said);
    is(message, "body", "hello");
    CHECK(!matrix_value_get_bool(message, "is_historic", true));
    is(matrix_value_get(matrix_value_get(message, "raw"), "content"), "body", "hello");
    string_of(ASK(matrix_send_reply(alice, room_id, said, "again", NULL, NULL, NULL, &request)),
              "event_id", other, sizeof other);
    is(hear_of("message", "event_id", other), "reply_to", said);
    CHECK(once == 1);
    string_of(ASK(matrix_send_reaction(alice, room_id, said, "+", NULL, NULL, NULL, &request)),
              "event_id", other, sizeof other);
    is(hear_of("reaction", "room_id", room_id), "relates_to", said);
    done(ASK(matrix_redact(alice, room_id, other, NULL, NULL, NULL, &request)));
    is(hear_of("redaction", "room_id", room_id), "redacts", other);
    done(ASK(matrix_send_receipt(alice, room_id, said, NULL, NULL, NULL, &request)));
    hear_of("receipt", "room_id", room_id);
    done(ASK(matrix_set_typing(alice, room_id, true, NULL, NULL, NULL, &request)));
    hear_of("typing", "room_id", room_id);
}

static int64_t n_of(const matrix_value *value) {
    return matrix_value_get_int(matrix_value_get(value, "content"), "n", -1);
}

static void change(matrix_client alice, matrix_client bob) {
    matrix_map *in_room = with("{\"room_id\":\"%s\"}", room_id);

    done(ASK(
        matrix_set_account_data(bob, "org.example", "{\"n\":3}", in_room, NULL, NULL, &request)));
    done(ASK(matrix_set_account_data(bob, "org.example", "{\"n\":2}", NULL, NULL, NULL, &request)));
    CHECK(n_of(hear_of("account_data", "type", "org.example")) == 2);
    CHECK(n_of(hear_of("room_account_data", "room_id", room_id)) == 3);
    done(ASK(matrix_set_room_topic(alice, room_id, "leaves", NULL, NULL, NULL, &request)));
    hear_of("room", "room_id", room_id);
    done(ASK(matrix_send_state_event(alice, room_id, "org.example", "{\"n\":1}",
                                     with("{\"state_key\":\"key\"}"), NULL, NULL, &request)));
    is(hear_of("state", "type", "org.example"), "state_key", "key");
}

static bool may(matrix_client client, matrix_map *what) {
    matrix_reply *reply = take_ok(ASK(matrix_may(client, room_id, what, NULL, NULL, &request)));
    bool allowed = matrix_value_get_bool(matrix_reply_value(reply), "allowed", false);

    matrix_reply_free(reply);
    return allowed;
}

static void know(matrix_client client) {
    matrix_reply *reply = take_ok(ASK(matrix_state_event(
        client, room_id, "org.example", with("{\"state_key\":\"key\"}"), NULL, NULL, &request)));

    CHECK(n_of(matrix_reply_value(reply)) == 1);
    is(matrix_value_get(matrix_reply_value(reply), "event"), "sender", alice_id);
    matrix_reply_free(reply);
    reply = take_ok(ASK(matrix_state_events(client, room_id, with("{\"type\":\"m.room.topic\"}"),
                                            NULL, NULL, &request)));
    CHECK(matrix_value_count(matrix_value_get(matrix_reply_value(reply), "state")) == 1);
    matrix_reply_free(reply);
    reply = take_ok(ASK(matrix_power_levels(client, room_id, NULL, NULL, NULL, &request)));
    CHECK(matrix_value_get_int(matrix_reply_value(reply), "ban", -1) == 50);
    CHECK(matrix_value_get_int(matrix_reply_value(reply), "own_level", -1) == 0);
    matrix_reply_free(reply);
    reply = take_ok(ASK(matrix_account_data(client, "org.example", NULL, NULL, NULL, &request)));
    CHECK(n_of(matrix_reply_value(reply)) == 2);
    matrix_reply_free(reply);
    CHECK(may(client, with("{\"event_type\":\"m.room.message\"}")));
    CHECK(!may(client, with("{\"event_type\":\"m.room.topic\",\"is_state\":true}")));
    CHECK(!may(client, with("{\"action\":\"kick\",\"target\":\"%s\"}", alice_id)));
    CHECK(may(client, with("{\"action\":\"redact\",\"target\":\"%s\"}", bob_id)));
    CHECK(!may(client, with("{\"action\":\"redact\",\"target\":\"%s\"}", alice_id)));
}

static void rule(matrix_client alice) {
    for (int level = 100; level <= 101; level++)
        CHECK(may(alice, with("{\"event_type\":\"m.room.power_levels\",\"is_state\":true,"
                              "\"content\":{\"ban\":50,\"users\":{\"%s\":100,\"%s\":%d}}}",
                              alice_id, bob_id, level)) == (level == 100));
}

/** What Bob is to a room; "" when he knows nothing of it. */
static const char *membership(matrix_client bob, const char *room) {
    static char found[32];
    matrix_reply *reply = take_ok(ASK(matrix_rooms(bob, NULL, NULL, NULL, &request)));
    const matrix_value *rooms = matrix_value_get(matrix_reply_value(reply), "rooms");

    found[0] = '\0';
    for (size_t at = 0; at < matrix_value_count(rooms); at++) {
        const matrix_value *each = matrix_value_at(rooms, at);
        if (!strcmp(matrix_value_get_string(each, "room_id", ""), room))
            snprintf(found, sizeof found, "%s", matrix_value_get_string(each, "membership", ""));
    }
    matrix_reply_free(reply);
    return found;
}

static void until(matrix_client bob, const char *room, const char *expected) {
    while (strcmp(membership(bob, room), expected))
        CHECK(matrix_dispatch(context, 20000, 0) > 0);
}

static void leave(matrix_client alice, matrix_client bob) {
    char other[256];

    string_of(
        ASK(matrix_create_room(alice, with("{\"invite\":[\"%s\"]}", bob_id), NULL, NULL, &request)),
        "room_id", other, sizeof other);
    until(bob, other, "invite");
    done(ASK(matrix_kick_user(alice, other, bob_id, NULL, NULL, NULL, &request)));
    done(ASK(matrix_ban_user(alice, room_id, bob_id, NULL, NULL, NULL, &request)));
    until(bob, other, "leave");
    until(bob, room_id, "ban");
    done(ASK(matrix_forget_room(bob, other, NULL, NULL, NULL, &request)));
    CHECK(!*membership(bob, other));
}

int main(void) {
    const char *format = "{\"homeserver\":\"%s\",\"user_id\":\"%s\",\"access_token\":\"%s\"}";
    matrix_client alice, bob;
    matrix_map *options;

    context = open_context();
    alice_id = env("MATRIX_USER_ID");
    bob_id = env("MATRIX_USER_ID2");
    alice = open_client_of(with(format, env("MATRIX_HOMESERVER"), alice_id, env("MATRIX_TOKEN")));
    options = with(format, env("MATRIX_HOMESERVER"), bob_id, env("MATRIX_TOKEN2"));
    CHECK_OK(matrix_map_set_string(options, "store_path", env("MATRIX_STORE")));
    bob = open_client_of(options);
    sync_by_hand(bob);
    listen_to_all(bob);
    start_loop(bob);
    string_of(
        ASK(matrix_create_room(
            alice, with("{\"name\":\"Tea\",\"invite\":[\"%s\"],\"room_version\":\"11\"}", bob_id),
            NULL, NULL, &request)),
        "room_id", room_id, sizeof room_id);
    talk(alice, bob);
    change(alice, bob);
    know(bob);
    rule(alice);
    stop_loop(bob);
    CHECK_OK(matrix_close_client(bob));
    /* Nothing but the store is needed to know it again, and to go on. */
    bob = open_client_of(with("{\"store_path\":\"%s\"}", env("MATRIX_STORE")));
    know(bob);
    CHECK(!strcmp(membership(bob, room_id), "join"));
    listen_to_all(bob);
    start_loop(bob);
    leave(alice, bob);
    stop_loop(bob);
    CHECK_OK(matrix_shutdown(context, -1));
    for (int kind = 0; kind < KINDS; kind++)
        while (counts[kind])
            matrix_reply_free(heard[kind][--counts[kind]]);
    return 0;
}
