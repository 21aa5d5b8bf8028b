/* SPDX-License-Identifier: Apache-2.0 */
#include "utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "json.h"

#define ONES 0x0101010101010101u
#define HIGHS 0x8080808080808080u

/* Whether a byte of `word` is no ASCII, a control character, a quote or a backslash. */
static bool has_special(uint64_t word) {
    uint64_t quote = word ^ (ONES * '"');
    uint64_t backslash = word ^ (ONES * '\\');

    return ((word | (word - ONES * 0x20) | (quote - ONES) | (backslash - ONES)) & HIGHS) != 0;
}

size_t utf8_plain_run(const char *data, size_t size) {
    size_t at = 0;

    for (; size - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, data + at, sizeof word);
        if (has_special(word)) {
            break;
        }
    }
    for (; at < size; at++) {
        unsigned char byte = (unsigned char)data[at];
        if (byte < 0x20 || byte >= 0x80 || byte == '"' || byte == '\\') {
            break;
        }
    }
    return at;
}

static bool is_tail(unsigned char byte) {
    return (byte & 0xC0) == 0x80;
}

size_t utf8_sequence(const char *data, size_t size) {
    const unsigned char *byte = (const unsigned char *)data;

    if (size < 2 || byte[0] < 0xC2 || byte[0] > 0xF4 || !is_tail(byte[1])) {
        return 0;
    }
    if (byte[0] < 0xE0) {
        return 2;
    }
    if (size < 3 || !is_tail(byte[2])) {
        return 0;
    }
    if (byte[0] < 0xF0) {
        bool overlong = byte[0] == 0xE0 && byte[1] < 0xA0;
        bool surrogate = byte[0] == 0xED && byte[1] > 0x9F;
        return overlong || surrogate ? 0 : 3;
    }
    if (size < 4 || !is_tail(byte[3])) {
        return 0;
    }
    if ((byte[0] == 0xF0 && byte[1] < 0x90) || (byte[0] == 0xF4 && byte[1] > 0x8F)) {
        return 0;
    }
    return 4;
}

bool core_is_utf8(const char *data, size_t size) {
    size_t at = 0;

    while (at < size) {
        size_t length = 1;
        if ((unsigned char)data[at] >= 0x80) {
            length = utf8_sequence(data + at, size - at);
        }
        if (!length) {
            return false;
        }
        at += length;
    }
    return true;
}
