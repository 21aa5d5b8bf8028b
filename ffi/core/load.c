/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime.h"

/* Any address in this library will do to find it. */
static const char anchor;

void core_pin_library(void) {
    Dl_info info;

    if (dladdr(&anchor, &info) && info.dli_fname) {
        dlopen(info.dli_fname, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD | RTLD_NODELETE);
    }
}

#ifdef MATRIX_TEST_BRIDGE

/* The core alone, for its own tests: they link a bridge of their own. */
const char *core_load_bridge(struct matrix_bridge_core *core, bridge_main **bridge, char *message,
                             size_t size) {
    core->home = "/nowhere";
    core->hosted = 0;
    *bridge = matrix_bridge_main;
    (void)message;
    (void)size;
    return NULL;
}

#else

/* The folder libmatrix/ beside this library, wherever it is; lives as long as the process. */
static const char *find_home(void) {
    static char home[PATH_MAX];
    char real[PATH_MAX];
    char *slash;
    Dl_info info;

    if (!dladdr(&anchor, &info) || !info.dli_fname || !realpath(info.dli_fname, real)) {
        return NULL;
    }
    slash = strrchr(real, '/');
    *slash = 0;
    if ((size_t)snprintf(home, sizeof home, "%s/libmatrix", real) >= sizeof home) {
        return NULL;
    }
    return home;
}

#ifdef MATRIX_NO_DEEPBIND
#define DEEPBIND 0
#else
#define DEEPBIND RTLD_DEEPBIND
#endif

/* A deeply bound library reads the C library's own `environ`, which stays empty when the program
 * carries a copy of that variable. Nobody else reads it then, so it may name the real one. */
static void share_environment(void) {
    void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    char ***own = libc ? (char ***)dlsym(libc, "environ") : NULL;

    if (own && own != &environ) {
        *own = environ;
    }
}

/* Loads libpython for the whole process: extension modules look its symbols up there. Deeply
 * bound, because a distribution's libpython uses libraries that a host may have too. */
static const char *load_python(const char *library, char *message, size_t size) {
    void *handle = dlopen(library, RTLD_NOW | RTLD_GLOBAL | DEEPBIND);
    void *own = handle ? dlsym(handle, "Py_GetVersion") : NULL;
    Dl_info info = {0};

    if (!own) {
        snprintf(message, size, "%s", dlerror());
        return "E_PYTHON";
    }
    share_environment();
    if (dlsym(RTLD_DEFAULT, "Py_GetVersion") != own) {
        dladdr(dlsym(RTLD_DEFAULT, "Py_GetVersion"), &info);
        snprintf(message, size, "another Python came in between: %s beside %s",
                 info.dli_fname ? info.dli_fname : "?", library);
        return "E_PYTHON_CONFLICT";
    }
    return NULL;
}

const char *core_load_bridge(struct matrix_bridge_core *core, bridge_main **bridge, char *message,
                             size_t size) {
    char path[PATH_MAX + 64];
    enum python_found found;
    const char *code = NULL;
    void *handle;

    core->home = find_home();
    if (!core->home) {
        snprintf(message, size, "the folder of libmatrix cannot be found");
        return "E_PYTHON";
    }
    snprintf(path, sizeof path, "%s/lib/" MATRIX_PYTHON_LIBRARY, core->home);
    found = core_find_python(path, message, size);
    if (found == PYTHON_CONFLICT) {
        return "E_PYTHON_CONFLICT";
    }
    core->hosted = found == PYTHON_HOST;
    code = core->hosted ? NULL : load_python(path, message, size);
    if (code) {
        return code;
    }
    snprintf(path, sizeof path, "%s/bridge.so", core->home);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    *bridge = handle ? (bridge_main *)dlsym(handle, "matrix_bridge_main") : NULL;
    if (!*bridge) {
        snprintf(message, size, "%s", dlerror());
        return "E_PYTHON";
    }
    return NULL;
}

#endif
