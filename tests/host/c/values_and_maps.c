/* SPDX-License-Identifier: Apache-2.0 */
/* What goes in by a map comes out as the same values: every type, nesting, limits of int64, NULs,
 * empty things. */
#include <math.h>

#include "check.h"

static const char text[] =
    "{\"payload\":{\"null\":null,\"yes\":true,\"no\":false,\"most\":9223372036854775807,"
    "\"least\":-9223372036854775808,\"half\":0.5,\"nul\":\"a\\u0000b\",\"empty\":\"\","
    "\"list\":[1,[2,[]],{}],\"map\":{\"k\":{\"\":\"no name\"}},\"face\":\"\\ud83d\\ude00\"}}";

static void check_payload(const matrix_value *payload) {
    const matrix_value *list = matrix_value_get(payload, "list");
    const matrix_value *nul = matrix_value_get(payload, "nul");

    CHECK(payload && payload->type == MATRIX_TYPE_MAP && matrix_value_count(payload) == 11);
    CHECK(matrix_value_get(payload, "null")->type == MATRIX_TYPE_NULL);
    CHECK(matrix_value_get_bool(payload, "yes", false));
    CHECK(!matrix_value_get_bool(payload, "no", true));
    CHECK(matrix_value_get_int(payload, "most", 0) == INT64_MAX);
    CHECK(matrix_value_get_int(payload, "least", 0) == INT64_MIN);
    CHECK(matrix_value_get_double(payload, "half", 0) == 0.5);
    CHECK(nul->type == MATRIX_TYPE_STRING && nul->as.string.size == 3);
    CHECK(memcmp(nul->as.string.data, "a\0b", 4) == 0);
    CHECK(!strcmp(matrix_value_get_string(payload, "empty", "x"), ""));
    CHECK(matrix_value_count(list) == 3);
    CHECK(matrix_value_at(list, 1)->as.list.count == 2);
    CHECK(matrix_value_at(list, 2)->type == MATRIX_TYPE_MAP);
    CHECK(matrix_value_at(list, 3) == NULL);
    CHECK(!strcmp(
        matrix_value_get_string(matrix_value_get(matrix_value_get(payload, "map"), "k"), "", "x"),
        "no name"));
    CHECK(!strcmp(matrix_value_get_string(payload, "face", ""), "\xf0\x9f\x98\x80"));
    CHECK(matrix_value_get_int(payload, "missing", 7) == 7);
    CHECK(matrix_value_get_int(payload, "face", 7) == 7);
    CHECK(matrix_value_get(NULL, "x") == NULL && matrix_value_get(list, "x") == NULL);
}

int main(void) {
    matrix_context context = open_context();
    matrix_client client = open_client(context);
    matrix_request request = {0};
    matrix_reply *reply = NULL, *kept;
    matrix_map *options = NULL;

    CHECK_OK(matrix_map_from_json(text, sizeof text - 1, &options));
    CHECK_OK(matrix_ping(client, options, NULL, NULL, &request));
    matrix_map_free(options);
    CHECK_OK(matrix_wait(request, 20000, &reply));
    CHECK(matrix_reply_ok(reply) && matrix_reply_get_kind(reply) == MATRIX_REPLY_RESULT);
    CHECK(matrix_reply_request(reply).id == request.id);
    kept = matrix_reply_keep(reply);
    matrix_reply_free(reply);
    CHECK_OK(matrix_shutdown(context, -1));
    /* A kept reply outlives its context. */
    check_payload(matrix_value_get(matrix_reply_value(kept), "payload"));
    matrix_reply_free(kept);
    return 0;
}
