/* SPDX-License-Identifier: Apache-2.0 */
#include <dlfcn.h>

#include "check.h"

#define LOAD(name)                                                                                 \
    __typeof__(&name) name##_ = (__typeof__(&name))dlsym(library, #name);                          \
    CHECK(name##_)

static void use_once(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    matrix_context context = {0};
    matrix_client client = {0};
    matrix_request request = {0};
    matrix_reply *reply = NULL;

    CHECK(library);
    LOAD(matrix_init);
    LOAD(matrix_create_client);
    LOAD(matrix_map_from_json);
    LOAD(matrix_map_free);
    LOAD(matrix_ping);
    LOAD(matrix_wait);
    LOAD(matrix_reply_ok);
    LOAD(matrix_reply_free);
    LOAD(matrix_shutdown);
    static const char json[] = "{\"homeserver\":\"http://127.0.0.1:9\"}";
    matrix_map *options = NULL;

    CHECK_OK(matrix_init_(NULL, &context));
    CHECK_OK(matrix_map_from_json_(json, sizeof json - 1, &options));
    CHECK_OK(matrix_create_client_(context, options, &client));
    matrix_map_free_(options);
    CHECK_OK(matrix_ping_(client, NULL, NULL, NULL, &request));
    CHECK_OK(matrix_wait_(request, 20000, &reply));
    CHECK(matrix_reply_ok_(reply));
    matrix_reply_free_(reply);
    CHECK_OK(matrix_shutdown_(context, -1));
    CHECK(dlclose(library) == 0);
}

/* Also with work still going on: the library stays, and the process ends in peace. */
static void leave_busy(const char *path) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    matrix_context context = {0};

    CHECK(library);
    LOAD(matrix_init);
    CHECK_OK(matrix_init_(NULL, &context));
    CHECK(dlclose(library) == 0);
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    for (int i = 0; i < 5; i++)
        use_once(argv[1]);
    leave_busy(argv[1]);
    use_once(argv[1]);
    return 0;
}
