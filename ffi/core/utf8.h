/* SPDX-License-Identifier: Apache-2.0 */
/** UTF-8, byte by byte. */
#ifndef MATRIX_CORE_UTF8_H
#define MATRIX_CORE_UTF8_H

#include <stddef.h>

/** How many bytes at the start are ASCII that JSON leaves as it is. */
size_t utf8_plain_run(const char *data, size_t size);
/** The length of the sequence of two to four bytes at the start; 0 when it is not valid. */
size_t utf8_sequence(const char *data, size_t size);

#endif
