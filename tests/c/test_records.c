/* SPDX-License-Identifier: Apache-2.0 */
/* Maps as plain structs: every type, what is missing or of a wrong type, and pointers that stay. */
#include "core_check.h"
#include "records.h"

enum colour { COLOUR_UNKNOWN, COLOUR_RED, COLOUR_GREEN };

struct sample {
    bool has_flag;
    bool flag;
    bool has_count;
    int64_t count;
    bool has_ratio;
    double ratio;
    const char *name;
    const char *data;
    enum colour colour;
    const matrix_value *any;
    const matrix_value *list;
    int64_t required;
};

static const char *const colours[] = {"red", "green"};
static const struct enumeration colour = {"colour", colours, 2};

#define MEMBER(member, kind)                                                                       \
    .name = #member, .type = kind, .offset = offsetof(struct sample, member)
#define FLAGGED(member) .has_offset = offsetof(struct sample, has_##member)
#define BARE .has_offset = SIZE_MAX

static const struct field fields[] = {
    {MEMBER(flag, FIELD_BOOL), FLAGGED(flag)},
    {MEMBER(count, FIELD_INT), FLAGGED(count)},
    {MEMBER(ratio, FIELD_DOUBLE), FLAGGED(ratio)},
    {MEMBER(name, FIELD_STRING), BARE},
    {MEMBER(data, FIELD_BYTES), BARE},
    {MEMBER(colour, FIELD_ENUM), .enumeration = &colour, BARE},
    {MEMBER(any, FIELD_JSON), BARE},
    {MEMBER(list, FIELD_LIST), .item = FIELD_INT, BARE},
    {MEMBER(required, FIELD_INT), .required = true, BARE},
};
static const struct record record = {"sample", {fields, 9}, sizeof(struct sample)};

static matrix_reply *reply_with(matrix_client client, const char *payload) {
    matrix_map *map = matrix_map_new();
    matrix_request request;
    matrix_reply *reply;

    CHECK_OK(matrix_map_set_json(map, "payload", payload, strlen(payload)));
    CHECK_OK(matrix_ping(client, map, NULL, NULL, &request));
    CHECK_OK(matrix_wait(request, 20000, &reply));
    matrix_map_free(map);
    return reply;
}

static const struct sample *sample_of(const matrix_reply *reply) {
    return core_record(reply, matrix_value_get(matrix_reply_value(reply), "payload"), &record);
}

static void everything(matrix_client client) {
    matrix_reply *reply = reply_with(
        client, "{\"flag\":false,\"count\":-7,\"ratio\":2,\"name\":\"n\",\"data\":\"AQ==\","
                "\"colour\":\"green\",\"any\":null,\"list\":[1],\"required\":5,\"new\":1}");
    const struct sample *sample = sample_of(reply);

    CHECK(sample && sample->has_flag && !sample->flag);
    CHECK(sample->has_count && sample->count == -7);
    CHECK(sample->has_ratio && sample->ratio == 2.0);
    CHECK_TEXT(sample->name, "n");
    CHECK_TEXT(sample->data, "AQ==");
    CHECK(sample->colour == COLOUR_GREEN && sample->required == 5);
    CHECK(sample->any->type == MATRIX_TYPE_NULL && matrix_value_count(sample->list) == 1);
    CHECK(sample_of(reply) == sample);
    /* The same map as another record is another struct. */
    CHECK((const void *)matrix_reply_as_room(
              reply, matrix_value_get(matrix_reply_value(reply), "payload")) != sample);
    CHECK(sample_of(reply) == sample);
    matrix_reply_free(reply);
}

static void nothing_fits(matrix_client client) {
    static const char *const payloads[] = {
        "{}",
        "{\"flag\":1,\"count\":0.5,\"ratio\":\"x\",\"name\":5,\"data\":null,\"colour\":\"blue\"}"};

    for (int i = 0; i < 2; i++) {
        matrix_reply *reply = reply_with(client, payloads[i]);
        const struct sample *sample = sample_of(reply);
        CHECK(sample && !sample->has_flag && !sample->has_count && !sample->has_ratio);
        CHECK(!sample->name && !sample->data && sample->colour == COLOUR_UNKNOWN);
        CHECK(!sample->any && !sample->list && sample->required == 0);
        matrix_reply_free(reply);
    }
}

static void rooms(matrix_client client) {
    matrix_reply *reply = reply_with(
        client, "[{\"room_id\":\"!a:b\",\"name\":\"A\",\"membership\":\"ban\",\"is_direct\":true,"
                "\"joined_member_count\":3},{\"room_id\":\"!c:d\"},5]");
    const matrix_value *list = matrix_value_get(matrix_reply_value(reply), "payload");
    const matrix_room *first = matrix_reply_as_room(reply, matrix_value_at(list, 0));
    const matrix_room *second = matrix_reply_as_room(reply, matrix_value_at(list, 1));

    CHECK_TEXT(first->room_id, "!a:b");
    CHECK(first->membership == MATRIX_MEMBERSHIP_BAN && first->is_direct && !first->is_encrypted);
    CHECK(first->joined_member_count == 3 && first->topic == NULL);
    CHECK_TEXT(matrix_membership_string(first->membership), "ban");
    CHECK_TEXT(second->room_id, "!c:d");
    CHECK(second->membership == MATRIX_MEMBERSHIP_UNKNOWN);
    CHECK(!matrix_reply_as_room(reply, matrix_value_at(list, 2)));
    CHECK(!matrix_reply_as_room(reply, matrix_value_at(list, 3)) &&
          !matrix_reply_as_room(NULL, list));
    matrix_reply_free(reply);
}

/* The struct of each of ten thousand maps in one reply is found again at once. */
static void many(matrix_client client) {
    enum { COUNT = 10000 };
    static const void *pointers[COUNT];
    char *text = malloc(COUNT * 3 + 2);
    matrix_reply *reply;
    const matrix_value *list;

    for (int i = 0; i < COUNT; i++) {
        memcpy(text + i * 3, i ? ",{}" : "[{}", 3);
    }
    memcpy(text + COUNT * 3, "]", 2);
    reply = reply_with(client, text);
    free(text);
    list = matrix_value_get(matrix_reply_value(reply), "payload");
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            const void *found = core_record(reply, matrix_value_at(list, i), &record);
            CHECK(found && (round == 0 || pointers[i] == found));
            pointers[i] = found;
        }
    }
    matrix_reply_free(reply);
}

int main(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);

    everything(client);
    nothing_fits(client);
    rooms(client);
    many(client);
    CHECK_OK(matrix_shutdown(context, -1));
    return 0;
}
