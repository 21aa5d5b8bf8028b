/* SPDX-License-Identifier: Apache-2.0 */
/**
 * encryption: two users talk in an encrypted room; one blocks the other.
 */
#include "people.h"

static matrix_client log_in(const char *suffix) {
    matrix_client client = open_client_at(context, env("MATRIX_HOMESERVER"));

    done(log_in_as(client, suffix));
    return client;
}

static void say(matrix_client client, const char *room_id, const char *body, char *event_id,
                size_t size) {
    matrix_request request = {0};

    CHECK_OK(matrix_send_text(client, room_id, body, NULL, NULL, NULL, &request));
    string_of(request, "event_id", event_id, size);
}

static const char *text_at(const matrix_event *event, const char *key) {
    return matrix_value_get_string(event->encryption, key, "");
}

/** An encrypted room of both, whose key is shared. */
static void make_room(matrix_client alice, matrix_client bob, const char *bob_id, char *room_id,
                      size_t size) {
    string_of(
        ASK(matrix_create_room(alice, with("{\"encrypted\": true, \"invite\": [\"%s\"]}", bob_id),
                               NULL, NULL, &request)),
        "room_id", room_id, size);
    done(ASK(matrix_join_room(bob, room_id, NULL, NULL, NULL, &request)));
    done(ASK(matrix_sync_once(alice, NULL, NULL, NULL, &request)));
    CHECK(bool_of(ASK(matrix_room_encryption(alice, room_id, NULL, NULL, NULL, &request)),
                  "is_encrypted"));
    done(ASK(matrix_share_room_key(alice, room_id, NULL, NULL, NULL, &request)));
}

int main(void) {
    struct hearing hearing = {0};
    char room_id[256], event_id[256], bob_id[256], device_id[256];
    const matrix_event *event;
    matrix_client alice, bob;

    context = open_context();
    alice = log_in("");
    bob = log_in("2");
    CHECK_OK(matrix_subscribe(bob, "any", NULL, hear_one, &hearing, NULL));
    string_of(ASK(matrix_encryption_status(bob, NULL, NULL, NULL, &request)), "user_id", bob_id,
              sizeof bob_id);
    string_of(ASK(matrix_encryption_status(bob, NULL, NULL, NULL, &request)), "device_id",
              device_id, sizeof device_id);
    make_room(alice, bob, bob_id, room_id, sizeof room_id);

    say(alice, room_id, "in secret", event_id, sizeof event_id);
    event = hear(bob, &hearing, event_id);
    CHECK(event->body && !strcmp(event->body, "in secret"));
    CHECK(!strcmp(text_at(event, "shield_reason"), "unsigned_device"));
    done(ASK(matrix_discard_room_key(alice, room_id, NULL, NULL, NULL, &request)));
    done(ASK(matrix_set_device_trust(alice, bob_id, device_id, MATRIX_LOCAL_TRUST_BLOCKED, NULL,
                                     NULL, NULL, &request)));
    say(alice, room_id, "not for bob", event_id, sizeof event_id);
    event = hear(bob, &hearing, event_id);
    CHECK(!event->body && !strcmp(event->type, "m.room.encrypted"));
    CHECK(!strcmp(text_at(event, "withheld_code"), "m.blacklisted"));
    matrix_reply_free(hearing.reply);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
