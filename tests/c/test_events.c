/* SPDX-License-Identifier: Apache-2.0 */
/* Events: subscriptions, what counts as consumed, and pausing when nobody takes them. */
#include <pthread.h>

#include "core_check.h"

struct listener {
    int events;
    int64_t last;
    matrix_subscription subscription;
    int stop_at;
};

static void on_event(const matrix_reply *reply, void *user_data) {
    struct listener *listener = user_data;
    const matrix_event *event = matrix_reply_as_event(reply, matrix_reply_value(reply));

    CHECK(matrix_reply_get_kind(reply) == MATRIX_REPLY_EVENT);
    CHECK(matrix_reply_subscription(reply).id == listener->subscription.id);
    CHECK(matrix_reply_request(reply).id == 0);
    CHECK(event && !strcmp(event->kind, "message") && !strcmp(event->room_id, "!r:x"));
    CHECK(event->body == NULL && event->content == NULL);
    CHECK(event->origin_server_ts == listener->last + 1);
    CHECK(matrix_reply_as_event(reply, matrix_reply_value(reply)) == event);
    listener->last = event->origin_server_ts;
    listener->events++;
    take_time();
    if (listener->events == listener->stop_at) {
        CHECK_OK(matrix_unsubscribe(listener->subscription));
    }
}

static void listen(matrix_client client, struct listener *listener) {
    *listener = (struct listener){.last = -1};
    CHECK_OK(
        matrix_subscribe(client, "message", NULL, on_event, listener, &listener->subscription));
}

static void sync_now(matrix_client client, int events, struct tally *tally) {
    matrix_map *options = matrix_map_new();

    CHECK_OK(matrix_map_set_int(options, "timeout_ms", events));
    CHECK_OK(matrix_sync_once(client, options, count_reply, tally, NULL));
    matrix_map_free(options);
}

static void events_then_consumed(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    struct listener first, second;
    struct tally tally = {0};
    int before = atomic_load(&fake.consumed);

    listen(client, &first);
    listen(client, &second);
    sync_now(client, 10, &tally);
    settle(client);
    for (int i = 0; i < 20; i++) {
        CHECK(matrix_dispatch(context, 0, 1) == 1);
        settle(client);
        CHECK(atomic_load(&fake.consumed) == before);
    }
    CHECK(first.events == 10 && second.events == 10 && tally.ok == 0);
    CHECK(matrix_dispatch(context, 0, 1) == 1);
    CHECK(tally.ok == 1);
    CHECK(fake_reaches(&fake.consumed, before + 1));
    CHECK_OK(matrix_shutdown(context, -1));
}

/* What matrix_next() handed out counts as consumed when it is called again, not before. */
static void pulled_then_consumed(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    matrix_subscription subscription = {0};
    matrix_reply *reply = NULL;
    int before = atomic_load(&fake.consumed);
    void *data = NULL;
    struct tally tally = {0};

    CHECK_OK(matrix_subscribe(client, "message", NULL, matrix_ignore, &tally, &subscription));
    sync_now(client, 1, &tally);
    CHECK(matrix_next(context, 20000, &reply, &data) == 1);
    CHECK(matrix_reply_get_kind(reply) == MATRIX_REPLY_EVENT && data == &tally);
    matrix_reply_free(reply);
    settle(client);
    CHECK(atomic_load(&fake.consumed) == before);
    CHECK(matrix_next(context, 20000, &reply, &data) == 1);
    CHECK(matrix_reply_get_kind(reply) == MATRIX_REPLY_RESULT);
    matrix_reply_free(reply);
    CHECK(fake_reaches(&fake.consumed, before + 1));
    CHECK_OK(matrix_shutdown(context, -1));
}

static void unsubscribing_inside(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    struct listener listener;
    struct tally tally = {0};

    listen(client, &listener);
    listener.stop_at = 3;
    sync_now(client, 10, &tally);
    pump(context, &tally.ok, 1);
    CHECK(listener.events == 3);
    CHECK_STATUS(matrix_unsubscribe(listener.subscription), MATRIX_E_INVALID_HANDLE);
    CHECK(fake_reaches(&fake.unsubscriptions, 1));

    listen(client, &listener);
    sync_now(client, 10, &tally);
    settle(client);
    CHECK_OK(matrix_close_client(client));
    CHECK(matrix_dispatch(context, 0, 0) == 1);
    CHECK(listener.events == 0 && tally.failed == 1);
    CHECK_TEXT(tally.code, "E_CANCELLED");
    CHECK_STATUS(matrix_unsubscribe(listener.subscription), MATRIX_E_INVALID_HANDLE);
    CHECK_OK(matrix_shutdown(context, -1));
}

