/* SPDX-License-Identifier: Apache-2.0 */
#include "people.h"

static int messages, states;

static void on_message(const matrix_reply *reply, void *user_data) {
    (void)user_data;
    CHECK(matrix_reply_as_event(reply, matrix_reply_value(reply))->body);
    messages++;
}

static void on_state(const matrix_reply *reply, void *user_data) {
    (void)user_data;
    CHECK(matrix_reply_ok(reply));
    states++;
}

int main(void) {
    context = open_context();
    matrix_client client = open_with_token("MATRIX_TOKEN", "MATRIX_USER_ID");
    matrix_client bob = open_with_token("MATRIX_TOKEN2", "MATRIX_USER_ID2");

    done(ASK(matrix_send_text(bob, env("MATRIX_ROOM"), "hi", NULL, NULL, NULL, &request)));
    /* LISTING 1 */
    pump(context, &messages, 1);
    pump(context, &states, 1);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
