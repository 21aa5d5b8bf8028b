/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

enum { EACH = 50 };

int main(void) {
    matrix_context context = open_context();
    matrix_client client = open_client(context);
    matrix_client closing = open_client(context);
    struct tally results[EACH] = {{0}}, errors[EACH] = {{0}}, cancelled[EACH] = {{0}};
    struct tally closed[EACH] = {{0}}, shut[EACH] = {{0}}, raced[EACH] = {{0}};
    struct tally end = {0};

    for (int i = 0; i < EACH; i++) {
        ping(client, i % 7, count_reply, &results[i]);
        CHECK_OK(matrix_whoami(client, NULL, count_reply, &errors[i], NULL));
        CHECK_OK(matrix_cancel(ping(client, 600000, count_reply, &cancelled[i])));
        matrix_cancel(ping(client, 0, count_reply, &raced[i]));
        ping(closing, 600000, count_reply, &closed[i]);
        ping(client, 600000, count_reply, &shut[i]);
    }
    CHECK_OK(matrix_close_client(closing));
    for (int i = 0; i < EACH; i++) {
        while (!tally_count(&results[i]) || !tally_count(&errors[i]) ||
               !tally_count(&cancelled[i]) || !tally_count(&raced[i]) || !tally_count(&closed[i]))
            CHECK(matrix_dispatch(context, 20000, 0) > 0);
    }
    ping(client, 20, count_reply, &end);
    pump(context, &end.ok, 1);
    CHECK(tally_count(&shut[0]) == 0);
    CHECK_OK(matrix_shutdown(context, -1));

    for (int i = 0; i < EACH; i++) {
        CHECK(results[i].ok == 1 && results[i].failed == 0);
        CHECK(errors[i].failed == 1 && !strcmp(errors[i].code, "E_NOT_LOGGED_IN"));
        CHECK(cancelled[i].failed == 1 && !strcmp(cancelled[i].code, "E_CANCELLED"));
        CHECK(closed[i].failed == 1 && !strcmp(closed[i].code, "E_CANCELLED"));
        CHECK(shut[i].failed == 1 && !strcmp(shut[i].code, "E_SHUTDOWN"));
        CHECK(tally_count(&raced[i]) == 1);
        CHECK(errors[i].ok + cancelled[i].ok + closed[i].ok + shut[i].ok == 0);
    }
    return 0;
}
