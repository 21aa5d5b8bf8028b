/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "utf8.h"

void buffer_init(struct buffer *buffer) {
    buffer->data = buffer->local;
    buffer->used = 0;
    buffer->capacity = sizeof buffer->local;
    buffer->chunk = NULL;
    buffer->no_memory = false;
}

void buffer_free(struct buffer *buffer) {
    free(buffer->chunk);
    buffer->chunk = NULL;
}

static bool grow(struct buffer *buffer, size_t size) {
    size_t capacity = buffer->capacity * 2;
    struct chunk *chunk;

    if (size > SIZE_MAX / 4) {
        return false;
    }
    while (capacity - buffer->used < size) {
        capacity *= 2;
    }
    chunk = realloc(buffer->chunk, sizeof *chunk + capacity);
    if (!chunk) {
        return false;
    }
    if (!buffer->chunk) {
        memcpy(chunk->data, buffer->local, buffer->used);
    }
    buffer->chunk = chunk;
    buffer->data = chunk->data;
    buffer->capacity = capacity;
    return true;
}

char *buffer_reserve(struct buffer *buffer, size_t size) {
    if (buffer->capacity - buffer->used < size && !grow(buffer, size)) {
        buffer->no_memory = true;
        return NULL;
    }
    return buffer->data + buffer->used;
}

void buffer_append(struct buffer *buffer, const char *data, size_t size) {
    char *place = buffer_reserve(buffer, size);

    if (place) {
        memcpy(place, data, size);
        buffer->used += size;
    }
}

void buffer_literal(struct buffer *buffer, const char *text) {
    buffer_append(buffer, text, strlen(text));
}

void buffer_unsigned(struct buffer *buffer, uint64_t number) {
    char digits[20];
    size_t start = sizeof digits;

    do {
        digits[--start] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    buffer_append(buffer, digits + start, sizeof digits - start);
}

void buffer_integer(struct buffer *buffer, int64_t number) {
    if (number < 0) {
        buffer_append(buffer, "-", 1);
        buffer_unsigned(buffer, -(uint64_t)number);
        return;
    }
    buffer_unsigned(buffer, (uint64_t)number);
}

void buffer_double(struct buffer *buffer, double number) {
    yyjson_val value = {0};
    size_t size = 0;
    char *text;

    unsafe_yyjson_set_type(&value, YYJSON_TYPE_NUM, YYJSON_SUBTYPE_REAL);
    value.uni.f64 = number;
    text = yyjson_val_write(&value, YYJSON_WRITE_NOFLAG, &size);
    if (!text) {
        buffer->no_memory = true;
        return;
    }
    buffer_append(buffer, text, size);
    free(text);
}

static void append_escape(struct buffer *buffer, unsigned char byte) {
    static const char letters[] = "btn\0fr"; /* for 8 to 13 */
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};

    if (byte == '"' || byte == '\\') {
        text[1] = (char)byte;
        buffer_append(buffer, text, 2);
    } else if (byte >= 8 && byte <= 13 && letters[byte - 8]) {
        text[1] = letters[byte - 8];
        buffer_append(buffer, text, 2);
    } else {
        buffer_append(buffer, text, 6);
    }
}

bool buffer_string(struct buffer *buffer, const char *data, size_t size) {
    size_t start = 0;
    size_t at = 0;

    if (!buffer_reserve(buffer, size + 2)) {
        return true;
    }
    buffer_append(buffer, "\"", 1);
    while (at < size) {
        at += utf8_plain_run(data + at, size - at);
        if (at == size) {
            break;
        }
        if ((unsigned char)data[at] >= 0x80) {
            size_t length = utf8_sequence(data + at, size - at);
            if (!length) {
                return false;
            }
            at += length;
            continue;
        }
        buffer_append(buffer, data + start, at - start);
        append_escape(buffer, (unsigned char)data[at]);
        start = ++at;
    }
    buffer_append(buffer, data + start, size - start);
    buffer_append(buffer, "\"", 1);
    return true;
}

void buffer_base64(struct buffer *buffer, const void *data, size_t size) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *bytes = data;
    char *place = size < SIZE_MAX / 2 ? buffer_reserve(buffer, (size + 2) / 3 * 4 + 2) : NULL;
    size_t at;

    if (!place) {
        buffer->no_memory = true;
        return;
    }
    *place++ = '"';
    for (at = 0; at < size; at += 3) {
        size_t left = size - at;
        uint32_t group = (uint32_t)bytes[at] << 16;
        group |= left > 1 ? (uint32_t)bytes[at + 1] << 8 : 0;
        group |= left > 2 ? (uint32_t)bytes[at + 2] : 0;
        *place++ = letters[group >> 18];
        *place++ = letters[group >> 12 & 63];
        *place++ = left > 1 ? letters[group >> 6 & 63] : '=';
        *place++ = left > 2 ? letters[group & 63] : '=';
    }
    *place++ = '"';
    buffer->used = (size_t)(place - buffer->data);
}
