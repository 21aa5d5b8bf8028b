/* SPDX-License-Identifier: Apache-2.0 */
#include <semaphore.h>
#include <stdatomic.h>

#include "check.h"

static sem_t due;
static atomic_int wakeups;

static void wake(void *user_data) {
    atomic_fetch_add(&wakeups, 1);
    sem_post(user_data);
}

int main(void) {
    matrix_context context = open_context();
    matrix_client client = open_client(context);
    struct tally tally = {0};
    int before;

    CHECK(sem_init(&due, 0, 0) == 0);
    CHECK_OK(matrix_set_wakeup_callback(context, wake, &due));
    for (int round = 1; round <= 100; round++) {
        ping(client, 0, count_reply, &tally);
        /* The host sleeps until it is told; a lost wakeup would hang here. */
        while (tally.ok < round) {
            sem_wait(&due);
            CHECK(matrix_dispatch(context, 0, 0) >= 0);
        }
    }
    CHECK_OK(matrix_set_wakeup_callback(context, NULL, NULL));
    before = atomic_load(&wakeups);
    CHECK(before >= 100);
    ping(client, 0, count_reply, &tally);
    pump(context, &tally.ok, 101);
    CHECK(atomic_load(&wakeups) == before);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
