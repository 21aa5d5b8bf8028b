/* SPDX-License-Identifier: Apache-2.0 */
/* The way from the core into Python: start it, stay in it, and carry calls back. */
#include "bridge.h"

#include "boot.h"
#include "calls.h"

/* Set once, before Python starts. */
static const struct matrix_bridge_core *core;

int matrix_bridge_request_fd(void) {
    return core->request_fd;
}

size_t matrix_bridge_take(const char **json) {
    return core->take(json);
}

int matrix_bridge_post(const char *frames, size_t size) {
    return core->post(frames, size);
}

int matrix_bridge_is_full(uint64_t context) {
    return core->is_full(context);
}

int matrix_bridge_is_tame(const char *text, size_t size) {
    return core->is_tame(text, size);
}

void matrix_bridge_ready(void) {
    core->ready();
}

void matrix_bridge_failed(const char *code, const char *message) {
    core->failed(code, message);
}

void matrix_bridge_prepare_openssl(void) {
    boot_openssl(core->home);
}

int matrix_bridge_stopping(void) {
    return core->stopping();
}

__attribute__((visibility("default"))) int
matrix_bridge_main(const struct matrix_bridge_core *given) {
    struct boot_failure failure;

    core = given;
    if (given->abi != MATRIX_BRIDGE_ABI) {
        given->failed("E_PYTHON", "libmatrix.so and bridge.so are of different versions");
        return -1;
    }
    if (!(given->hosted ? boot_hosted : boot_python)(given->home, &failure)) {
        given->failed(failure.code, failure.text);
        return -1;
    }
    /* Starts cffi's module, which imports libmatrix.native, then runs until the process exits. */
    if (matrix_bridge_run(given->hosted) != 1) {
        given->failed("E_PYTHON", "the runtime's Python code could not be loaded");
        return -1;
    }
    return 0;
}
