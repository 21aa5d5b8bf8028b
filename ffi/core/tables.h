/* SPDX-License-Identifier: Apache-2.0 */
/** The shape of the tables that are generated from ffi/api into tables.gen.c. All lists are sorted
 * as in the TOML files. */
#ifndef MATRIX_CORE_TABLES_H
#define MATRIX_CORE_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_type {
    FIELD_BOOL,
    FIELD_INT,
    FIELD_DOUBLE,
    FIELD_STRING,
    FIELD_BYTES,  /* base64 text */
    FIELD_JSON,   /* any value */
    FIELD_ENUM,   /* a string of `enumeration` */
    FIELD_RECORD, /* a map of `record` */
    FIELD_LIST    /* a list of `item` */
};

struct enumeration {
    const char *name;
    const char *const *values; /* in order; the C enum counts from 1 */
    size_t count;
};

struct record;

struct field {
    const char *name;
    enum field_type type;
    enum field_type item;                  /* for FIELD_LIST */
    const struct enumeration *enumeration; /* for FIELD_ENUM, alone or as item */
    const struct record *record;           /* for FIELD_RECORD, alone or as item */
    int64_t least;                         /* for FIELD_INT, alone or as item */
    int64_t most;
    bool required;
    bool secret;
    size_t offset;     /* records: of the member in the struct */
    size_t has_offset; /* records: of the bool has_…, or SIZE_MAX */
};

struct fields {
    const struct field *items;
    size_t count;
};

struct record {
    const char *name;
    struct fields fields;
    size_t size; /* of the struct */
};

struct operation {
    const char *name;
    struct fields arguments; /* positional, all required */
    struct fields options;
    bool has_progress;
};

struct event_kind {
    const char *name;
    struct fields filter;
    const struct record *payload;
};

struct error_code {
    const char *name;
    int status;
};

extern const struct operation matrix_operations[];
extern const size_t matrix_operation_count;
extern const struct event_kind matrix_event_kinds[];
extern const size_t matrix_event_kind_count;
extern const struct error_code matrix_error_codes[];
extern const size_t matrix_error_code_count;
extern const struct fields matrix_context_options;
extern const struct fields matrix_client_options;
extern const struct enumeration matrix_enum_log_level;
extern const struct record matrix_record_error; /* one matrix_record_<name> for each record */

/** What the list calls `name`, or NULL. */
const struct operation *matrix_find_operation(const char *name);
const struct event_kind *matrix_find_event_kind(const char *name);

#endif
