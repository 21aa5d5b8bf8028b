/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "inbox.h"
#include "map.h"
#include "runtime.h"
#include "tables.gen.h"

/* Adds a checked client and tells the runtime. Call with the lock held. */
static matrix_status add(struct context *context, struct client *client, struct buffer *buffer,
                         bool *wake) {
    matrix_status status;

    if (context->state != CONTEXT_OPEN) {
        return MATRIX_E_SHUTDOWN;
    }
    if (!handle_map_insert(&context->clients, client->id, client)) {
        return MATRIX_E_NO_MEMORY;
    }
    status = core_inbox_add(context, buffer, INBOX_BOUNDED, wake);
    if (status) {
        handle_map_remove(&context->clients, client->id);
    }
    return status;
}

static matrix_status make(struct context *context, uint64_t context_id, const matrix_map *options,
                          matrix_client *made) {
    uint64_t serial = core_serial(context);
    struct client *client = serial ? calloc(1, sizeof *client) : NULL;
    struct buffer buffer;
    matrix_status status;
    bool wake = false;

    if (!client) {
        return MATRIX_E_NO_MEMORY;
    }
    client->id = handle_make(TAG_CLIENT, context->slot, serial);
    core_message_begin(&buffer, "create_client", context_id, client->id, 0, "");
    buffer_literal(&buffer, "{");
    core_map_write(options, NULL, &matrix_client_options, &buffer, true);
    buffer_literal(&buffer, "}");
    core_message_end(&buffer);
    status = MATRIX_E_INVALID_HANDLE;
    if (buffer.no_memory) {
        status = MATRIX_E_NO_MEMORY;
    } else if (core_lock_context(context_id)) {
        status = add(context, client, &buffer, &wake);
        pthread_mutex_unlock(&context->lock);
    }
    buffer_free(&buffer);
    if (status) {
        free(client);
        return status;
    }
    made->id = handle_make(TAG_CLIENT, context->slot, serial);
    if (wake) {
        core_inbox_wake();
    }
    return MATRIX_OK;
}

static bool has_text(const matrix_map *options, const char *name) {
    const struct map_entry *entry = core_map_find(options, name);

    return entry && entry->type == MATRIX_TYPE_STRING;
}

static bool is_blank(const matrix_map *options, const char *name) {
    const struct map_entry *entry = core_map_find(options, name);

    return entry && entry->type == MATRIX_TYPE_STRING && entry->json_size == strlen("\"\"");
}

/* A session says where its homeserver is, and a store may hold one. An empty store_path, as of an
 * unset variable, would be the working directory. */
static bool check_options(const matrix_map *options, struct reason *reason) {
    if (is_blank(options, "store_path")) {
        return core_reason(reason, "store_path: is empty; without one the store is in memory");
    }
    return core_check_map(options, NULL, &matrix_client_options, reason) &&
           (has_text(options, "homeserver") || has_text(options, "session") ||
            has_text(options, "store_path") || core_reason(reason, "homeserver: is missing"));
}

matrix_status matrix_create_client(matrix_context context, matrix_map *options,
                                   matrix_client *client) {
    struct reason reason = {"client: is NULL"};
    matrix_status status;
    struct context *own;

    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    if (client) {
        client->id = 0;
    }
    own = core_lock_context(context.id);
    if (!own) {
        return core_refuse_status("create_client", 0, options, MATRIX_E_INVALID_HANDLE, "context");
    }
    pthread_mutex_unlock(&own->lock);
    if (!client || !check_options(options, &reason)) {
        return core_refuse("create_client", context.id, options, MATRIX_E_INVALID_ARGUMENT,
                           reason.text);
    }
    status = make(own, context.id, options, client);
    if (status) {
        return core_refuse_status("create_client", context.id, options, status, "context");
    }
    core_accept(options);
    return MATRIX_OK;
}

/* ---- closing -------------------------------------------------------------------------------- */

static void end_subscriptions(struct context *context, uint64_t client) {
    struct handle_map *map = &context->subscriptions;
    size_t index = 0;

    while (index < map->capacity) {
        struct subscription *subscription = map->entries[index].value;
        if (subscription && subscription->client == client) {
            free(handle_map_remove(map, subscription->id)); /* another may have moved here */
        } else {
            index++;
        }
    }
}

matrix_status matrix_close_client(matrix_client client) {
    struct context *context;
    struct client *own = NULL;
    bool wake = false;

    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    context = core_lock_slot(client.id);
    if (context) {
        own = handle_map_remove(&context->clients, client.id);
    }
    if (!own) {
        if (context) {
            pthread_mutex_unlock(&context->lock);
        }
        return core_refuse_status("close_client", client.id, NULL, MATRIX_E_INVALID_HANDLE,
                                  "client");
    }
    /* The core ends them itself: at once, however busy the runtime is. What it still says of them
     * is dropped. */
    while (own->requests) {
        core_end_request(context, own->requests, core_status_text(MATRIX_E_CANCELLED));
    }
    end_subscriptions(context, client.id);
    core_inbox_note(context, "close_client", client.id, 0, "", &wake);
    core_update_due(context);
    pthread_mutex_unlock(&context->lock);
    free(own);
    if (wake) {
        core_inbox_wake();
    }
    core_wakeup(context);
    return MATRIX_OK;
}
