/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds: open requests, bytes on the way, and arguments that are too large. */
#include <sys/resource.h>

#include "core_check.h"

static void requests(void) {
    matrix_context context = open_context("{\"max_requests\":16}");
    matrix_client client = open_client(context);
    struct tally tallies[16] = {{0}}, refused = {0};
    matrix_map *options = matrix_map_new();
    matrix_request request = {7};
    matrix_reply *reply = NULL;

    for (int i = 0; i < 15; i++) {
        ping(client, NULL, count_reply, &tallies[i]);
    }
    request = ping(client, NULL, NULL, NULL);
    CHECK_OK(matrix_wait_ready(context, 20000));
    /* Answered, but not yet taken: their replies still have a place reserved. */
    CHECK_STATUS(matrix_ping(client, options, count_reply, &refused, NULL), MATRIX_E_QUEUE_FULL);
    CHECK_TEXT(matrix_map_error(options),
               "client: has too many requests open or waiting; dispatch or wait for some, then "
               "try again");
    CHECK_OK(matrix_wait(request, 20000, &reply));
    matrix_reply_free(reply);
    CHECK_OK(matrix_ping(client, options, count_reply, &tallies[15], &request));
    CHECK_TEXT(matrix_map_error(options), "");
    CHECK_STATUS(matrix_ping(client, NULL, count_reply, &refused, &request), MATRIX_E_QUEUE_FULL);
    CHECK(request.id == 0);
    for (int i = 0; i < 16; i++) {
        pump(context, &tallies[i].ok, 1);
    }
    CHECK_OK(matrix_shutdown(context, -1));
    CHECK(tally_count(&refused) == 0);
    matrix_map_free(options);
}

static void bytes(void) {
    static char text[10000];
    matrix_context context = open_context("{\"max_request_bytes\":100000}");
    matrix_client client = open_client(context);
    matrix_map *payload = matrix_map_new();
    struct tally tally = {0};
    matrix_status status;
    int accepted = 0;

    settle(client);
    memset(text, 'x', sizeof text);
    CHECK_OK(matrix_map_set_text(payload, "payload", text, sizeof text));
    atomic_store(&fake_is_busy, true);
    /* It takes what wakes it, and nothing from then on. */
    CHECK_OK(matrix_ping(client, NULL, count_reply, &tally, NULL));
    accepted++;
    CHECK(fake_reaches(&fake.busy_turns, 1));
    do {
        status = matrix_ping(client, payload, count_reply, &tally, NULL);
        accepted += status == MATRIX_OK;
    } while (!status);
    CHECK_STATUS(status, MATRIX_E_QUEUE_FULL);
    CHECK(accepted >= 8 && accepted <= 20);
    /* What ends things gets through all the same. */
    CHECK_OK(matrix_cancel(ping(client, NULL, count_reply, &tally)));
    atomic_store(&fake_is_busy, false);
    pump(context, &tally.ok, accepted);
    CHECK_OK(matrix_ping(client, payload, count_reply, &tally, NULL));
    CHECK_OK(matrix_shutdown(context, -1));
    CHECK(tally_count(&tally) == accepted + 2);
    matrix_map_free(payload);
}

/* What a context has sent and nobody has taken is no load of the next one in its slot. */
static void bytes_of_the_one_before(void) {
    matrix_context context = open_context("{\"max_request_bytes\":2000}");
    matrix_client client = open_client(context);
    unsigned slot = handle_slot(context.id);
    int turns = atomic_load(&fake.busy_turns);

    settle(client);
    atomic_store(&fake_is_busy, true);
    CHECK_OK(matrix_ping(client, NULL, matrix_ignore, NULL, NULL));
    CHECK(fake_reaches(&fake.busy_turns, turns + 1));
    while (!matrix_ping(client, NULL, matrix_ignore, NULL, NULL)) {
    }
    CHECK_OK(matrix_shutdown(context, 0));
    context = open_context("{\"max_request_bytes\":2000}");
    CHECK(handle_slot(context.id) == slot);
    client = open_client(context);
    CHECK_OK(matrix_ping(client, NULL, matrix_ignore, NULL, NULL));
    atomic_store(&fake_is_busy, false);
    CHECK_OK(matrix_shutdown(context, -1));
}

