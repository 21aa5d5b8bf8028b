/* SPDX-License-Identifier: Apache-2.0 */
/* events/record.py makes the same record for events that are part of an answer; a test holds the
 * two together. */
#include "event.h"

#include <string.h>

#define KEY(text) text, sizeof(text) - 1
#define MOST_FIELDS 28

/* The record under construction, and the places that its fields come from. */
struct maker {
    const struct event_source *source;
    const char *room_id; /* a copy: the source may go before the record does */
    matrix_entry *entries;
    size_t count;
    const matrix_value *raw;
    const matrix_value *type;
    const matrix_value *state_key; /* NULL: no state event */
    const matrix_value *content;
    const matrix_value *relation; /* NULL: none, or a field of it is of another type */
};

/* ---- reading -------------------------------------------------------------------------------- */

static const matrix_value *find(const matrix_value *map, const char *key, size_t size) {
    const matrix_entry *entry = core_last_member(map, key, size);
    return entry ? &entry->value : NULL;
}

static const matrix_value *text_or_null(const matrix_value *value) {
    return value && value->type == MATRIX_TYPE_STRING ? value : NULL;
}

static const matrix_value *find_text(const matrix_value *map, const char *key, size_t size) {
    return text_or_null(find(map, key, size));
}

static bool is_text(const matrix_value *value, const char *text, size_t size) {
    return value && value->type == MATRIX_TYPE_STRING && value->as.string.size == size &&
           memcmp(value->as.string.data, text, size) == 0;
}

static bool is_absent(const matrix_value *value) {
    return !value || value->type == MATRIX_TYPE_NULL;
}

/* Whether a field is of its type, or not there. */
static bool may_be(const matrix_value *map, const char *key, size_t size, matrix_type type) {
    const matrix_value *value = find(map, key, size);
    return is_absent(value) || value->type == type;
}

