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

int main(void) {
    struct hearing hearing = {0};
    char room_id[256], event_id[256], bob_id[256], device_id[256], invite[600];
    const matrix_event *event;
    matrix_request request = {0};
    matrix_client alice, bob;
    matrix_reply *reply;
    matrix_map *options;

    context = open_context();
    alice = log_in("");
    bob = log_in("2");
    CHECK_OK(matrix_subscribe(bob, "any", NULL, hear_one, &hearing, NULL));
    CHECK_OK(matrix_encryption_status(bob, NULL, NULL, NULL, &request));
    reply = take_ok(request);
    snprintf(bob_id, sizeof bob_id, "%s",
             matrix_value_get_string(matrix_reply_value(reply), "user_id", ""));
    snprintf(device_id, sizeof device_id, "%s",
             matrix_value_get_string(matrix_reply_value(reply), "device_id", ""));
    matrix_reply_free(reply);

    snprintf(invite, sizeof invite, "{\"encrypted\": true, \"invite\": [\"%s\"]}", bob_id);
    options = map_of(invite);
    CHECK_OK(matrix_create_room(alice, options, NULL, NULL, &request));
    string_of(request, "room_id", room_id, sizeof room_id);
    matrix_map_free(options);
    CHECK_OK(matrix_join_room(bob, room_id, NULL, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_sync_once(alice, NULL, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_room_encryption(alice, room_id, NULL, NULL, NULL, &request));
    reply = take_ok(request);
    CHECK(matrix_value_get_bool(matrix_reply_value(reply), "is_encrypted", false));
    matrix_reply_free(reply);
    CHECK_OK(matrix_share_room_key(alice, room_id, NULL, NULL, NULL, &request));
    done(request);

    say(alice, room_id, "in secret", event_id, sizeof event_id);
    event = hear(bob, &hearing, event_id);
    CHECK(event->body && !strcmp(event->body, "in secret"));
    CHECK(!strcmp(text_at(event, "shield_reason"), "unsigned_device"));
    CHECK_OK(matrix_discard_room_key(alice, room_id, NULL, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_set_device_trust(alice, bob_id, device_id, MATRIX_LOCAL_TRUST_BLOCKED, NULL,
                                     NULL, NULL, &request));
    done(request);
    say(alice, room_id, "not for bob", event_id, sizeof event_id);
    event = hear(bob, &hearing, event_id);
    CHECK(!event->body && !strcmp(event->type, "m.room.encrypted"));
    CHECK(!strcmp(text_at(event, "withheld_code"), "m.blacklisted"));
    matrix_reply_free(hearing.reply);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
