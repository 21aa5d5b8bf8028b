/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text, piece by piece. Nothing here knows Lua. */
#include "module.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The bytes of the UTF-8 sequence at `at`, 0 when it is not one (overlong, surrogate, above
 * U+10FFFF, cut off). */
static size_t sequence(const unsigned char *at, size_t left) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4 || left < length)
        return 0;
    uint32_t code = at[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3fu);
    }
    if (code < smallest[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    return length;
}

bool ml_is_utf8(const char *data, size_t size) {
    const unsigned char *bytes = (const unsigned char *)data;
    for (size_t i = 0; i < size;) {
        size_t length = bytes[i] < 0x80 ? 1 : sequence(bytes + i, size - i);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

static bool reserve(struct buffer *buffer, size_t more) {
    if (buffer->capacity - buffer->size >= more)
        return true;
    size_t capacity = buffer->capacity ? buffer->capacity : 256;
    while (capacity - buffer->size < more) {
        if (capacity > SIZE_MAX / 2)
            return false;
        capacity *= 2;
    }
    char *data = realloc(buffer->data, capacity);
    if (data == NULL)
        return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

bool ml_append(struct buffer *buffer, const char *data, size_t size) {
    if (!reserve(buffer, size))
        return false;
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return true;
}

static bool append_escaped(struct buffer *buffer, unsigned char byte) {
    char text[8];
    int length = byte == '"' || byte == '\\' ? snprintf(text, sizeof text, "\\%c", byte)
                                             : snprintf(text, sizeof text, "\\u%04x", byte);
    return ml_append(buffer, text, (size_t)length);
}

bool ml_append_string(struct buffer *buffer, const char *data, size_t size) {
    size_t plain = 0; /* where the bytes begin that need no escape */
    if (!ml_append(buffer, "\"", 1))
        return false;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)data[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\')
            continue;
        if (!ml_append(buffer, data + plain, i - plain) || !append_escaped(buffer, byte))
            return false;
        plain = i + 1;
    }
    return ml_append(buffer, data + plain, size - plain) && ml_append(buffer, "\"", 1);
}

bool ml_append_int(struct buffer *buffer, int64_t value) {
    char text[24];
    return ml_append(buffer, text, (size_t)snprintf(text, sizeof text, "%" PRId64, value));
}

bool ml_append_double(struct buffer *buffer, double value) {
    char text[48], clean[48];
    size_t size = 0;
    snprintf(text, sizeof text, "%.17g", value);
    /* The host's locale chooses the decimal point, of one byte or more: all of it becomes one
     * point. */
    for (const char *at = text; *at != '\0'; at++) {
        if (strchr("0123456789eE+-", *at) != NULL)
            clean[size++] = *at;
        else if (size > 0 && clean[size - 1] != '.')
            clean[size++] = '.';
    }
    return ml_append(buffer, clean, size);
}
