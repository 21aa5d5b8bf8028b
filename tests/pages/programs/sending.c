/* SPDX-License-Identifier: Apache-2.0 */
/* PRINTS ^t1 was not sent: . */
#include "people.h"

/* LISTING 1 */

int main(void) {
    context = open_context();
    matrix_client client = open_with_token("MATRIX_TOKEN", "MATRIX_USER_ID");
    struct tally tally = {0};

    /* LISTING 2 */
    CHECK_OK(matrix_send_text(client, "!nowhere:localhost", "hi", with("{\"txn_id\": \"t1\"}"),
                              count_reply, &tally, NULL));
    CHECK_OK(matrix_send_text(client, env("MATRIX_ROOM"), "hi", NULL, count_reply, &tally, NULL));
    pump(context, &tally.ok, 1);
    pump(context, &tally.failed, 1);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