static void filters_are_checked(void) {
    static const char *const bad[] = {"{\"room\":\"x\"}", "{\"room_id\":5}", "{\"not_own\":\"x\"}"};
    static const char *const reasons[] = {"room: is not a known key; known are ",
                                          "room_id: must be a string", "not_own: must be a bool"};
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    matrix_subscription subscription = {1};
    matrix_map *filter;

    for (int i = 0; i < 3; i++) {
        filter = map_of(bad[i]);
        CHECK_STATUS(
            matrix_subscribe(client, "message", filter, matrix_ignore, NULL, &subscription),
            MATRIX_E_INVALID_ARGUMENT);
        CHECK_TEXT_BEGINS(matrix_map_error(filter), reasons[i]);
        CHECK(subscription.id == 0);
        matrix_map_free(filter);
    }
    filter = map_of("{\"room_id\":\"!r:x\",\"not_own\":true,\"sender\":null}");
    CHECK_OK(matrix_subscribe(client, "message", filter, matrix_ignore, NULL, &subscription));
    settle(client);
    CHECK_TEXT(fake_last_body, "{\"room_id\":\"!r:x\",\"not_own\":true}");
    CHECK_STATUS(matrix_subscribe(client, "massage", filter, matrix_ignore, NULL, NULL),
                 MATRIX_E_INVALID_ARGUMENT);
    CHECK_TEXT_BEGINS(matrix_map_error(filter), "kind: massage is not a known kind of event; ");
    CHECK(strstr(matrix_map_error(filter), "message, "));
    CHECK_STATUS(matrix_subscribe(client, NULL, NULL, matrix_ignore, NULL, NULL),
                 MATRIX_E_INVALID_ARGUMENT);
    CHECK_STATUS(matrix_subscribe(client, "message", NULL, NULL, NULL, NULL),
                 MATRIX_E_INVALID_ARGUMENT);
    matrix_map_free(filter);
    CHECK_OK(matrix_shutdown(context, -1));
}

/* Above the limit the runtime is told once, below it once again; nothing is dropped. */
static void pausing(const char *options) {
    matrix_context context = open_context(options);
    matrix_client client = open_client(context);
    struct listener listener;
    struct tally tally = {0};
    int drained = atomic_load(&fake.drained);

    listen(client, &listener);
    sync_now(client, 50, &tally);
    settle(client);
    CHECK(fake_core->is_full(context.id) == 1);
    CHECK(fake_post(MATRIX_FRAME_EVENT, 0, context.id, listener.subscription.id, 0,
                    "{\"kind\":\"message\",\"room_id\":\"!r:x\",\"origin_server_ts\":50}") == 1);
    CHECK(matrix_dispatch(context, 0, 1) == 1);
    settle(client);
    CHECK(atomic_load(&fake.drained) == drained);
    pump(context, &listener.events, 51);
    CHECK(fake_reaches(&fake.drained, drained + 1));
    CHECK(fake_core->is_full(context.id) == 0);
    settle(client);
    CHECK(atomic_load(&fake.drained) == drained + 1);
    CHECK(tally.ok == 1);
    CHECK(fake_post(MATRIX_FRAME_RESULT, 1, context.id, 99, 0, "{}") == 0);
    CHECK_OK(matrix_shutdown(context, -1));
    CHECK(fake_core->is_full(context.id) == 0);
    CHECK(fake_post(MATRIX_FRAME_EVENT, 0, context.id, 99, 0, "{}") == 0);
}

struct host {
    matrix_context context;
    matrix_client client;
    atomic_bool stop;
};

static void *sync_and_dispatch(void *argument) {
    struct host *host = argument;
    struct tally tally = {0};

    while (!atomic_load(&host->stop)) {
        sync_now(host->client, 1, &tally);
        CHECK(matrix_dispatch(host->context, 20000, 0) >= 0);
    }
    return NULL;
}

static atomic_int listeners_told;

static void on_own_event(const matrix_reply *reply, void *user_data) {
    matrix_subscription *own = user_data;

    CHECK(matrix_reply_subscription(reply).id == own->id);
    CHECK_OK(matrix_unsubscribe(*own));
    fake_count(&listeners_told);
}

/* A callback may use its handle though matrix_subscribe() has not returned on the other thread. */
static void subscribing_beside_dispatch(void) {
    static matrix_subscription own[2000];
    struct host host = {.context = open_context(NULL)};
    pthread_t thread;

    host.client = open_client(host.context);
    CHECK(pthread_create(&thread, NULL, sync_and_dispatch, &host) == 0);
    for (int i = 0; i < 2000; i++) {
        CHECK_OK(matrix_subscribe(host.client, "any", NULL, on_own_event, &own[i], &own[i]));
    }
    CHECK(fake_reaches(&listeners_told, 2000));
    atomic_store(&host.stop, true);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_OK(matrix_shutdown(host.context, -1));
}

struct errand {
    matrix_client client; /* of another context */
    int events;
};

/* The runtime answers it only if it was woken, though "drained" was the first it was sent. */
static void wait_for_another(const matrix_reply *reply, void *user_data) {
    struct errand *errand = user_data;

    CHECK(matrix_reply_get_kind(reply) == MATRIX_REPLY_EVENT);
    errand->events++;
    settle(errand->client);
}

static void waiting_inside(void) {
    matrix_context context = open_context("{\"max_events\":1}"), other = open_context(NULL);
    matrix_client client = open_client(context);
    matrix_subscription subscription;
    struct errand errand = {open_client(other), 0};

    CHECK_OK(matrix_subscribe(client, "any", NULL, wait_for_another, &errand, &subscription));
    settle(client);
    for (int i = 0; i < 3; i++) {
        fake_post(MATRIX_FRAME_EVENT, 0, context.id, subscription.id, 0, "{}");
    }
    CHECK(fake_core->is_full(context.id) == 1);
    pump(context, &errand.events, 3);
    CHECK_OK(matrix_shutdown(context, -1));
    CHECK_OK(matrix_shutdown(other, -1));
}

int main(void) {
    events_then_consumed();
    pulled_then_consumed();
    unsubscribing_inside();
    filters_are_checked();
    waiting_inside();
    subscribing_beside_dispatch();
    pausing("{\"max_events\":10}");
    pausing("{\"max_event_bytes\":1000}");
    return 0;
}
