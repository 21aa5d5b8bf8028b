/* SPDX-License-Identifier: Apache-2.0 */
/* A host that knows libmatrix only by dlopen(RTLD_LOCAL), as Lua, game engines and plug-in hosts
 * do. */
#include <dlfcn.h>

#include "check.h"

#define LOAD(name)                                                                                 \
    __typeof__(&name) name##_ = (__typeof__(&name))dlsym(library, #name);                          \
    CHECK(name##_)

static char parts[8192];

int main(int argc, char **argv) {
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    matrix_context context = {0};
    matrix_client client = {0};
    matrix_request request = {0};
    matrix_reply *reply = NULL;

    CHECK(argc == 2);
    if (!library)
        fprintf(stderr, "%s\n", dlerror());
    CHECK(library);
    LOAD(matrix_init);
    LOAD(matrix_create_client);
    LOAD(matrix_map_new);
    LOAD(matrix_map_set_string);
    LOAD(matrix_map_free);
    LOAD(matrix_list_parts);
    LOAD(matrix_wait);
    LOAD(matrix_reply_json);
    LOAD(matrix_reply_ok);
    LOAD(matrix_reply_free);
    LOAD(matrix_shutdown);
    matrix_map *options = matrix_map_new_();

    CHECK_OK(matrix_init_(NULL, &context));
    CHECK_OK(matrix_map_set_string_(options, "homeserver", "http://127.0.0.1:9"));
    CHECK_OK(matrix_create_client_(context, options, &client));
    matrix_map_free_(options);
    CHECK_OK(matrix_list_parts_(client, NULL, NULL, NULL, &request));
    CHECK_OK(matrix_wait_(request, 60000, &reply));
    snprintf(parts, sizeof parts, "%s", matrix_reply_json_(reply, NULL));
    puts(parts);
    CHECK(matrix_reply_ok_(reply));
    matrix_reply_free_(reply);
    CHECK(strstr(parts, "ssl") && strstr(parts, "sqlite3") && strstr(parts, "vodozemac"));
    CHECK_OK(matrix_shutdown_(context, -1));
    return 0;
}
