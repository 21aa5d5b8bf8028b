/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MATRIX_VERSION_H
#define MATRIX_VERSION_H

/** The release, by semantic versioning. The one place it is written: CMake and the packages read it
 * from here. */
#define MATRIX_VERSION_MAJOR 0
#define MATRIX_VERSION_MINOR 1
#define MATRIX_VERSION_PATCH 0

/** The C interface: high half changes when a program must be changed, low half grows with
 * additions. */
#define MATRIX_API_VERSION ((MATRIX_VERSION_MAJOR << 16) | MATRIX_VERSION_MINOR)

#endif
