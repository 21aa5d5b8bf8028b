/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads do everything at once, in contexts that come and go; each accepted request ends
 * once. */
#include <pthread.h>

#include "core_check.h"

enum { CONTEXTS = 3, THREADS = 3, ROUNDS = 6 };

struct counts {
    atomic_int accepted;
    atomic_int ended;
    atomic_int events;
};

struct place {
    matrix_context context;
    matrix_client client;
    struct counts counts;
    atomic_bool stop;
    int steps;
};

static void ended(const matrix_reply *reply, void *user_data) {
    struct counts *counts = user_data;

    CHECK(matrix_reply_value(reply)->type == MATRIX_TYPE_MAP);
    CHECK(matrix_reply_ok(reply) == (matrix_reply_error(reply) == NULL));
    atomic_fetch_add(&counts->ended, 1);
}

static void happened(const matrix_reply *reply, void *user_data) {
    struct counts *counts = user_data;

    CHECK(matrix_reply_as_event(reply, matrix_reply_value(reply)) != NULL);
    if (atomic_fetch_add(&counts->events, 1) % 7 == 0) {
        matrix_unsubscribe(matrix_reply_subscription(reply));
    }
}

static void answer(const matrix_reply *reply, void *user_data) {
    matrix_respond(*(matrix_context *)user_data, matrix_reply_call_id(reply), NULL);
}

static void submit_one(struct place *place, matrix_client client, const char *options,
                       bool cancel) {
    matrix_map *map = map_of(options);
    matrix_request request;

    if (matrix_ping(client, map, ended, &place->counts, &request) == MATRIX_OK) {
        atomic_fetch_add(&place->counts.accepted, 1);
        if (cancel) {
            matrix_cancel(request);
        }
    }
    matrix_map_free(map);
}

static void wait_one(struct place *place) {
    matrix_request request;
    matrix_reply *reply = NULL;

    if (matrix_ping(place->client, NULL, NULL, NULL, &request) == MATRIX_OK) {
        matrix_status status = matrix_wait(request, 20000, &reply);
        CHECK(status == MATRIX_OK || status == MATRIX_E_INVALID_HANDLE);
        matrix_reply_free(reply);
    }
}

static void listen_and_sync(struct place *place) {
    matrix_subscription subscription;
    matrix_map *options = map_of("{\"timeout_ms\":20}");

    matrix_subscribe(place->client, "message", NULL, happened, &place->counts, &subscription);
    if (matrix_sync_once(place->client, options, ended, &place->counts, NULL) == MATRIX_OK) {
        atomic_fetch_add(&place->counts.accepted, 1);
    }
    matrix_map_free(options);
}

static void close_one(struct place *place) {
    matrix_client client = {0};
    matrix_map *options = map_of("{\"homeserver\":\"http://h\"}");

    if (matrix_create_client(place->context, options, &client) == MATRIX_OK) {
        submit_one(place, client, FOREVER, false);
        submit_one(place, client, "{\"host_call\":\"x\",\"host_call_timeout_ms\":1000}", false);
        matrix_close_client(client);
    }
    matrix_map_free(options);
}

static void *live(void *argument) {
    struct place *place = argument;

    for (int step = 0; step < place->steps; step++) {
        switch (step % 11) {
        case 0:
            wait_one(place);
            break;
        case 3:
            close_one(place);
            break;
        case 5:
            listen_and_sync(place);
            break;
        case 6:
            submit_one(place, place->client, FOREVER, true);
            break;
        case 7:
            submit_one(place, place->client, "{\"host_call\":\"x\",\"host_call_timeout_ms\":1000}",
                       false);
            break;
        case 8: /* refused */
            matrix_send_text(place->client, NULL, "x", NULL, ended, NULL, NULL);
            break;
        default:
            submit_one(place, place->client, "{\"progress_count\":2,\"payload\":{\"a\":1}}", false);
            break;
        }
    }
    return NULL;
}

static void nothing(void *user_data) {
    (void)user_data;
}

static void *host(void *argument) {
    struct place *place = argument;

    while (!atomic_load(&place->stop)) {
        CHECK(matrix_dispatch(place->context, 1, 200) >= 0);
    }
    CHECK_OK(matrix_shutdown(place->context, -1));
    return NULL;
}

static void one_round(struct place *places, int steps) {
    pthread_t hosts[CONTEXTS], threads[CONTEXTS][THREADS];

    for (int i = 0; i < CONTEXTS; i++) {
        places[i].context = open_context("{\"max_events\":100}");
        places[i].client = open_client(places[i].context);
        places[i].steps = steps;
        atomic_store(&places[i].stop, false);
        CHECK_OK(matrix_set_call_callback(places[i].context, answer, &places[i].context));
        CHECK_OK(matrix_set_log_callback(places[i].context, MATRIX_LOG_LEVEL_ERROR, matrix_ignore,
                                         NULL));
        CHECK_OK(matrix_set_wakeup_callback(places[i].context, nothing, NULL));
        CHECK(pthread_create(&hosts[i], NULL, host, &places[i]) == 0);
        for (int j = 0; j < THREADS; j++) {
            CHECK(pthread_create(&threads[i][j], NULL, live, &places[i]) == 0);
        }
    }
    for (int i = 0; i < CONTEXTS; i++) {
        /* Every other context ends under the feet of the threads that use it. */
        atomic_store(&places[i].stop, i % 2 == 1);
        for (int j = 0; j < THREADS; j++) {
            CHECK(pthread_join(threads[i][j], NULL) == 0);
        }
        atomic_store(&places[i].stop, true);
        CHECK(pthread_join(hosts[i], NULL) == 0);
        CHECK(atomic_load(&places[i].counts.accepted) == atomic_load(&places[i].counts.ended));
    }
}

int main(int argc, char **argv) {
    static struct place places[CONTEXTS];
    int steps = argc > 1 ? atoi(argv[1]) : 2000;

    for (int round = 0; round < ROUNDS; round++) {
        one_round(places, steps);
    }
    for (int i = 0; i < CONTEXTS; i++) {
        CHECK(atomic_load(&places[i].counts.accepted) > 0 &&
              atomic_load(&places[i].counts.events) > 0);
    }
    return 0;
}
