/* SPDX-License-Identifier: Apache-2.0 */
/**
 * few_descriptors URL STORES: does what its stdin says, a word a line, and prints what happens.
 * "start": another client, with a store, and its sync loop; "none": from now on there is no
 * descriptor left; "some": there are again; "end". Prints "failed CODE" for a client that cannot
 * sync, "state NUMBER STATE DELAY_MS CODE", "done WORD" after each word, at the end "cpu MS".
 */
#include <poll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "../../host/c/check.h"

enum { MOST = 64 };

static struct rlimit limits;
static matrix_client clients[MOST];
static int numbers[MOST];
static int count;

static void on_state(const matrix_reply *reply, void *user_data) {
    const matrix_value *state = matrix_reply_value(reply);

    printf("state %d %s %d %s\n", *(int *)user_data, matrix_value_get_string(state, "state", ""),
           (int)matrix_value_get_int(state, "delay_ms", 0),
           matrix_value_get_string(state, "code", "-"));
    fflush(stdout);
}

static void on_started(const matrix_reply *reply, void *user_data) {
    (void)user_data;
    if (!matrix_reply_ok(reply))
        printf("failed %s\n", matrix_reply_error(reply)->code);
    fflush(stdout);
}

static void start_loop(int number) {
    const char *json = "{\"timeout_ms\":30000,\"backoff_min_ms\":50,\"backoff_max_ms\":200}";
    matrix_map *options = NULL;

    CHECK_OK(matrix_map_from_json(json, strlen(json), &options));
    CHECK_OK(matrix_sync_loop_start(clients[number], options, on_started, NULL, NULL));
    matrix_map_free(options);
}

static void start(matrix_context context, const char *url, const char *stores) {
    matrix_map *options = matrix_map_new();
    char path[4096];

    CHECK(count < MOST);
    numbers[count] = count;
    snprintf(path, sizeof path, "%s/%d", stores, count);
    CHECK_OK(matrix_map_set_string(options, "homeserver", url));
    CHECK_OK(matrix_map_set_string(options, "store_path", path));
    CHECK_OK(matrix_map_set_string(options, "user_id", "@me:x"));
    CHECK_OK(matrix_map_set_string(options, "access_token", "token"));
    CHECK_OK(matrix_create_client(context, options, &clients[count]));
    matrix_map_free(options);
    CHECK_OK(matrix_subscribe(clients[count], "sync_state", NULL, on_state, &numbers[count], NULL));
    start_loop(count++);
}

/** None beyond those of stdio, so that what is closed from now on cannot be had again either. */
static void leave_none(void) {
    struct rlimit none = limits;

    none.rlim_cur = STDERR_FILENO + 1;
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
}

static bool obey(matrix_context context, char **argv, const char *word) {
    if (!strcmp(word, "start"))
        start(context, argv[1], argv[2]);
    else if (!strcmp(word, "again"))
        start_loop(count - 1);
    else if (!strcmp(word, "none"))
        leave_none();
    else if (!strcmp(word, "some"))
        CHECK(setrlimit(RLIMIT_NOFILE, &limits) == 0);
    else
        return false;
    printf("done %s\n", word);
    fflush(stdout);
    return true;
}

int main(int argc, char **argv) {
    matrix_context context = open_context();
    struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = matrix_fd(context), .events = POLLIN}};
    char word[64];
    int length;

    CHECK(argc == 3);
    CHECK(getrlimit(RLIMIT_NOFILE, &limits) == 0);
    CHECK_OK(matrix_wait_ready(context, 20000));
    for (;;) {
        CHECK(poll(fds, 2, 20000) > 0);
        if (fds[1].revents)
            CHECK(matrix_dispatch(context, 0, 0) >= 0);
        if (!fds[0].revents)
            continue;
        for (length = 0; read(STDIN_FILENO, word + length, 1) == 1 && word[length] != '\n';)
            CHECK(++length < (int)sizeof word);
        word[length] = '\0';
        if (!obey(context, argv, word))
            break;
    }
    CHECK_OK(matrix_shutdown(context, -1));
    printf("cpu %ld\n", (long)(clock() * 1000 / CLOCKS_PER_SEC));
    return 0;
}
