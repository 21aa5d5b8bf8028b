/* SPDX-License-Identifier: Apache-2.0 */
/**
 * one_sync STORE consume|abandon: one sync of a client with a store. Prints how many messages came.
 * "abandon" dies when the first is due, without having looked at it. MATRIX_HOMESERVER,
 * MATRIX_USER, MATRIX_PASSWORD.
 */
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "check.h"

static int messages;

static void count_message(const matrix_reply *reply, void *user_data) {
    (void)reply;
    (void)user_data;
    messages++;
}

static matrix_client open_stored_client(matrix_context context, const char *store_path) {
    matrix_map *options = matrix_map_new();
    matrix_client client = {0};

    CHECK_OK(matrix_map_set_string(options, "homeserver", getenv("MATRIX_HOMESERVER")));
    CHECK_OK(matrix_map_set_string(options, "store_path", store_path));
    CHECK_OK(matrix_create_client(context, options, &client));
    matrix_map_free(options);
    return client;
}

/* The store remembers the session: only the first run logs in. */
static void log_in_once(matrix_context context, matrix_client client) {
    struct tally known = {0}, login = {0};

    CHECK_OK(matrix_whoami(client, NULL, count_reply, &known, NULL));
    while (!tally_count(&known))
        CHECK(matrix_dispatch(context, 20000, 0) > 0);
    if (known.ok)
        return;
    CHECK(!strcmp(known.code, "E_NOT_LOGGED_IN"));
    CHECK_OK(matrix_login_password(client, getenv("MATRIX_USER"), getenv("MATRIX_PASSWORD"), NULL,
                                   count_reply, &login, NULL));
    pump(context, &login.ok, 1);
}

int main(int argc, char **argv) {
    matrix_context context = open_context();
    matrix_client client;
    struct tally synced = {0};
    struct pollfd due = {.events = POLLIN};

    CHECK(argc == 3);
    client = open_stored_client(context, argv[1]);
    log_in_once(context, client);
    CHECK_OK(matrix_subscribe(client, "message", NULL, count_message, NULL, NULL));
    CHECK_OK(matrix_sync_once(client, NULL, count_reply, &synced, NULL));
    if (!strcmp(argv[2], "abandon")) {
        due.fd = matrix_fd(context);
        CHECK(poll(&due, 1, 20000) == 1);
        kill(getpid(), SIGKILL);
    }
    pump(context, &synced.ok, 1);
    printf("%d\n", messages);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
