/* SPDX-License-Identifier: Apache-2.0 */
/* exit_at_any_moment URL CA_FILE MICROSECONDS: leaves by exit(7) that long after the first call,
 * requests in flight. */
#include <pthread.h>
#include <time.h>

#include "check.h"

static long long now_us(void) {
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000LL + time.tv_nsec / 1000;
}

static matrix_client open_tls_client(matrix_context context, const char *url, const char *ca_file) {
    matrix_map *options = matrix_map_new();
    matrix_client client = {0};

    CHECK_OK(matrix_map_set_string(options, "homeserver", url));
    CHECK_OK(matrix_map_set_string(options, "ca_file", ca_file));
    CHECK_OK(matrix_create_client(context, options, &client));
    matrix_map_free(options);
    return client;
}

int main(int argc, char **argv) {
    long long end;
    matrix_context context;
    matrix_client clients[4];

    CHECK(argc == 4);
    end = now_us() + atoll(argv[3]);
    context = open_context();
    for (int i = 0; i < 4; i++)
        clients[i] = open_tls_client(context, argv[1], argv[2]);
    for (int i = 0; now_us() < end; i++) {
        matrix_login_password(clients[i % 4], "nobody", "wrong", NULL, matrix_ignore, NULL, NULL);
        matrix_ping(clients[i % 4], NULL, matrix_ignore, NULL, NULL);
        matrix_dispatch(context, 1, 0);
    }
    exit(7);
}
