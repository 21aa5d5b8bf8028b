/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

extern char **environ;

/* A flag of libc's own, which it adds to each action that it sets, be it the one that was there. */
#define RESTORER 0x04000000

struct state {
    struct sigaction actions[65];
    sigset_t mask;
    char locale[256];
    char environment[65536];
    char directory[4096];
    struct stat streams[3];
    long offset[3];
    mode_t umask;
};

static void take(struct state *state) {
    size_t used = 0;

    memset(state, 0, sizeof *state);
    for (int number = 1; number < 65; number++)
        sigaction(number, NULL, &state->actions[number]);
    pthread_sigmask(SIG_SETMASK, NULL, &state->mask);
    snprintf(state->locale, sizeof state->locale, "%s", setlocale(LC_ALL, NULL));
    for (char **variable = environ; *variable; variable++)
        used += (size_t)snprintf(state->environment + used, sizeof state->environment - used,
                                 "%s\n", *variable);
    CHECK(getcwd(state->directory, sizeof state->directory));
    for (int stream = 0; stream < 3; stream++)
        fstat(stream, &state->streams[stream]);
    state->umask = umask(0);
    umask(state->umask);
}

static void compare(const struct state *before, const struct state *after) {
    for (int number = 1; number < 65; number++) {
        CHECK(before->actions[number].sa_handler == after->actions[number].sa_handler);
        CHECK(((before->actions[number].sa_flags ^ after->actions[number].sa_flags) & ~RESTORER) ==
              0);
    }
    CHECK(memcmp(&before->mask, &after->mask, sizeof before->mask) == 0);
    CHECK(strcmp(before->locale, after->locale) == 0);
    CHECK(strcmp(before->environment, after->environment) == 0);
    CHECK(strcmp(before->directory, after->directory) == 0);
    CHECK(before->umask == after->umask);
    for (int stream = 0; stream < 3; stream++) {
        CHECK(before->streams[stream].st_ino == after->streams[stream].st_ino);
        CHECK(before->streams[stream].st_dev == after->streams[stream].st_dev);
    }
}

/** A client whose session is sealed in its store, so that ciphers are loaded. */
static matrix_client open_sealed(matrix_context context, const char *store) {
    matrix_client client = {0};
    matrix_map *options = matrix_map_new();

    CHECK_OK(matrix_map_set_string(options, "homeserver", "http://127.0.0.1:9"));
    CHECK_OK(matrix_map_set_string(options, "store_path", store));
    CHECK_OK(matrix_map_set_string(options, "store_passphrase", "leaves, not bags"));
    CHECK_OK(matrix_map_set_string(options, "user_id", "@nobody:localhost"));
    CHECK_OK(matrix_map_set_string(options, "device_id", "DEVICE"));
    CHECK_OK(matrix_map_set_string(options, "access_token", "none"));
    CHECK_OK(matrix_create_client(context, options, &client));
    matrix_map_free(options);
    return client;
}

/** Children that have ended leave their page faults in their parent's accounts. */
static void no_child_ran(void) {
    struct rusage children;

    CHECK(getrusage(RUSAGE_CHILDREN, &children) == 0);
    CHECK(children.ru_minflt == 0 && children.ru_maxrss == 0);
}

/* argv[1]: the URL of a server that closes each connection at once: writes to it must kill nobody.
 * argv[2]: a folder for a store. */
int main(int argc, char **argv) {
    static struct state before, after;
    struct tally failed = {0}, parts = {0}, sealed = {0};
    matrix_context context;
    matrix_client client;

    CHECK(argc == 3);
    setvbuf(stdout, NULL, _IOFBF, 4096);
    take(&before);
    context = open_context();
    client = open_client_at(context, argv[1]);
    for (int i = 0; i < 20; i++)
        CHECK_OK(
            matrix_login_password(client, "nobody", "secret", NULL, count_reply, &failed, NULL));
    CHECK_OK(matrix_list_parts(client, NULL, count_reply, &parts, NULL));
    CHECK_OK(matrix_export_room_keys(open_sealed(context, argv[2]), "tea", NULL, count_reply,
                                     &sealed, NULL));
    pump(context, &failed.failed, 20);
    pump(context, &sealed.ok, 1);
    pump(context, &parts.ok, 1);
    CHECK(failed.ok == 0);
    no_child_ran();
    take(&after);
    compare(&before, &after);
    CHECK_OK(matrix_shutdown(context, -1));
    take(&after);
    compare(&before, &after);
    return 0;
}
