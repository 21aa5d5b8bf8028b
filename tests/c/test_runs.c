/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of events: who gets what in which order, the record that is made of each, limits, and runs
 * that are broken. `test_runs FILE` prints the records of a run's payload, once as text and once as
 * values; its deliveries all go to one subscription. */
#include "core_check.h"
#include "json.h"
#include "tame.h"

#define ME "@me:x"
#define MOST 24000

struct listener {
    int events;
    char seen[MOST]; /* event ids, with the listener's letter before each */
    char *all;       /* of all listeners */
    char letter;
    int stop_at;
    matrix_subscription subscription;
};

static void on_event(const matrix_reply *reply, void *user_data) {
    struct listener *listener = user_data;
    const matrix_event *event = matrix_reply_as_event(reply, matrix_reply_value(reply));

    CHECK(event && matrix_reply_subscription(reply).id == listener->subscription.id);
    CHECK_TEXT(event->room_id, "!r:x");
    CHECK(event->content == matrix_value_get(matrix_reply_value(reply), "content"));
    snprintf(listener->all + strlen(listener->all), 64, "%c%s ", listener->letter, event->event_id);
    listener->events++;
    take_time();
    if (listener->events == listener->stop_at) {
        CHECK_OK(matrix_unsubscribe(listener->subscription));
    }
}

static void listen(matrix_client client, struct listener *listener, char letter, char *all) {
    *listener = (struct listener){.letter = letter, .all = all};
    CHECK_OK(matrix_subscribe(client, "any", NULL, on_event, listener, &listener->subscription));
}

/* ---- making runs ---------------------------------------------------------------------------- */

struct payload {
    char data[MOST];
    size_t size;
};

static void put(struct payload *payload, const void *data, size_t size) {
    CHECK(payload->size + size <= MOST);
    memcpy(payload->data + payload->size, data, size);
    payload->size += size;
}

static void make(struct payload *payload, const struct matrix_delivery *deliveries, uint32_t count,
                 const char *const *texts, uint32_t events) {
    struct matrix_run head = {count, events, 4, 5};
    uint32_t index;

    payload->size = 0;
    put(payload, &head, sizeof head);
    put(payload, deliveries, count * sizeof *deliveries);
    for (index = 0; index < events; index++) {
        uint32_t size = (uint32_t)strlen(texts[index]);
        put(payload, &size, sizeof size);
    }
    put(payload, "!r:x", 5);
    put(payload, ME, 6);
    for (index = 0; index < events; index++) {
        put(payload, texts[index], strlen(texts[index]));
    }
}

static int post_run(matrix_context context, int flags, const struct payload *payload,
                    uint64_t deliveries) {
    struct matrix_frame frame = {
        (uint32_t)payload->size, MATRIX_FRAME_RUN, (uint16_t)flags, context.id, 0, deliveries};
    char *block = malloc(sizeof frame + payload->size + 1);
    int full;

    memcpy(block, &frame, sizeof frame);
    memcpy(block + sizeof frame, payload->data, payload->size);
    block[sizeof frame + payload->size] = 0;
    full = fake_core->post(block, sizeof frame + payload->size + 1);
    free(block);
    return full;
}

static const char *const three[] = {
    "{\"type\":\"m.x\",\"event_id\":\"$1\",\"sender\":\"@a:x\",\"content\":{}}",
    "{\"type\":\"m.x\",\"event_id\":\"$2\",\"sender\":\"@me:x\",\"content\":{\"a\":[1]}}",
    "{\"type\":\"m.x\",\"event_id\":\"$3\",\"sender\":\"@a:x\",\"content\":{}}"};

/* ---- what is promised ----------------------------------------------------------------------- */

