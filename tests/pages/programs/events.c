/* SPDX-License-Identifier: Apache-2.0 */
/* PRINTS ^@.*: tea$ */
#include "people.h"

/* LISTING 1 */

static void count(const matrix_reply *reply, void *counter) {
    (void)reply;
    ++*(int *)counter;
}

int main(void) {
    context = open_context();
    matrix_client client = open_with_token("MATRIX_TOKEN", "MATRIX_USER_ID");
    matrix_client bob = open_with_token("MATRIX_TOKEN2", "MATRIX_USER_ID2");
    int messages = 0;

    CHECK_OK(matrix_subscribe(client, "message", NULL, on_message, NULL, NULL));
    CHECK_OK(matrix_subscribe(client, "message", NULL, count, &messages, NULL));
    done(ASK(matrix_send_text(bob, env("MATRIX_ROOM"), "tea", NULL, NULL, NULL, &request)));
    done(ASK(matrix_sync_once(client, NULL, NULL, NULL, &request)));
    pump(context, &messages, 1);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
