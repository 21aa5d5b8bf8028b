/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that takes time, the checks and the text of the message, is done before any lock is
 * taken; what is left under the lock is an entry in a table and a copy into the inbox.
 */
#include "submit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "inbox.h"
#include "map.h"
#include "runtime.h"
#include "tables.gen.h"

struct call_of {
    const struct operation *operation;
    const union core_argument *arguments;
    matrix_map *options;
};

/* ---- positional arguments ------------------------------------------------------------------- */

static bool write_text(const struct field *field, const char *text, struct buffer *buffer,
                       struct reason *reason) {
    if (!text) {
        return core_reason(reason, "%s: is NULL", field->name);
    }
    if (!buffer_string(buffer, text, strlen(text))) {
        return core_reason(reason, "%s: is not valid UTF-8", field->name);
    }
    return true;
}

static bool write_json(const struct field *field, const char *json, struct buffer *buffer,
                       struct reason *reason) {
    if (!json) {
        return core_reason(reason, "%s: is NULL", field->name);
    }
    if (!core_check_text(field, json, strlen(json), reason)) {
        return false;
    }
    buffer_literal(buffer, json);
    return true;
}

static bool write_map(const struct field *field, const matrix_map *map, struct buffer *buffer,
                      struct reason *reason) {
    if (!map) {
        return core_reason(reason, "%s: is NULL", field->name);
    }
    if (field->record && !core_check_map(map, &field->record->fields, NULL, reason)) {
        return false;
    }
    core_map_write_all(map, buffer);
    return true;
}

static bool write_number(const struct field *field, double number, struct buffer *buffer,
                         struct reason *reason) {
    if (!isfinite(number)) {
        return core_reason(reason, "%s: is not a finite number", field->name);
    }
    buffer_double(buffer, number);
    return true;
}

static bool write_enum(const struct field *field, int64_t number, struct buffer *buffer,
                       struct reason *reason) {
    if (number < 1 || (uint64_t)number > field->enumeration->count) {
        return core_reason(reason, "%s: is not one of its values", field->name);
    }
    return write_text(field, field->enumeration->values[number - 1], buffer, reason);
}

static bool write_bytes(const struct field *field, const union core_argument *argument,
                        struct buffer *buffer, struct reason *reason) {
    if (!argument->bytes.data && argument->bytes.size) {
        return core_reason(reason, "%s: is NULL", field->name);
    }
    buffer_base64(buffer, argument->bytes.data, argument->bytes.size);
    return true;
}

static bool write_argument(const struct field *field, const union core_argument *argument,
                           struct buffer *buffer, struct reason *reason) {
    switch (field->type) {
    case FIELD_BOOL:
        buffer_literal(buffer, argument->boolean ? "true" : "false");
        return true;
    case FIELD_INT:
        buffer_integer(buffer, argument->integer);
        return core_check_range(field->name, field, argument->integer, reason);
    case FIELD_DOUBLE:
        return write_number(field, argument->number, buffer, reason);
    case FIELD_STRING:
        return write_text(field, argument->string, buffer, reason);
    case FIELD_BYTES:
        return write_bytes(field, argument, buffer, reason);
    case FIELD_ENUM:
        return write_enum(field, argument->integer, buffer, reason);
    case FIELD_RECORD:
        return write_map(field, argument->map, buffer, reason);
    default:
        return write_json(field, argument->string, buffer, reason);
    }
}

/* The body of the message; false with a reason when something is wrong with the arguments. */
static bool write_body(const struct call_of *call, struct buffer *buffer, struct reason *reason) {
    const struct fields *positional = &call->operation->arguments;
    const struct fields *in_map = call->arguments ? NULL : positional;
    size_t count = call->arguments ? positional->count : 0;
    size_t index;

    if (!core_check_map(call->options, in_map, &call->operation->options, reason)) {
        return false;
    }
    buffer_literal(buffer, "{");
    for (index = 0; index < count; index++) {
        const struct field *field = &positional->items[index];
        buffer_literal(buffer, index ? ",\"" : "\"");
        buffer_literal(buffer, field->name);
        buffer_literal(buffer, "\":");
        if (!write_argument(field, &call->arguments[index], buffer, reason)) {
            return false;
        }
    }
    core_map_write(call->options, in_map, &call->operation->options, buffer, count == 0);
    buffer_literal(buffer, "}");
    return true;
}

/* ---- acceptance ----------------------------------------------------------------------------- */

static void join_client(struct client *client, struct request *request) {
    request->client = client;
    request->next = client->requests;
    request->link = &client->requests;
    if (request->next) {
        request->next->link = &request->next;
    }
    client->requests = request;
}

/* The request is in the table; now the runtime is told, or has failed. Call with the lock held. */
static matrix_status hand_over(struct context *context, struct request *request,
                               struct buffer *buffer, bool *wake) {
    matrix_status status;

    if (context->failure) {
        core_end_request(context, request, context->failure);
        core_update_due(context);
        return MATRIX_OK;
    }
    status = core_inbox_add(context, buffer, INBOX_BOUNDED, wake);
    if (status) {
        handle_map_remove(&context->requests, request->id);
        return status;
    }
    return MATRIX_OK;
}

/* Call with the lock held. */
static matrix_status enter(struct context *context, uint64_t client_id, struct request *request,
                           struct buffer *buffer, bool *wake) {
    struct client *client = handle_map_find(&context->clients, client_id);
    matrix_status status;

    if (!client) {
        return MATRIX_E_INVALID_HANDLE;
    }
    if (context->state != CONTEXT_OPEN) {
        return MATRIX_E_SHUTDOWN;
    }
    if (context->requests.count >= context->limits.requests) {
        return MATRIX_E_QUEUE_FULL;
    }
    if (!handle_map_insert(&context->requests, request->id, request)) {
        return MATRIX_E_NO_MEMORY;
    }
    status = hand_over(context, request, buffer, wake);
    if (!status && !request->ended) {
        join_client(client, request);
    }
    return status;
}

