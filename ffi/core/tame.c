/* SPDX-License-Identifier: Apache-2.0 */
#include "tame.h"

#include <string.h>

#include "utf8.h"

#define MOST_LEVELS 64
#define SURE_DIGITS 18 /* fewer than the largest 64-bit integers have */

/* Behind the closing quote; NULL when there is something odd before it. */
static const char *skip_string(const char *at, const char *end) {
    while (at < end) {
        unsigned char byte;
        at += utf8_plain_run(at, (size_t)(end - at));
        byte = at < end ? (unsigned char)*at : '"';
        if (byte == '"') {
            return at + 1;
        }
        if (byte == '\\') {
            if (end - at < 3 || (at[1] == 'u' && (at[2] | 0x20) == 'd')) {
                return NULL;
            }
            at += 2;
        } else {
            size_t length = byte < 0x80 ? 1 : utf8_sequence(at, (size_t)(end - at));
            if (!length) {
                return NULL;
            }
            at += length;
        }
    }
    return at;
}

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

/* Behind a number; NULL when it may be too large. */
static const char *skip_number(const char *at, const char *end) {
    const char *start = at;

    while (at < end && is_digit(*at)) {
        at++;
    }
    if (at - start > SURE_DIGITS) {
        return NULL;
    }
    if (at < end && *at == '.') {
        for (at++; at < end && is_digit(*at); at++) {
        }
    }
    return at < end && (*at | 0x20) == 'e' ? NULL : at;
}

bool core_is_tame(const char *text, size_t size) {
    const char *end = text + size;
    const char *at = text;
    size_t level = 0;

    while (at && at < end) {
        if (*at == '"') {
            at = skip_string(at + 1, end);
        } else if (is_digit(*at)) {
            at = skip_number(at, end);
        } else {
            level += *at == '{' || *at == '[';
            level -= *at == '}' || *at == ']';
            if ((unsigned char)*at >= 0x80 || (level > MOST_LEVELS)) {
                return false;
            }
            at++;
        }
    }
    return at != NULL;
}
