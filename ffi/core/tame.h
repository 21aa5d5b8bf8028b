/* SPDX-License-Identifier: Apache-2.0 */
/** A quick look at JSON before anything is made of it. */
#ifndef MATRIX_CORE_TAME_H
#define MATRIX_CORE_TAME_H

#include <stdbool.h>
#include <stddef.h>

/**
 * Whether JSON text, its syntax put aside, is surely within the limits: UTF-8 without halves of
 * surrogate pairs, at most 64 levels, integers of 64 bits, finite numbers. False leaves it open.
 */
bool core_is_tame(const char *text, size_t size);

#endif