static void events_come_in_order(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    struct listener a, b;
    struct payload payload;
    char all[MOST] = "";
    int before = atomic_load(&fake.consumed);

    listen(client, &a, 'a', all);
    listen(client, &b, 'b', all);
    settle(client);
    struct matrix_delivery to[] = {{a.subscription.id, 0},
                                   {b.subscription.id, 0},
                                   {b.subscription.id, 1},
                                   {a.subscription.id, 2},
                                   {b.subscription.id, 2}};
    make(&payload, to, 5, three, 3);
    CHECK(!post_run(context, 0, &payload, 5));
    fake_post(MATRIX_FRAME_MARK, 0, context.id, client.id, 7, "");
    for (int count = 0; count < 5; count++) {
        CHECK(atomic_load(&fake.consumed) == before);
        CHECK(matrix_dispatch(context, 20000, 1) == 1);
    }
    CHECK(matrix_dispatch(context, 0, 0) == 0);
    CHECK(fake_reaches(&fake.consumed, before + 1));
    CHECK_TEXT(all, "a$1 b$1 b$2 a$3 b$3 ");
    CHECK_OK(matrix_shutdown(context, -1));
}

static void unsubscribing_inside(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    struct listener a, b;
    struct payload payload;
    char all[MOST] = "";

    listen(client, &a, 'a', all);
    listen(client, &b, 'b', all);
    a.stop_at = 1;
    struct matrix_delivery to[] = {
        {a.subscription.id, 0}, {a.subscription.id, 1}, {b.subscription.id, 1}};
    make(&payload, to, 3, three, 3);
    post_run(context, 0, &payload, 3);
    post_run(context, 0, &payload, 3);
    pump(context, &b.events, 2);
    CHECK_TEXT(all, "a$1 b$2 b$2 ");
    CHECK_OK(matrix_shutdown(context, -1));
}

static void each_event_counts(void) {
    matrix_context context = open_context("{\"max_events\":2}");
    matrix_client client = open_client(context);
    struct listener a;
    struct payload payload;
    char all[MOST] = "";
    int before = atomic_load(&fake.drained);

    listen(client, &a, 'a', all);
    struct matrix_delivery to[] = {
        {a.subscription.id, 0}, {a.subscription.id, 1}, {a.subscription.id, 2}};
    make(&payload, to, 3, three, 3);
    CHECK(post_run(context, 0, &payload, 3) == 1);
    CHECK(fake_core->is_full(context.id) == 1);
    CHECK(matrix_dispatch(context, 0, 1) == 1);
    CHECK(fake_reaches(&fake.drained, before + 1));
    CHECK(fake_core->is_full(context.id) == 0);
    CHECK(post_run(context, 0, &payload, 3) == 1);
    CHECK(matrix_dispatch(context, 0, 0) == 5);
    CHECK(fake_core->is_full(context.id) == 0);
    CHECK_OK(matrix_shutdown(context, -1));
}

static void a_kept_event_stays(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    matrix_subscription subscription;
    matrix_reply *kept[2] = {NULL, NULL};
    struct payload payload;
    char filler[20000]; /* it makes the block a large one */
    const char *texts[] = {three[0], filler, three[1]};

    snprintf(filler, sizeof filler, "{\"type\":\"m.x\",\"content\":{\"a\":\"%019000d\"}}", 7);
    CHECK_OK(matrix_subscribe(client, "any", NULL, matrix_ignore, NULL, &subscription));
    struct matrix_delivery to[] = {{subscription.id, 0}, {subscription.id, 2}};
    make(&payload, to, 2, texts, 3);
    post_run(context, MATRIX_FRAME_HISTORIC, &payload, 2);
    for (int index = 0; index < 2; index++) {
        void *data = NULL;
        CHECK(matrix_next(context, 20000, &kept[index], &data) == 1);
        if (index) {
            (void)matrix_reply_value(kept[index]);
        }
        CHECK(matrix_reply_keep(kept[index]) == kept[index]);
        matrix_reply_free(kept[index]);
    }
    CHECK_OK(matrix_shutdown(context, -1));
    for (int index = 0; index < 2; index++) {
        const matrix_value *value = matrix_reply_value(kept[index]);
        const matrix_event *event = matrix_reply_as_event(kept[index], value);
        CHECK_TEXT(event->room_id, "!r:x");
        CHECK_TEXT(event->event_id, index ? "$2" : "$1");
        CHECK(event->is_historic && !event->is_filled && event->is_own == (index == 1));
        CHECK(strstr(matrix_reply_json(kept[index], NULL), "\"raw\":{\"type\":\"m.x\""));
        CHECK(matrix_reply_json(kept[index], NULL) == matrix_reply_json(kept[index], NULL));
        matrix_reply_free(kept[index]);
    }
}

