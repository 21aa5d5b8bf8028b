/* SPDX-License-Identifier: Apache-2.0 */
/* Forked children, exit() from everywhere, and what the process keeps. */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "core_check.h"

static void be_a_child(matrix_context context, matrix_client client, matrix_request open) {
    matrix_context other = {0};
    matrix_reply *reply = NULL;
    matrix_map *map = matrix_map_new(), *made = NULL;

    CHECK_STATUS(matrix_init(NULL, &other), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_wait_ready(context, -1), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_dispatch(context, -1, 0), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_next(context, -1, &reply, NULL), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_fd(context), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_set_wakeup_callback(context, NULL, NULL), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_set_log_callback(context, 1, NULL, NULL), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_set_call_callback(context, NULL, NULL), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_respond(context, 1, NULL), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_create_client(context, map, &client), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_close_client(client), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_ping(client, NULL, matrix_ignore, NULL, NULL), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_submit(client, "ping", NULL, NULL, NULL, NULL), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_submit(client, "pong", NULL, NULL, NULL, NULL), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_cancel(open), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_wait(open, -1, &reply), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_set_progress_callback(open, NULL, NULL), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_subscribe(client, "message", NULL, matrix_ignore, NULL, NULL),
                 MATRIX_E_FORKED);
    CHECK_STATUS(matrix_unsubscribe((matrix_subscription){1}), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_map_set_int(map, "key", 1), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_map_from_json("{}", 2, &made), MATRIX_E_FORKED);
    CHECK_STATUS(matrix_shutdown(context, -1), MATRIX_E_FORKED);
    matrix_map_free(map);
}

#ifdef __SANITIZE_THREAD__
enum { FORKS = 6 }; /* a fork takes long there */
#else
enum { FORKS = 40 };
#endif

static atomic_bool stop_submitting;

static void *submit_all_the_time(void *argument) {
    matrix_client *client = argument;

    while (!atomic_load(&stop_submitting)) {
        matrix_ping(*client, NULL, matrix_ignore, NULL, NULL);
    }
    return NULL;
}

/* Forked while another thread holds one lock after the other. */
static void forks(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    matrix_request request = ping(client, FOREVER, matrix_ignore, NULL);
    struct tally tally = {0};
    pthread_t submitter;

    CHECK(pthread_create(&submitter, NULL, submit_all_the_time, &client) == 0);
    for (int i = 0; i < FORKS; i++) {
        pid_t child = fork();
        int status = 0;
        if (child == 0) {
            be_a_child(context, client, request);
            exit(0); /* the exit handler leaves a child alone */
        }
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        CHECK(matrix_dispatch(context, 0, 0) >= 0);
    }
    atomic_store(&stop_submitting, true);
    CHECK(pthread_join(submitter, NULL) == 0);
    while (matrix_dispatch(context, 100, 0) > 0) {
    }
    ping(client, NULL, count_reply, &tally);
    pump(context, &tally.ok, 1);
    CHECK_OK(matrix_shutdown(context, -1));
}

static void exit_now(const matrix_reply *reply, void *user_data) {
    (void)reply;
    exit(*(int *)user_data);
}

static void *exit_in_thread(void *argument) {
    exit(*(int *)argument);
    return NULL;
}

static void exit_somehow(const char *how) {
    static int code = 7;
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    pthread_t thread;

    if (!strcmp(how, "callback")) {
        ping(client, NULL, exit_now, &code);
        matrix_dispatch(context, 20000, 0);
    } else if (!strcmp(how, "thread")) {
        pthread_create(&thread, NULL, exit_in_thread, &code);
        matrix_dispatch(context, -1, 0);
    } else if (!strcmp(how, "busy")) {
        atomic_store(&fake_is_busy, true);
        pthread_create(&thread, NULL, submit_all_the_time, &client);
        CHECK(fake_reaches(&fake.busy_turns, 3));
    } else if (!strcmp(how, "shutdown")) {
        ping(client, FOREVER, exit_now, &code);
        matrix_shutdown(context, -1);
    }
    exit(code); /* "now": maybe before the runtime has started */
}

/* The runtime's thread has every signal blocked, the host's mask is what it was. */
static void mask_is_kept(void) {
    sigset_t before, after;
    matrix_context context;

    sigemptyset(&before);
    sigaddset(&before, SIGUSR1);
    CHECK(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    context = open_context(NULL);
    CHECK(pthread_sigmask(SIG_SETMASK, NULL, &after) == 0);
    for (int number = 1; number < NSIG; number++) {
        CHECK(sigismember(&after, number) == sigismember(&before, number));
    }
    CHECK_OK(matrix_shutdown(context, -1));
}

int main(int argc, char **argv) {
    if (argc > 1) {
        exit_somehow(argv[1]);
    }
    mask_is_kept();
    forks();
    return 0;
}
