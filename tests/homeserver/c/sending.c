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

int main(void) {
    context = open_context();
    room_id = env("MATRIX_ROOM");
    queue_offline();
    send_online();
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
