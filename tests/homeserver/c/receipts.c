/* SPDX-License-Identifier: Apache-2.0 */
/** receipts: typing, receipts, markers, reports and who is ignored, from C. See people.h. */
#include "people.h"

static const char *room_id;
static matrix_client alice, bob;

struct seen {
    int typing, silent, receipts;
    char event_id[256], thread_id[256];
};

static void on_typing(const matrix_reply *reply, void *user_data) {
    struct seen *seen = user_data;
    const matrix_value *users = matrix_value_get(matrix_reply_value(reply), "user_ids");

    if (matrix_value_count(users))
        seen->typing++;
    else
        seen->silent++;
}

static void on_receipt(const matrix_reply *reply, void *user_data) {
    struct seen *seen = user_data;
    const matrix_receipt *receipt = matrix_reply_as_receipt(reply, matrix_reply_value(reply));

    if (receipt->is_own)
        return;
    seen->receipts++;
    snprintf(seen->event_id, sizeof seen->event_id, "%s", receipt->event_id);
    snprintf(seen->thread_id, sizeof seen->thread_id, "%s",
             receipt->thread_id ? receipt->thread_id : "");
}

static void sync_until(const int *counter) {
    matrix_map *options = map_of("{\"timeout_ms\": 5000}");
    matrix_request request = {0};

    for (int i = 0; i < 60 && !*counter; i++) {
        CHECK_OK(matrix_sync_once(bob, options, NULL, NULL, &request));
        done(request);
        CHECK(matrix_dispatch(context, 0, 0) >= 0);
    }
    matrix_map_free(options);
    CHECK(*counter);
}

static void read_and_type(const char *event_id, struct seen *seen) {
    matrix_map *thread = map_of("{\"thread_id\": \"main\"}");
    matrix_map *markers = matrix_map_new();
    matrix_request request = {0};
    char marker[256];

    CHECK_OK(matrix_set_typing(alice, room_id, true, NULL, NULL, NULL, &request));
    done(request);
    sync_until(&seen->typing);
    CHECK_OK(matrix_set_typing(alice, room_id, false, NULL, NULL, NULL, &request));
    done(request);
    sync_until(&seen->silent);
    CHECK_OK(matrix_send_receipt(alice, room_id, event_id, thread, NULL, NULL, &request));
    done(request);
    sync_until(&seen->receipts);
    CHECK(!strcmp(seen->event_id, event_id) && !strcmp(seen->thread_id, "main"));
    CHECK_OK(matrix_map_set_string(markers, "fully_read", event_id));
    CHECK_OK(matrix_set_read_markers(alice, room_id, markers, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_fully_read(alice, room_id, NULL, NULL, NULL, &request));
    CHECK(!strcmp(string_of(request, "event_id", marker, sizeof marker), event_id));
    matrix_map_free(thread);
    matrix_map_free(markers);
}

static size_t ignored(void) {
    matrix_map *reload = with("{\"reload\": true}");

    return count_of(ASK(matrix_ignored_users(alice, reload, NULL, NULL, &request)), "user_ids");
}

static void be_safe(const char *event_id, const char *bob_id) {
    matrix_request request = {0};

    CHECK_OK(matrix_report_event(alice, room_id, event_id, NULL, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_report_room(alice, room_id, NULL, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_report_user(alice, bob_id, NULL, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_ignore_user(alice, bob_id, NULL, NULL, NULL, &request));
    done(request);
    CHECK(ignored() == 1);
    CHECK_OK(matrix_unignore_user(alice, bob_id, NULL, NULL, NULL, &request));
    done(request);
    CHECK(ignored() == 0);
}

int main(void) {
    struct seen seen = {0};
    matrix_request request = {0};
    char event_id[256];

    context = open_context();
    room_id = env("MATRIX_ROOM");
    alice = open_with_token("MATRIX_TOKEN", "MATRIX_USER_ID");
    bob = open_with_token("MATRIX_TOKEN2", "MATRIX_USER_ID2");
    CHECK_OK(matrix_subscribe(bob, "typing", NULL, on_typing, &seen, NULL));
    CHECK_OK(matrix_subscribe(bob, "receipt", NULL, on_receipt, &seen, NULL));
    CHECK_OK(matrix_send_text(bob, room_id, "read me", NULL, NULL, NULL, &request));
    string_of(request, "event_id", event_id, sizeof event_id);
    read_and_type(event_id, &seen);
    be_safe(event_id, env("MATRIX_USER_ID2"));
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
