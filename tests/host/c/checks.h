/* SPDX-License-Identifier: Apache-2.0 */
/** What every C program of the tests shares: checks that stop it, and tallies of callbacks. */
#ifndef CHECKS_H
#define CHECKS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <matrix/matrix.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define CHECK_STATUS(call, expected)                                                               \
    do {                                                                                           \
        int status_ = (int)(call);                                                                 \
        if (status_ != (int)(expected)) {                                                          \
            fprintf(stderr, "%s:%d: %s is %d, not %s\n", __FILE__, __LINE__, #call, status_,       \
                    #expected);                                                                    \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define CHECK_OK(call) CHECK_STATUS(call, MATRIX_OK)

/** How often a callback ran, and with what at last. */
struct tally {
    int ok;
    int failed;
    char code[64];
};

static inline int tally_count(const struct tally *tally) {
    return tally->ok + tally->failed;
}

#endif