/* A relation of which any field has another type than its own is none. */
static const matrix_value *find_relation(const matrix_value *content) {
    const matrix_value *relation = find(content, KEY("m.relates_to"));

    if (!relation || relation->type != MATRIX_TYPE_MAP ||
        !may_be(relation, KEY("rel_type"), MATRIX_TYPE_STRING) ||
        !may_be(relation, KEY("event_id"), MATRIX_TYPE_STRING) ||
        !may_be(relation, KEY("key"), MATRIX_TYPE_STRING) ||
        !may_be(relation, KEY("is_falling_back"), MATRIX_TYPE_BOOL) ||
        !may_be(relation, KEY("m.in_reply_to"), MATRIX_TYPE_MAP) ||
        !may_be(find(relation, KEY("m.in_reply_to")), KEY("event_id"), MATRIX_TYPE_STRING)) {
        return NULL;
    }
    return relation;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void add(struct maker *maker, const char *key, size_t size, const matrix_value *value) {
    if (value) {
        maker->entries[maker->count++] = (matrix_entry){key, size, *value};
    }
}

static void add_text(struct maker *maker, const char *key, size_t size, const char *text,
                     size_t text_size) {
    matrix_value value = {.type = MATRIX_TYPE_STRING};

    value.as.string.data = text;
    value.as.string.size = text_size;
    add(maker, key, size, &value);
}

static void add_bool(struct maker *maker, const char *key, size_t size, bool given) {
    matrix_value value = {.type = MATRIX_TYPE_BOOL};

    value.as.boolean = given;
    add(maker, key, size, &value);
}

/* ---- the fields, in the order of the list --------------------------------------------------- */

static void add_head(struct maker *maker) {
    const struct event_source *source = maker->source;
    const matrix_value *sender = find(maker->raw, KEY("sender"));
    const matrix_value *time = find(maker->raw, KEY("origin_server_ts"));
    const matrix_value *event_id = find(maker->raw, KEY("event_id"));
    static const matrix_value zero = {.type = MATRIX_TYPE_INT};
    static const matrix_value empty = {.type = MATRIX_TYPE_STRING, .as.string = {"", 0}};

    add_text(maker, KEY("kind"), source->kind, strlen(source->kind));
    add_text(maker, KEY("room_id"), maker->room_id, source->room_id_size);
    add(maker, KEY("event_id"), event_id ? event_id : &empty);
    add(maker, KEY("type"), maker->type);
    add(maker, KEY("sender"), sender ? sender : &empty);
    add(maker, KEY("origin_server_ts"), time ? time : &zero);
    if (is_text(maker->type, KEY("m.room.message"))) {
        add(maker, KEY("body"), find_text(maker->content, KEY("body")));
        add(maker, KEY("msgtype"), find_text(maker->content, KEY("msgtype")));
    }
    add_bool(maker, KEY("is_own"), is_text(sender, source->user_id, source->user_id_size));
    add_bool(maker, KEY("is_historic"), source->is_historic);
    add(maker, KEY("content"), maker->content);
    add(maker, KEY("raw"), maker->raw);
}

static void add_state(struct maker *maker) {
    add(maker, KEY("state_key"), maker->state_key);
    if (is_text(maker->type, KEY("m.room.member"))) {
        add(maker, KEY("membership"), find_text(maker->content, KEY("membership")));
    } else if (is_text(maker->type, KEY("m.room.redaction"))) {
        /* Room versions before 11 say it outside. */
        const matrix_value *target = find_text(maker->content, KEY("redacts"));
        bool is_told = target && target->as.string.size;
        add(maker, KEY("redacts"), is_told ? target : find_text(maker->raw, KEY("redacts")));
    }
}

static void add_reply(struct maker *maker, bool is_thread) {
    const matrix_value *reply = find(maker->relation, KEY("m.in_reply_to"));
    const matrix_value *fallback = find(maker->relation, KEY("is_falling_back"));
    bool is_falling_back = fallback && fallback->type == MATRIX_TYPE_BOOL && fallback->as.boolean;

    /* In a thread it may be there only for clients that know no threads. */
    if (!(is_thread && is_falling_back)) {
        add(maker, KEY("reply_to"), find_text(reply, KEY("event_id")));
    }
}

static void add_relation(struct maker *maker) {
    const matrix_value *kind = find_text(maker->relation, KEY("rel_type"));
    const matrix_value *target = find_text(maker->relation, KEY("event_id"));
    bool is_thread = is_text(kind, KEY("m.thread"));

    if (kind && kind->as.string.size && target && target->as.string.size) {
        add(maker, KEY("rel_type"), kind);
        add(maker, KEY("relates_to"), target);
    }
    if (is_thread) {
        add(maker, KEY("thread_id"), target);
    }
    add_reply(maker, is_thread);
    if (is_text(kind, KEY("m.replace")) && !maker->state_key) {
        const matrix_value *content = find(maker->content, KEY("m.new_content"));
        add(maker, KEY("replaces"), target);
        add(maker, KEY("new_body"), find_text(content, KEY("body")));
    } else if (is_text(kind, KEY("m.annotation")) && is_text(maker->type, KEY("m.reaction"))) {
        add(maker, KEY("reaction_key"), find_text(maker->relation, KEY("key")));
    }
}

static void add_unsigned(struct maker *maker) {
    const matrix_value *about = find(maker->raw, KEY("unsigned"));

    add(maker, KEY("txn_id"), find_text(about, KEY("transaction_id")));
    add(maker, KEY("prev_content"), find(about, KEY("prev_content")));
    add_bool(maker, KEY("is_redacted"), !is_absent(find(about, KEY("redacted_because"))));
    add_bool(maker, KEY("is_filled"), maker->source->is_filled);
}

bool core_event_value(struct arena *arena, const struct event_source *source,
                      matrix_value *record) {
    matrix_value *raw = arena_take(arena, sizeof *raw);
    struct map_header *header =
        arena_take(arena, sizeof *header + MOST_FIELDS * sizeof(matrix_entry));
    char *room_id = arena_take(arena, source->room_id_size + 1);
    struct maker maker = {.source = source, .room_id = room_id, .raw = raw};

    if (!raw || !header || !room_id || !core_parse(arena, source->text, source->size, raw)) {
        return false;
    }
    memcpy(room_id, source->room_id, source->room_id_size + 1);
    header->records = NULL;
    maker.entries = (matrix_entry *)(void *)(header + 1);
    maker.type = find_text(raw, KEY("type"));
    maker.content = find(raw, KEY("content"));
    if (!maker.type || !maker.content || maker.content->type != MATRIX_TYPE_MAP) {
        return false;
    }
    maker.state_key = find_text(raw, KEY("state_key"));
    maker.relation = find_relation(maker.content);
    add_head(&maker);
    add_state(&maker);
    if (maker.relation) {
        add_relation(&maker);
    }
    add_unsigned(&maker);
    *record = (matrix_value){.type = MATRIX_TYPE_MAP};
    record->as.map.entries = maker.entries;
    record->as.map.count = maker.count;
    return true;
}
