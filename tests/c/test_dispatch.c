/* SPDX-License-Identifier: Apache-2.0 */
/* Dispatching: order, budget, the fd, the wakeup, pulling instead of callbacks, and one at a time.
 */
#include <poll.h>
#include <pthread.h>

#include "core_check.h"

static int last_number;

static void in_order(const matrix_reply *reply, void *user_data) {
    CHECK(matrix_value_get_int(matrix_reply_value(reply), "payload", -1) == last_number + 1);
    CHECK((intptr_t)user_data == last_number + 1);
    last_number++;
    take_time();
}

static void ping_number(matrix_client client, int number, matrix_callback callback) {
    matrix_map *options = matrix_map_new();

    CHECK_OK(matrix_map_set_int(options, "payload", number));
    CHECK_OK(matrix_ping(client, options, callback, (void *)(intptr_t)number, NULL));
    matrix_map_free(options);
}

/* Whether the fd is readable, or becomes so within a time: it follows the queue by a moment. */
static bool is_readable(matrix_context context, int timeout_ms) {
    struct pollfd readable = {.fd = matrix_fd(context), .events = POLLIN};

    return poll(&readable, 1, timeout_ms) == 1;
}

static void order_and_fd(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);

    last_number = 0;
    CHECK(!is_readable(context, 0));
    CHECK(matrix_dispatch(context, 0, 0) == 0);
    CHECK(matrix_dispatch(context, 5, 0) == 0);
    for (int i = 1; i <= 1000; i++) {
        ping_number(client, i, in_order);
    }
    settle(client);
    CHECK(is_readable(context, 10000));
    CHECK(last_number == 0);
    CHECK(matrix_dispatch(context, 0, 1) == 1);
    CHECK(is_readable(context, 10000));
    CHECK(matrix_dispatch(context, 0, 0) == 999);
    CHECK(last_number == 1000);
    CHECK(!is_readable(context, 0));
    CHECK_STATUS(matrix_dispatch(context, 0, -1), MATRIX_E_INVALID_ARGUMENT);
    CHECK_OK(matrix_shutdown(context, -1));
}

static void slow(const matrix_reply *reply, void *user_data) {
    (void)reply;
    (void)user_data;
    usleep(2000); /* a budget measures time, so there is nothing else to wait for */
}

/* Never over the budget by more than one callback. */
static void budget(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    int count;

    for (int i = 0; i < 40; i++) {
        ping(client, NULL, slow, NULL);
    }
    settle(client);
    count = matrix_dispatch(context, 0, 10000);
    CHECK(count >= 1 && count <= 5);
    CHECK_OK(matrix_shutdown(context, -1));
}

struct chain {
    matrix_client client;
    int length;
};

static void submit_again(const matrix_reply *reply, void *user_data) {
    struct chain *chain = user_data;
    /* The block that brought this reply has begun: the next one has the answer. */
    int begun = atomic_load(&fake.posts_begun);

    (void)reply;
    chain->length++;
    if (matrix_ping(chain->client, NULL, submit_again, chain, NULL) != MATRIX_OK) {
        return; /* closed at the end */
    }
    CHECK(fake_reaches(&fake.posts, begun + 1));
}

/* A callback that always submits again does not keep dispatch from returning. */
static void dispatch_ends(void) {
    matrix_context context = open_context(NULL);
    struct chain chain = {open_client(context), 0};

    ping(chain.client, NULL, submit_again, &chain);
    settle(chain.client);
    CHECK(matrix_dispatch(context, 0, 0) == 1);
    CHECK(is_readable(context, 10000));
    CHECK(matrix_dispatch(context, 0, 0) == 1);
    CHECK(chain.length == 2);
    CHECK_OK(matrix_close_client(chain.client));
    CHECK_OK(matrix_shutdown(context, -1));
}

