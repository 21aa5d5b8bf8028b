/* SPDX-License-Identifier: Apache-2.0 */
/** Starting Python as a guest of the process. */
#ifndef MATRIX_BOOT_H
#define MATRIX_BOOT_H

#include <stdbool.h>

#define MATRIX_BOOT_TEXT 512

/** Why Python could not start. */
struct boot_failure {
    const char *code; /* static */
    char text[MATRIX_BOOT_TEXT];
};

/** Starts an isolated Python out of `home`; the calling thread becomes its main thread and does not
 * hold its lock. */
bool boot_python(const char *home, struct boot_failure *failure);

/**
 * OpenSSL's own exit handler crashes processes whose threads still run: keeps the copy under `home`
 * from registering it.
 */
void boot_openssl(const char *home);

/** Makes the packages under `home` importable in a Python that runs already. */
bool boot_hosted(const char *home, struct boot_failure *failure);

#endif
