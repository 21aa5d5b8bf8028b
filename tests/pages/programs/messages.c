/* SPDX-License-Identifier: Apache-2.0 */
#include "people.h"

static struct tally sent;

static void on_sent(const matrix_reply *reply, void *user_data) {
    (void)user_data;
    count_reply(reply, &sent);
}

int main(void) {
    context = open_context();
    matrix_client client = open_with_token("MATRIX_TOKEN", "MATRIX_USER_ID");
    const char *room_id = env("MATRIX_ROOM");
    matrix_request request = {0};
    char root_id[256];

    CHECK_OK(matrix_send_text(client, room_id, "root", NULL, NULL, NULL, &request));
    string_of(request, "event_id", root_id, sizeof root_id);
    /* LISTING 1 */
    pump(context, &sent.ok, 1);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
