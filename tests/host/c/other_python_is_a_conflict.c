/* SPDX-License-Identifier: Apache-2.0 */
/* other_python_is_a_conflict LIBPYTHON local|global: what a host gets that has another Python
 * loaded. */
#include <dlfcn.h>

#include "check.h"

static char logged[2048];

static void remember(const matrix_reply *reply, void *user_data) {
    (void)user_data;
    snprintf(logged, sizeof logged, "%s",
             matrix_value_get_string(matrix_reply_value(reply), "message", ""));
}

int main(int argc, char **argv) {
    int scope = argc == 3 && !strcmp(argv[2], "global") ? RTLD_GLOBAL : RTLD_LOCAL;
    void *python = argc == 3 ? dlopen(argv[1], RTLD_NOW | scope) : NULL;
    matrix_context context;
    matrix_client client;
    struct tally before = {0}, after = {0};

    CHECK(python);
    context = open_context();
    client = open_client(context);
    CHECK_OK(matrix_set_log_callback(context, MATRIX_LOG_LEVEL_ERROR, remember, NULL));
    ping(client, 0, count_reply, &before);
    CHECK_STATUS(matrix_wait_ready(context, 20000), MATRIX_E_PYTHON_CONFLICT);
    ping(client, 0, count_reply, &after);
    pump(context, &before.failed, 1);
    pump(context, &after.failed, 1);
    CHECK(!strcmp(before.code, "E_PYTHON_CONFLICT"));
    CHECK(!strcmp(after.code, "E_PYTHON_CONFLICT"));
    while (!logged[0])
        CHECK(matrix_dispatch(context, 20000, 0) > 0);
    puts(logged);
    CHECK(strstr(logged, argv[1]));
    CHECK(strstr(logged, "lib/libmatrix/"));
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
