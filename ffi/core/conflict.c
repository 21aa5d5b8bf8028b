/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two Pythons cannot live in one process: extension modules find the functions of whichever came
 * first. So look before ours is loaded.
 */
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

typedef const char *version_function(void);
typedef int initialized_function(void);

static const char *file_of(void *address) {
    Dl_info info;
    return dladdr(address, &info) && info.dli_fname ? info.dli_fname : "the program";
}

/* Whether "3.11.2 (main, …" and "3.11.7" are the same but for the last number. */
static bool is_same_minor(const char *one, const char *other) {
    char *end;
    long major = strtol(one, &end, 10);
    long minor = *end == '.' ? strtol(end + 1, NULL, 10) : -1;
    long other_major = strtol(other, &end, 10);
    long other_minor = *end == '.' ? strtol(end + 1, NULL, 10) : -1;

    return major == other_major && minor == other_minor;
}

/* A libpython that was loaded for somebody alone, so that its symbols are not seen. */
static int find_private(struct dl_phdr_info *info, size_t size, void *found) {
    const char *slash = strrchr(info->dlpi_name, '/');
    const char *name = slash ? slash + 1 : info->dlpi_name;

    (void)size;
    if (strncmp(name, "libpython", strlen("libpython")) != 0) {
        return 0;
    }
    snprintf(found, 512, "%s", info->dlpi_name);
    return 1;
}

static enum python_found check_visible(void *version, const char *own_library, char *message,
                                       size_t size) {
    void *initialized = dlsym(RTLD_DEFAULT, "Py_IsInitialized");
    const char *its_version = ((version_function *)version)();

    if (!is_same_minor(its_version, MATRIX_PYTHON_VERSION)) {
        snprintf(message, size, "the process has Python %.12s in %s; libmatrix has %s in %s",
                 its_version, file_of(version), MATRIX_PYTHON_VERSION, own_library);
        return PYTHON_CONFLICT;
    }
    if (!initialized || !((initialized_function *)initialized)()) {
        snprintf(message, size,
                 "the process has Python in %s, which does not run; libmatrix has %s in %s",
                 file_of(version), MATRIX_PYTHON_VERSION, own_library);
        return PYTHON_CONFLICT;
    }
    return PYTHON_HOST;
}

enum python_found core_find_python(const char *own_library, char *message, size_t size) {
    void *version = dlsym(RTLD_DEFAULT, "Py_GetVersion");
    char other[512] = "";

    if (version) {
        return check_visible(version, own_library, message, size);
    }
    if (dl_iterate_phdr(find_private, other)) {
        snprintf(message, size, "the process has another Python in %s; libmatrix has %s in %s",
                 other, MATRIX_PYTHON_VERSION, own_library);
        return PYTHON_CONFLICT;
    }
    return PYTHON_NONE;
}