static matrix_status accept(uint64_t client_id, uint64_t context_id, struct request *request,
                            struct buffer *buffer) {
    struct context *context = core_lock_context(context_id);
    matrix_status status = MATRIX_E_INVALID_HANDLE;
    bool ended = false;
    bool wake = false;

    if (context) {
        status = enter(context, client_id, request, buffer, &wake);
        ended = !status && context->failure;
        pthread_mutex_unlock(&context->lock);
    }
    if (wake) {
        core_inbox_wake();
    }
    if (ended) {
        core_wakeup(context);
    }
    return status;
}

/* ---- the way in ----------------------------------------------------------------------------- */

static struct request *make_request(struct context *context, matrix_callback callback,
                                    void *user_data) {
    uint64_t serial = core_serial(context);
    struct request *request = serial ? calloc(1, sizeof *request) : NULL;

    if (request) {
        request->id =
            handle_make(callback ? TAG_REQUEST : TAG_WAITED_REQUEST, context->slot, serial);
        request->callback = callback;
        request->user_data = user_data;
    }
    return request;
}

static void weigh(const char *name, size_t size, const char **heaviest, size_t *most) {
    if (size > *most) {
        *heaviest = name;
        *most = size;
    }
}

/* The argument that makes a message too large. */
static const char *heaviest_argument(const struct call_of *call) {
    const struct fields *positional = &call->operation->arguments;
    const char *heaviest = "options";
    size_t most = 0;
    size_t index;

    for (index = 0; call->arguments && index < positional->count; index++) {
        const struct field *field = &positional->items[index];
        const union core_argument *argument = &call->arguments[index];
        if (field->type == FIELD_BYTES) {
            weigh(field->name, argument->bytes.size, &heaviest, &most);
        } else if (field->type == FIELD_STRING || field->type == FIELD_JSON ||
                   field->type == FIELD_LIST) {
            weigh(field->name, strlen(argument->string), &heaviest, &most);
        }
    }
    for (index = 0; call->options && index < call->options->count; index++) {
        const struct map_entry *entry = &call->options->entries[index];
        weigh(entry->key, entry->json_size, &heaviest, &most);
    }
    return heaviest;
}

static matrix_status refuse(matrix_client client, const struct call_of *call,
                            matrix_status status) {
    struct reason reason;

    if (status != MATRIX_E_TOO_LARGE) {
        return core_refuse_status(call->operation->name, client.id, call->options, status,
                                  "client");
    }
    core_reason(&reason, "%.200s: is larger than max_request_bytes", heaviest_argument(call));
    return core_refuse(call->operation->name, client.id, call->options, status, reason.text);
}

static matrix_status submit(matrix_client client, const struct call_of *call,
                            struct request *request, struct buffer *buffer) {
    struct context *context = core_slot(handle_slot(client.id));
    uint64_t context_id = atomic_load_explicit(&context->id, memory_order_relaxed);
    const char *name = call->operation->name;
    struct reason reason;
    matrix_status status;

    core_message_begin(buffer, "request", context_id, client.id, request->id, name);
    if (!write_body(call, buffer, &reason)) {
        return core_refuse_client(name, client, call->options, reason.text);
    }
    core_message_end(buffer);
    status =
        buffer->no_memory ? MATRIX_E_NO_MEMORY : accept(client.id, context_id, request, buffer);
    if (status) {
        return refuse(client, call, status);
    }
    core_accept(call->options);
    return MATRIX_OK;
}

matrix_status core_submit(matrix_client client, const struct operation *operation,
                          const union core_argument *arguments, matrix_map *options,
                          matrix_callback callback, void *user_data, matrix_request *request) {
    const struct call_of call = {operation, arguments, options};
    struct context *context;
    struct request *own;
    struct buffer buffer;
    matrix_status status;

    if (request) {
        request->id = 0;
    }
    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    context = handle_tag(client.id) == TAG_CLIENT ? core_slot(handle_slot(client.id)) : NULL;
    if (context && !callback && !request) {
        return core_refuse_client(operation->name, client, options,
                                  "callback: is NULL, and so is request: nobody could take the "
                                  "reply (matrix_ignore() drops one)");
    }
    own = context ? make_request(context, callback, user_data) : NULL;
    if (!own) {
        status = context ? MATRIX_E_NO_MEMORY : MATRIX_E_INVALID_HANDLE;
        return core_refuse_status(operation->name, client.id, options, status, "client");
    }
    if (request) {
        request->id = own->id; /* now: its callback may run on another thread before this returns */
    }
    status = submit(client, &call, own, &buffer);
    buffer_free(&buffer);
    if (status) {
        free(own);
    }
    if (status && request) {
        request->id = 0;
    }
    return status;
}

matrix_status matrix_submit(matrix_client client, const char *operation, matrix_map *arguments,
                            matrix_callback callback, void *user_data, matrix_request *request) {
    const struct operation *found = operation ? matrix_find_operation(operation) : NULL;
    struct reason reason;

    if (found) {
        return core_submit(client, found, NULL, arguments, callback, user_data, request);
    }
    if (request) {
        request->id = 0;
    }
    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    core_reason(&reason,
                operation ? "operation: %.64s is not a known operation" : "operation: is NULL",
                operation);
    return core_refuse_client("submit", client, arguments, reason.text);
}