/* A reply that was freed is used again by matrix_next(); one that is still held is not. */
static void held_replies_differ(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    matrix_subscription subscription;
    matrix_reply *replies[3];
    struct payload payload;

    CHECK_OK(matrix_subscribe(client, "any", NULL, matrix_ignore, NULL, &subscription));
    struct matrix_delivery to[] = {
        {subscription.id, 0}, {subscription.id, 1}, {subscription.id, 2}};
    make(&payload, to, 3, three, 3);
    post_run(context, 0, &payload, 3);
    for (int index = 0; index < 3; index++) {
        CHECK(matrix_next(context, 20000, &replies[index], NULL) == 1);
        if (index == 1) {
            matrix_reply_free(replies[0]);
        }
    }
    CHECK(replies[0] != replies[1] && replies[1] != replies[2]);
    for (int index = 1; index < 3; index++) {
        const matrix_value *value = matrix_reply_value(replies[index]);
        CHECK_TEXT(matrix_value_get_string(value, "event_id", ""), index == 1 ? "$2" : "$3");
        matrix_reply_free(replies[index]);
    }
    CHECK_OK(matrix_shutdown(context, -1));
}

/* Whatever is wrong with a run, nothing is read beyond it, and what follows still comes. */
static void broken_runs_are_passed(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    struct listener a;
    struct payload sound, broken;
    char all[MOST] = "";
    struct tally tally = {0};

    listen(client, &a, 'a', all);
    struct matrix_delivery to[] = {{a.subscription.id, 0}, {a.subscription.id, 2}};
    make(&sound, to, 2, three, 3);
    for (size_t size = 0; size < sound.size; size++) {
        broken = sound;
        broken.size = size;
        post_run(context, 0, &broken, 2);
    }
    for (size_t at = 0; at < sizeof(struct matrix_run); at++) {
        broken = sound;
        broken.data[at] ^= (char)0x55;
        post_run(context, 0, &broken, 2);
    }
    to[1].event = 3;
    make(&broken, to, 2, three, 3);
    post_run(context, 0, &broken, 2);
    to[0].event = 2;
    to[1].event = 1;
    make(&broken, to, 2, three, 3);
    post_run(context, 0, &broken, 2);
    fake_post(MATRIX_FRAME_MARK, 0, context.id, client.id, 7, "");
    ping(client, NULL, count_reply, &tally);
    pump(context, &tally.ok, 1);
    CHECK_TEXT(all, "a$1 a$3 ");
    CHECK(fake_core->is_full(context.id) == 0);
    CHECK_OK(matrix_shutdown(context, -1));
}

static void tame_texts_are_told(void) {
    static const char *const tame[] = {"{}",
                                       "[1,-999999999999999999,0.25,1234567890.123456789012345678]",
                                       "{\"a\":\"\\\"e\\u00e9 1e999 \\\\\",\"b\":[true,null]}",
                                       "\"gr\xc3\xbc\xc3\x9f"
                                       "e 12345678901234567890\""};
    static const char *const wild[] = {"[1234567890123456789]", "1e5",         "[-2.5E3]",
                                       "\"\\ud83d\\ude00\"",    "\"\\uDfff\"", "\"\xff\"",
                                       "\"\xed\xa0\x80\"",      "[\xc3]",      "\"\\"};
    char deep[200] = "";

    for (size_t index = 0; index < sizeof tame / sizeof *tame; index++) {
        CHECK(core_is_tame(tame[index], strlen(tame[index])));
    }
    for (size_t index = 0; index < sizeof wild / sizeof *wild; index++) {
        char *exact = strdup(wild[index]); /* for sanitizers to see its end */
        CHECK(!core_is_tame(exact, strlen(exact)));
        free(exact);
    }
    for (int level = 1; level <= 65; level++) {
        strcat(deep, level % 2 ? "[" : "{");
        CHECK(core_is_tame(deep, strlen(deep)) == (level <= 64));
    }
}

