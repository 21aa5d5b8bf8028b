/* SPDX-License-Identifier: Apache-2.0 */
/** polls: a poll from the question to the end, from C: alice asks, bob votes. See people.h. */
#include "people.h"

int main(void) {
    const char *room_id = env("MATRIX_ROOM");
    matrix_request request = {0};
    matrix_client alice, bob;
    char poll[256];
    matrix_reply *reply;
    const matrix_value *value;
    const matrix_poll_answer *answer;

    context = open_context();
    alice = open_with_token("MATRIX_TOKEN", "MATRIX_USER_ID");
    bob = open_with_token("MATRIX_TOKEN2", "MATRIX_USER_ID2");
    CHECK_OK(matrix_start_poll(alice, room_id, "Tea?", "[\"green\", \"black\"]", NULL, NULL, NULL,
                               &request));
    string_of(request, "event_id", poll, sizeof poll);
    CHECK_OK(matrix_answer_poll(bob, room_id, poll, "[\"2\"]", NULL, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_answer_poll(bob, room_id, poll, "[\"3\"]", NULL, NULL, NULL, &request));
    fails(request, "E_INVALID_ARGUMENT");
    CHECK_OK(matrix_end_poll(alice, room_id, poll, NULL, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_poll_results(bob, room_id, poll, NULL, NULL, NULL, &request));
    reply = take_ok(request);
    value = matrix_reply_value(reply);
    CHECK(matrix_value_get_bool(value, "is_ended", false));
    answer =
        matrix_reply_as_poll_answer(reply, matrix_value_at(matrix_value_get(value, "answers"), 1));
    CHECK(!strcmp(answer->id, "2") && !strcmp(answer->text, "black") && answer->count == 1);
    matrix_reply_free(reply);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