static void pulling(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    matrix_reply *reply = NULL, *first = NULL;
    void *data = NULL;

    CHECK(matrix_next(context, 0, &reply, &data) == 0 && !reply);
    CHECK(matrix_next(context, 5, &reply, &data) == 0 && !reply);
    CHECK_STATUS(matrix_next(context, 0, NULL, NULL), MATRIX_E_INVALID_ARGUMENT);
    ping_number(client, 1, matrix_ignore);
    ping_number(client, 2, matrix_ignore);
    CHECK(matrix_next(context, 20000, &first, &data) == 1);
    CHECK((intptr_t)data == 1);
    CHECK(matrix_next(context, 20000, &reply, NULL) == 1);
    CHECK(matrix_value_get_int(matrix_reply_value(reply), "payload", 0) == 2);
    CHECK(matrix_value_get_int(matrix_reply_value(first), "payload", 0) == 1);
    matrix_reply_free(reply);
    CHECK_OK(matrix_shutdown(context, -1));
    CHECK_TEXT(matrix_reply_json(first, NULL), "{\"payload\":1}");
    matrix_reply_free(first);
}

static matrix_context own;
static int nested;

static void *dispatch_elsewhere(void *result) {
    *(int *)result = matrix_dispatch(own, 0, 0);
    return NULL;
}

