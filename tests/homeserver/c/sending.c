/* SPDX-License-Identifier: Apache-2.0 */
/** sending: the queue of sends, from C. See people.h; MATRIX_STORE is a folder. */
#include "people.h"

enum { MESSAGES = 5, DROPPED = 2 };

static const char *room_id;

struct heard {
    int queued, sent, failed, restored, echoes;
    int64_t send_ids[MESSAGES];
    char last_sent[64];
};

static void on_send(const matrix_reply *reply, void *user_data) {
    struct heard *heard = user_data;
    const matrix_send_update *update =
        matrix_reply_as_send_update(reply, matrix_reply_value(reply));

    if (update->state == MATRIX_SEND_STATE_SENT) {
        heard->sent++;
        heard->restored += update->is_restored;
        snprintf(heard->last_sent, sizeof heard->last_sent, "%s", update->txn_id);
    } else if (update->state == MATRIX_SEND_STATE_FAILED) {
        heard->failed++;
    } else if (update->state == MATRIX_SEND_STATE_QUEUED && !update->delay_ms) {
        if (heard->queued < MESSAGES)
            heard->send_ids[heard->queued] = update->send_id;
        heard->queued++;
    }
}

static void on_message(const matrix_reply *reply, void *user_data) {
    struct heard *heard = user_data;
    const matrix_event *event = matrix_reply_as_event(reply, matrix_reply_value(reply));

    CHECK(event->is_local);
    heard->echoes++;
}

static matrix_client open_store(const char *homeserver, struct heard *heard) {
    matrix_map *options = matrix_map_new(), *filter = map_of("{\"local_echo\": true}");
    matrix_client client = {0};

    CHECK_OK(matrix_map_set_string(options, "homeserver", homeserver));
    CHECK_OK(matrix_map_set_string(options, "access_token", env("MATRIX_TOKEN")));
    CHECK_OK(matrix_map_set_string(options, "user_id", env("MATRIX_USER_ID")));
    CHECK_OK(matrix_map_set_string(options, "store_path", env("MATRIX_STORE")));
    CHECK_OK(matrix_create_client(context, options, &client));
    CHECK_OK(matrix_subscribe(client, "send", NULL, on_send, heard, NULL));
    CHECK_OK(matrix_subscribe(client, "message", filter, on_message, heard, NULL));
    matrix_map_free(options);
    matrix_map_free(filter);
    return client;
}

static size_t count_sends(matrix_client client) {
    return count_of(ASK(matrix_sends(client, NULL, NULL, NULL, &request)), "sends");
}

/* Nobody listens at the homeserver: all is kept, and one is taken back. */
static void queue_offline(void) {
    struct heard heard = {0};
    matrix_client client = open_store("http://127.0.0.1:9", &heard);
    matrix_request request = {0};
    struct tally ended = {0};
    char text[32];

    for (int i = 0; i < MESSAGES; i++) {
        matrix_map *options = matrix_map_new();

        snprintf(text, sizeof text, "c%d", i);
        CHECK_OK(matrix_map_set_string(options, "txn_id", text));
        CHECK_OK(matrix_send_text(client, room_id, text, options, count_reply, &ended, NULL));
        matrix_map_free(options);
    }
    pump(context, &heard.queued, MESSAGES);
    pump(context, &heard.echoes, MESSAGES);
    CHECK(count_sends(client) == MESSAGES);
    CHECK_OK(matrix_cancel_send(client, heard.send_ids[DROPPED], NULL, NULL, NULL, &request));
    done(request);
    pump(context, &heard.failed, 1);
    pump(context, &ended.failed, 1);
    CHECK(!strcmp(ended.code, "E_CANCELLED"));
    CHECK(count_sends(client) == MESSAGES - 1);
    CHECK_OK(matrix_retry_sends(client, NULL, NULL, NULL, &request));
    done(request);
    /* What was heard counts as consumed when a dispatch is past it; else it is told again. */
    CHECK(matrix_dispatch(context, 0, 0) >= 0);
    /* Closing the client leaves them in the store. */
    CHECK_OK(matrix_close_client(client));
    pump(context, &ended.failed, MESSAGES);
}

/* The next client has nothing to do but to be opened. */
static void send_online(void) {
    struct heard heard = {0};
    matrix_client client = open_store(env("MATRIX_HOMESERVER"), &heard);

    pump(context, &heard.sent, MESSAGES - 1);
    CHECK(heard.restored == MESSAGES - 1 && !heard.failed);
    CHECK(!strcmp(heard.last_sent, "c4"));
    CHECK(count_sends(client) == 0);
    CHECK_OK(matrix_close_client(client));
}

struct outcome {
    char code[64];
    int place;
};

static int over;

static void on_over(const matrix_reply *reply, void *user_data) {
    struct outcome *outcome = user_data;

    outcome->place = ++over;
    if (!matrix_reply_ok(reply))
        snprintf(outcome->code, sizeof outcome->code, "%s", matrix_reply_error(reply)->code);
}

static void send_to(matrix_client client, const char *room, const char *body,
                    struct outcome *outcome) {
    CHECK_OK(matrix_send_text(client, room, body, NULL, on_over, outcome, NULL));
}

/* All are submitted at once: what is refused for good is told, and the others go. */
static void refusals_block_nothing(void) {
    static char large[65000], larger[65536];
    struct heard heard = {0};
    matrix_client client = open_store(getenv("MATRIX_HOMESERVER"), &heard);
    /* The state of another user. */
    matrix_map *others = map_of("{\"state_key\": \"@carol:localhost\"}");
    struct outcome outcomes[6] = {0};

    memset(large, 'x', sizeof large - 1);
    memset(larger, 'x', sizeof larger - 1);
    send_to(client, room_id, large, &outcomes[0]);
    CHECK_OK(
        matrix_set_room_name(client, "!nowhere:localhost", "x", NULL, on_over, &outcomes[1], NULL));
    send_to(client, "!nowhere:localhost", "x", &outcomes[2]);
    CHECK_OK(matrix_send_state_event(client, room_id, "org.example.mine", "{}", others, on_over,
                                     &outcomes[3], NULL));
    send_to(client, room_id, larger, &outcomes[4]);
    send_to(client, room_id, "c5", &outcomes[5]);
    pump(context, &over, 6);
    CHECK(!strcmp(outcomes[0].code, "M_TOO_LARGE"));
    CHECK(!strcmp(outcomes[1].code, "M_FORBIDDEN"));
    CHECK(!strcmp(outcomes[2].code, "M_FORBIDDEN"));
    CHECK(!strcmp(outcomes[3].code, "M_FORBIDDEN"));
    CHECK(!strcmp(outcomes[4].code, "E_TOO_LARGE"));
    CHECK(!outcomes[5].code[0]);
    CHECK(outcomes[0].place < outcomes[3].place && outcomes[3].place < outcomes[5].place);
    matrix_map_free(others);
    CHECK_OK(matrix_close_client(client));
}

int main(void) {
    context = open_context();
    room_id = env("MATRIX_ROOM");
    queue_offline();
    send_online();
    refusals_block_nothing();
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
