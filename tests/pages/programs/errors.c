/* SPDX-License-Identifier: Apache-2.0 */
/* PRINTS ^\$ */
/* PRINTS ^E_INVALID_ARGUMENT: thread: is not a known key; known are html,  */
#include "people.h"

/* LISTING 2 */

int main(void) {
    context = open_context();
    matrix_client client = open_with_token("MATRIX_TOKEN", "MATRIX_USER_ID");
    const char *room_id = env("MATRIX_ROOM");
    struct tally after = {0};

    /* LISTING 1 */
    CHECK_STATUS(status, MATRIX_E_INVALID_ARGUMENT);
    matrix_map_free(options);
    CHECK_OK(matrix_send_text(client, room_id, "hi", NULL, on_sent, NULL, NULL));
    CHECK_OK(matrix_send_text(client, room_id, "ho", NULL, count_reply, &after, NULL));
    pump(context, &after.ok, 1);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