static void nest(const matrix_reply *reply, void *user_data) {
    matrix_client *client = user_data;
    matrix_context other = open_context(NULL);
    matrix_reply *taken = NULL;
    pthread_t thread;
    int elsewhere = 0;

    (void)reply;
    CHECK_STATUS(matrix_dispatch(own, 0, 0), MATRIX_E_BUSY);
    CHECK_STATUS(matrix_next(own, 0, &taken, NULL), MATRIX_E_BUSY);
    CHECK_STATUS(matrix_shutdown(own, 0), MATRIX_E_BUSY);
    CHECK_STATUS(matrix_wait(ping(*client, NULL, NULL, NULL), 0, &taken), MATRIX_E_BUSY);
    CHECK_OK(matrix_wait_ready(own, 1000));
    CHECK(pthread_create(&thread, NULL, dispatch_elsewhere, &elsewhere) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_STATUS(elsewhere, MATRIX_E_BUSY);
    /* Another context's is another matter. */
    settle(open_client(other));
    CHECK(matrix_dispatch(other, 0, 0) == 0);
    CHECK_OK(matrix_shutdown(other, -1));
    nested++;
}

static void one_at_a_time(void) {
    matrix_client client;

    own = open_context(NULL);
    client = open_client(own);
    ping(client, NULL, nest, &client);
    pump(own, &nested, 1);
    CHECK(matrix_dispatch(own, 0, 0) == 0);
    CHECK_OK(matrix_shutdown(own, -1));
}

static atomic_int wakeups;

static void wake(void *user_data) {
    CHECK(user_data == &wakeups);
    fake_count(&wakeups);
}

static void wakeup(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    struct tally tally = {0};

    CHECK_OK(matrix_set_wakeup_callback(context, wake, &wakeups));
    CHECK(atomic_load(&wakeups) == 0);
    for (int i = 0; i < 10; i++) {
        ping(client, NULL, count_reply, &tally);
        settle(client);
    }
    CHECK(fake_reaches(&wakeups, 1));
    settle(client);
    CHECK(atomic_load(&wakeups) == 1);
    CHECK(matrix_dispatch(context, 0, 1) == 1);
    CHECK(atomic_load(&wakeups) == 2); /* more is due */
    pump(context, &tally.ok, 10);
    CHECK(atomic_load(&wakeups) == 2);
    ping(client, NULL, count_reply, &tally);
    CHECK(fake_reaches(&wakeups, 3));
    CHECK_OK(matrix_set_wakeup_callback(context, NULL, NULL));
    pump(context, &tally.ok, 11);
    ping(client, NULL, count_reply, &tally);
    pump(context, &tally.ok, 12);
    CHECK(atomic_load(&wakeups) == 3);
    CHECK_OK(matrix_shutdown(context, -1));
}

static pthread_mutex_t lock_of_host = PTHREAD_MUTEX_INITIALIZER;

static void wake_with_lock(void *user_data) {
    pthread_mutex_lock(&lock_of_host);
    fake_count(user_data);
    pthread_mutex_unlock(&lock_of_host);
}

/* A host that dispatches and submits with a lock its wakeup callback takes does not hang. */
static void wakeup_with_a_lock(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    struct tally tally = {0};

    atomic_store(&wakeups, 0);
    CHECK_OK(matrix_set_wakeup_callback(context, wake_with_lock, &wakeups));
    for (int sent = 0; tally.ok < 2000; sent++) {
        pthread_mutex_lock(&lock_of_host);
        if (sent < 2000) {
            ping(client, NULL, count_reply, &tally);
        }
        CHECK(matrix_dispatch(context, 0, 0) >= 0);
        pthread_mutex_unlock(&lock_of_host);
    }
    CHECK_OK(matrix_shutdown(context, -1));
}

/* No wakeup is lost: who sleeps until woken gets everything. */
static void wakeups_are_enough(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    struct tally tally = {0};
    int seen = 0;

    atomic_store(&wakeups, 0);
    CHECK_OK(matrix_set_wakeup_callback(context, wake, &wakeups));
    for (int i = 1; i <= 300; i++) {
        ping(client, NULL, matrix_ignore, NULL);
        ping(client, NULL, count_reply, &tally);
        while (tally.ok < i) {
            CHECK(fake_reaches(&wakeups, seen + 1));
            seen = atomic_load(&wakeups);
            CHECK(matrix_dispatch(context, 0, 1) >= 0);
        }
    }
    CHECK_OK(matrix_shutdown(context, -1));
}

static matrix_context woken;

static void misbehave(void *user_data) {
    matrix_reply *reply = NULL;

    CHECK_STATUS(matrix_dispatch(woken, 0, 0), MATRIX_E_BUSY);
    CHECK_STATUS(matrix_next(woken, 0, &reply, NULL), MATRIX_E_BUSY);
    CHECK_STATUS(matrix_shutdown(woken, 0), MATRIX_E_BUSY);
    CHECK_STATUS(matrix_set_wakeup_callback(woken, NULL, NULL), MATRIX_E_BUSY);
    CHECK(matrix_fd(woken) >= 0);
    fake_count(user_data);
}

/* What must not be done in a wakeup callback is an error there, not a deadlock. */
static void wakeup_that_misbehaves(void) {
    matrix_client client;
    struct tally tally = {0};

    atomic_store(&wakeups, 0);
    woken = open_context(NULL);
    client = open_client(woken);
    CHECK_OK(matrix_set_wakeup_callback(woken, misbehave, &wakeups));
    ping(client, NULL, count_reply, &tally);
    CHECK(fake_reaches(&wakeups, 1));
    pump(woken, &tally.ok, 1);
    CHECK_OK(matrix_shutdown(woken, -1));
    CHECK_STATUS(matrix_set_wakeup_callback(woken, wake, &wakeups), MATRIX_E_INVALID_HANDLE);
}

static void keep(const matrix_reply *reply, void *user_data) {
    matrix_reply **kept = user_data;

    *kept = matrix_reply_keep(reply);
    CHECK(*kept == reply);
}

static void keep_text(const matrix_reply *reply, void *user_data) {
    const char *text = matrix_reply_json(reply, NULL);

    keep(reply, user_data);
    CHECK(matrix_reply_json(*(matrix_reply **)user_data, NULL) == text);
}

/* Kept replies do not hold on to the block they came in, and outlive everything. */
static void keeping(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    matrix_reply *kept[2000] = {NULL};
    struct tally tally = {0};

    for (int i = 0; i < 2000; i++) {
        ping_number(client, i, matrix_ignore);
        CHECK_OK(matrix_ping(client, NULL, i % 2 ? keep : keep_text, &kept[i], NULL));
    }
    ping(client, NULL, count_reply, &tally);
    pump(context, &tally.ok, 1);
    CHECK_OK(matrix_shutdown(context, -1));
    for (int i = 0; i < 2000; i++) {
        matrix_reply *again = matrix_reply_keep(kept[i]);
        CHECK_TEXT(matrix_reply_json(kept[i], NULL), "{}");
        matrix_reply_free(kept[i]);
        CHECK(matrix_reply_value(again)->type == MATRIX_TYPE_MAP);
        matrix_reply_free(again);
    }
}

int main(void) {
    order_and_fd();
    budget();
    dispatch_ends();
    pulling();
    one_at_a_time();
    wakeup();
    wakeup_with_a_lock();
    wakeups_are_enough();
    wakeup_that_misbehaves();
    keeping();
    return 0;
}
