/* SPDX-License-Identifier: Apache-2.0 */
#include <matrix/matrix.h>

#include <yyjson.h>

#define TEXT_OF(number) #number
#define TEXT(number) TEXT_OF(number)

const matrix_version_info *matrix_version(void) {
    static const matrix_version_info info = {
        .api_version = MATRIX_API_VERSION,
        .version = TEXT(MATRIX_VERSION_MAJOR) "." TEXT(MATRIX_VERSION_MINOR) "." TEXT(
            MATRIX_VERSION_PATCH),
        .python = MATRIX_PYTHON_VERSION,
        .yyjson = YYJSON_VERSION_STRING,
    };
    return &info;
}
