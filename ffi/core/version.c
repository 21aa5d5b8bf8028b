/* SPDX-License-Identifier: Apache-2.0 */
#include <matrix/matrix.h>

#include <yyjson.h>

const matrix_version_info *matrix_version(void) {
    static const matrix_version_info info = {
        .api_version = MATRIX_API_VERSION,
        .version = MATRIX_VERSION_STRING,
        .python = MATRIX_PYTHON_VERSION,
        .yyjson = YYJSON_VERSION_STRING,
    };
    return &info;
}