/* A hundred megabytes in one argument: refused with its name, at once, and nothing has happened. */
static void too_large(size_t megabytes) {
    size_t size = megabytes << 20;
    char *huge = malloc(size + 1);
    matrix_map *options = matrix_map_new();
    matrix_context context = {0};
    matrix_client client;

    CHECK_OK(matrix_map_set_int(options, "max_request_bytes", (int64_t)size / 2));
    CHECK_OK(matrix_init(options, &context));
    matrix_map_free(options);
    client = open_client(context);
    options = matrix_map_new();
    CHECK(huge);
    memset(huge, 'x', size);
    huge[size] = 0;
    CHECK_STATUS(matrix_send_text(client, "!r:x", huge, options, matrix_ignore, NULL, NULL),
                 MATRIX_E_TOO_LARGE);
    CHECK_TEXT(matrix_map_error(options), "body: is larger than max_request_bytes");
    CHECK_OK(matrix_map_set_text(options, "html", huge, size));
    free(huge);
    CHECK_STATUS(matrix_send_text(client, "!r:x", "x", options, matrix_ignore, NULL, NULL),
                 MATRIX_E_TOO_LARGE);
    CHECK_TEXT(matrix_map_error(options), "html: is larger than max_request_bytes");
    matrix_map_free(options);
    CHECK_OK(matrix_shutdown(context, -1));
}

/* Many sizes around those at which the inbox copies, links and joins. */
static void all_sizes(void) {
    static char text[200000];
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    matrix_map *options = matrix_map_new();
    struct tally tally = {0};
    int count = 0;

    memset(text, 'y', sizeof text);
    for (size_t size = 1; size < sizeof text; size += 1 + size / 7) {
        CHECK_OK(matrix_map_set_text(options, "payload", text, size));
        CHECK_OK(matrix_ping(client, options, count_reply, &tally, NULL));
        CHECK_OK(matrix_ping(client, NULL, count_reply, &tally, NULL));
        count += 2;
    }
    pump(context, &tally.ok, count);
    matrix_map_free(options);
    CHECK_OK(matrix_shutdown(context, -1));
}

static void options_are_checked(void) {
    static const char *const bad[] = {"{\"max_requests\":0}", "{\"max_events\":-1}",
                                      "{\"max_request_bytes\":\"1\"}", "{\"max_request\":1}"};
    static const char *const reasons[] = {
        "max_requests: must be at least 1", "max_events: must be at least 1",
        "max_request_bytes: must be an integer", "max_request: is not a known key"};
    matrix_context context = {1};

    for (int i = 0; i < 4; i++) {
        matrix_map *options = map_of(bad[i]);
        CHECK_STATUS(matrix_init(options, &context), MATRIX_E_INVALID_ARGUMENT);
        CHECK_TEXT_BEGINS(matrix_map_error(options), reasons[i]);
        CHECK(context.id == 0);
        matrix_map_free(options);
    }
    CHECK_STATUS(matrix_init(NULL, NULL), MATRIX_E_INVALID_ARGUMENT);
}

/* Without a file descriptor there is no context, and nothing is lost by asking. */
static void files(void) {
    struct rlimit before, none = {0};
    matrix_map *options = matrix_map_new();
    matrix_context context = {1};

    CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    none.rlim_max = before.rlim_max;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    for (int i = 0; i < 10; i++) {
        CHECK_STATUS(matrix_init(options, &context), MATRIX_E_TOO_MANY_FILES);
        CHECK(context.id == 0);
    }
    CHECK_TEXT(matrix_map_error(options), "context: needs a file descriptor, and none is left");
    CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK_OK(matrix_init(options, &context));
    settle(open_client(context));
    CHECK_OK(matrix_shutdown(context, -1));
    matrix_map_free(options);
}

int main(int argc, char **argv) {
    options_are_checked();
    files(); /* before the runtime has started */
    files();
    requests();
    bytes();
    bytes_of_the_one_before();
    too_large(argc > 1 ? (size_t)atoi(argv[1]) : 100);
    all_sizes();
    return 0;
}
