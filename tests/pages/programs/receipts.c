/* SPDX-License-Identifier: Apache-2.0 */
#include "people.h"

static struct tally ignored;

static void on_ignored(const matrix_reply *reply, void *user_data) {
    (void)user_data;
    count_reply(reply, &ignored);
}

int main(void) {
    context = open_context();
    matrix_client client = open_with_token("MATRIX_TOKEN", "MATRIX_USER_ID");
    const char *room_id = env("MATRIX_ROOM");

    /* LISTING 1 */
    pump(context, &ignored.ok, 1);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