/* ---- for comparison with what Python makes ------------------------------------------------- */

static void write_value(struct buffer *buffer, const matrix_value *value) {
    bool is_map = value->type == MATRIX_TYPE_MAP;

    switch (value->type) {
    case MATRIX_TYPE_BOOL:
        buffer_literal(buffer, value->as.boolean ? "true" : "false");
        return;
    case MATRIX_TYPE_INT:
        buffer_integer(buffer, value->as.integer);
        return;
    case MATRIX_TYPE_DOUBLE:
        buffer_double(buffer, value->as.number);
        return;
    case MATRIX_TYPE_STRING:
        CHECK(buffer_string(buffer, value->as.string.data, value->as.string.size));
        return;
    case MATRIX_TYPE_LIST:
    case MATRIX_TYPE_MAP:
        break;
    default:
        buffer_literal(buffer, "null");
        return;
    }
    buffer_literal(buffer, is_map ? "{" : "[");
    for (size_t index = 0; index < matrix_value_count(value); index++) {
        const matrix_entry *entry = is_map ? &value->as.map.entries[index] : NULL;
        buffer_literal(buffer, index ? "," : "");
        if (entry) {
            CHECK(buffer_string(buffer, entry->key, entry->key_size));
            buffer_literal(buffer, ":");
        }
        write_value(buffer, entry ? &entry->value : &value->as.list.items[index]);
    }
    buffer_literal(buffer, is_map ? "}" : "]");
}

static int printed;

static void print_event(const matrix_reply *reply, void *user_data) {
    struct buffer buffer;
    size_t size;
    const char *text = matrix_reply_json(reply, &size);

    (void)user_data;
    buffer_init(&buffer);
    write_value(&buffer, matrix_reply_value(reply));
    printf("%zu %zu\n", size, buffer.used);
    fwrite(text, 1, size, stdout);
    fwrite(buffer.data, 1, buffer.used, stdout);
    buffer_free(&buffer);
    printed++;
}

static void print_run(const char *path) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    matrix_subscription subscription;
    struct matrix_run head;
    FILE *file = fopen(path, "rb");
    char *data = malloc(1 << 24);
    size_t size = file ? fread(data, 1, 1 << 24, file) : 0;

    CHECK(size > sizeof head);
    fclose(file);
    memcpy(&head, data, sizeof head);
    CHECK_OK(matrix_subscribe(client, "any", NULL, print_event, NULL, &subscription));
    for (uint32_t index = 0; index < head.deliveries; index++) {
        memcpy(data + sizeof head + index * sizeof(struct matrix_delivery), &subscription.id, 8);
    }
    struct matrix_frame frame = {(uint32_t)size, MATRIX_FRAME_RUN, 0, context.id, 0,
                                 head.deliveries};
    char *block = calloc(1, sizeof frame + size + 1);
    memcpy(block, &frame, sizeof frame);
    memcpy(block + sizeof frame, data, size);
    settle(client);
    fake_core->post(block, sizeof frame + size + 1);
    pump(context, &printed, (int)head.deliveries);
    free(block);
    free(data);
    CHECK_OK(matrix_shutdown(context, -1));
}

int main(int argc, char **argv) {
    if (argc > 1) {
        print_run(argv[1]);
        return 0;
    }
    events_come_in_order();
    unsubscribing_inside();
    each_event_counts();
    a_kept_event_stays();
    held_replies_differ();
    broken_runs_are_passed();
    tame_texts_are_told();
    return 0;
}
