/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATRIX_VERSION_H
#define MATRIX_VERSION_H

/** The release, by semantic versioning. The one place it is written: CMake and the packages read it
 * from here. */
#define MATRIX_VERSION_MAJOR 0
#define MATRIX_VERSION_MINOR 1
#define MATRIX_VERSION_PATCH 0
/** The same as text, "0.1.0"; matrix_version() tells it of the library that is loaded. */
#define MATRIX_VERSION_STRING                                                                      \
    MATRIX_VERSION_TEXT_(MATRIX_VERSION_MAJOR, MATRIX_VERSION_MINOR, MATRIX_VERSION_PATCH)
#define MATRIX_VERSION_TEXT_(major, minor, patch) MATRIX_VERSION_JOIN_(major, minor, patch)
#define MATRIX_VERSION_JOIN_(major, minor, patch) #major "." #minor "." #patch

/** The C interface: high half changes when a program must be changed, low half grows with
 * additions. */
#define MATRIX_API_VERSION ((MATRIX_VERSION_MAJOR << 16) | MATRIX_VERSION_MINOR)

#endif
