/* SPDX-License-Identifier: Apache-2.0 */
/**
 * verification: two users verify each other in a room, by emoji and then by a QR code; a third
 * verification is a mismatch, a fourth is declined.
 */
#include "people.h"

/* One client, and what it heard last of a verification. */
struct side {
    matrix_client client;
    const char *user_id;
    char id[256], state[32], code[64], emoji[512];
    bool is_outgoing, is_cancelled_by_other;
};

static void on_verification(const matrix_reply *reply, void *user_data) {
    struct side *side = user_data;
    const matrix_value *value = matrix_reply_value(reply);
    const matrix_value *emoji = matrix_value_get(value, "emoji");
    const matrix_verification *known = matrix_reply_as_verification(reply, value);
    size_t used = 0;

    CHECK(!strcmp(known->kind, "verification") && known->expires_ts > 1600000000000);
    snprintf(side->id, sizeof side->id, "%s", known->verification_id);
    snprintf(side->state, sizeof side->state, "%s", matrix_value_get_string(value, "state", "?"));
    snprintf(side->code, sizeof side->code, "%s", known->cancel_code ? known->cancel_code : "");
    side->is_outgoing = known->is_outgoing;
    side->is_cancelled_by_other = known->is_cancelled_by_other;
    side->emoji[0] = '\0';
    for (size_t i = 0; i < matrix_value_count(emoji); i++)
        used +=
            (size_t)snprintf(side->emoji + used, sizeof side->emoji - used, "%s ",
                             matrix_value_get_string(matrix_value_at(emoji, i), "description", ""));
}

static void enter(struct side *side, const char *token, const char *user_id, const char *password) {
    matrix_map *options = matrix_map_new();
    matrix_request request = {0};

    side->client = open_with_token(token, user_id);
    side->user_id = env(user_id);
    CHECK_OK(matrix_subscribe(side->client, "verification", NULL, on_verification, side, NULL));
    CHECK_OK(matrix_sync_loop_start(side->client, NULL, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_map_set_string(options, "password", env(password)));
    CHECK_OK(matrix_bootstrap_cross_signing(side->client, options, NULL, NULL, &request));
    done(request);
    matrix_map_free(options);
}

/* Dispatches until a side has heard that state of that verification. */
static void reach(struct side *side, const char *id, const char *state) {
    for (int i = 0; strcmp(side->state, state) != 0 || strcmp(side->id, id) != 0; i++) {
        if (i > 3000 || (!strcmp(side->state, "cancelled") && !strcmp(side->id, id)))
            fprintf(stderr, "%s: %s, not %s: %s\n", side->user_id, side->state, state, side->code);
        CHECK(i <= 3000);
        CHECK(matrix_dispatch(context, 20, 0) >= 0);
    }
}

/* Request and ready in the room; the id goes to `id`. */
static void agree(struct side *asker, struct side *asked, const char *methods, char *id,
                  size_t size) {
    char text[1024];
    matrix_map *options;
    matrix_request request = {0};
    matrix_reply *reply;

    snprintf(text, sizeof text, "{\"room_id\":\"%s\",\"methods\":%s}", env("MATRIX_ROOM"), methods);
    options = map_of(text);
    CHECK_OK(
        matrix_request_verification(asker->client, asked->user_id, options, NULL, NULL, &request));
    reply = take_ok(request);
    snprintf(id, size, "%s",
             matrix_value_get_string(matrix_value_get(matrix_reply_value(reply), "verification"),
                                     "verification_id", ""));
    matrix_reply_free(reply);
    matrix_map_free(options);
    reach(asked, id, "requested");
    CHECK(!asked->is_outgoing);
    snprintf(text, sizeof text, "{\"methods\":%s}", methods);
    options = map_of(text);
    CHECK_OK(matrix_accept_verification(asked->client, id, options, NULL, NULL, &request));
    done(request);
    matrix_map_free(options);
    reach(asker, id, "ready");
}

static void compare(struct side *asker, struct side *asked, char *id, size_t size) {
    matrix_request request = {0};

    agree(asker, asked, "[\"m.sas.v1\"]", id, size);
    CHECK_OK(matrix_start_sas(asked->client, id, NULL, NULL, NULL, &request));
    done(request);
    reach(asker, id, "comparing");
    reach(asked, id, "comparing");
    CHECK(asker->emoji[0] && !strcmp(asker->emoji, asked->emoji));
}

static void confirm(struct side *side, const char *id) {
    matrix_request request = {0};

    CHECK_OK(matrix_confirm_verification(side->client, id, NULL, NULL, NULL, &request));
    done(request);
}

static void by_code(struct side *shower, struct side *scanner) {
    const char *methods = "[\"m.sas.v1\",\"m.qr_code.show.v1\",\"m.qr_code.scan.v1\"]";
    char id[256];
    unsigned char data[1024];
    size_t size = 0;
    matrix_request request = {0};

    agree(scanner, shower, methods, id, sizeof id);
    CHECK_OK(matrix_show_qr(shower->client, id, NULL, NULL, NULL, &request));
    {
        matrix_reply *reply = take_ok(request);
        const char *text = matrix_value_get_string(matrix_reply_value(reply), "data", "");
        unsigned bits = 0, count = 0;

        for (; *text && *text != '='; text++) {
            static const char letters[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            bits = bits << 6 | (unsigned)(strchr(letters, *text) - letters);
            count += 6;
            if (count >= 8)
                data[size++] = (unsigned char)(bits >> (count -= 8));
        }
        matrix_reply_free(reply);
    }
    CHECK(size > 80 && !memcmp(data, "MATRIX", 6));
    CHECK_OK(matrix_scan_qr(scanner->client, id, data, size, NULL, NULL, NULL, &request));
    done(request);
    reach(shower, id, "comparing");
    confirm(shower, id);
    reach(shower, id, "done");
    reach(scanner, id, "done");
}

int main(void) {
    struct side alice = {0}, bob = {0};
    char id[256];
    matrix_request request = {0};
    matrix_reply *reply;

    context = open_context();
    enter(&alice, "MATRIX_TOKEN", "MATRIX_USER_ID", "MATRIX_PASSWORD");
    enter(&bob, "MATRIX_TOKEN2", "MATRIX_USER_ID2", "MATRIX_PASSWORD2");

    compare(&alice, &bob, id, sizeof id);
    confirm(&alice, id);
    confirm(&bob, id);
    reach(&alice, id, "done");
    reach(&bob, id, "done");
    by_code(&alice, &bob);

    compare(&bob, &alice, id, sizeof id);
    CHECK_OK(matrix_mismatch_verification(alice.client, id, NULL, NULL, NULL, &request));
    done(request);
    reach(&bob, id, "cancelled");
    CHECK(!strcmp(bob.code, "m.mismatched_sas") && bob.is_cancelled_by_other);

    agree(&bob, &alice, "[\"m.sas.v1\"]", id, sizeof id);
    CHECK_OK(matrix_cancel_verification(bob.client, id, NULL, NULL, NULL, &request));
    done(request);
    reach(&alice, id, "cancelled");
    CHECK(!strcmp(alice.code, "m.user"));

    CHECK_OK(matrix_verifications(alice.client, NULL, NULL, NULL, &request));
    reply = take_ok(request);
    CHECK(matrix_value_count(matrix_value_get(matrix_reply_value(reply), "verifications")) == 4);
    matrix_reply_free(reply);
    CHECK_OK(matrix_start_sas(alice.client, id, NULL, NULL, NULL, &request));
    fails(request, "E_INVALID_ARGUMENT");
    CHECK_OK(matrix_shutdown(context, 5000));
    return 0;
}
