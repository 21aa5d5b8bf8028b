/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "inbox.h"
#include "map.h"
#include "runtime.h"
#include "tables.gen.h"

/* Call with the lock held. */
static matrix_status add(struct context *context, struct subscription *subscription,
                         struct buffer *buffer, bool *wake) {
    matrix_status status;

    if (!handle_map_find(&context->clients, subscription->client)) {
        return MATRIX_E_INVALID_HANDLE;
    }
    if (context->state != CONTEXT_OPEN) {
        return MATRIX_E_SHUTDOWN;
    }
    if (!handle_map_insert(&context->subscriptions, subscription->id, subscription)) {
        return MATRIX_E_NO_MEMORY;
    }
    status = core_inbox_add(context, buffer, INBOX_BOUNDED, wake);
    if (status) {
        handle_map_remove(&context->subscriptions, subscription->id);
    }
    return status;
}

static matrix_status make(struct subscription *subscription, const struct event_kind *kind,
                          const matrix_map *filter, matrix_subscription *handle) {
    struct context *context = core_slot(handle_slot(subscription->client));
    uint64_t serial = context ? core_serial(context) : 0;
    uint64_t context_id = context ? atomic_load(&context->id) : 0;
    struct buffer buffer;
    matrix_status status = MATRIX_E_INVALID_HANDLE;
    bool wake = false;

    if (!serial) {
        return context ? MATRIX_E_NO_MEMORY : MATRIX_E_INVALID_HANDLE;
    }
    subscription->id = handle_make(TAG_SUBSCRIPTION, context->slot, serial);
    if (handle) {
        handle->id = subscription->id; /* now: its callback may run before this returns */
    }
    core_message_begin(&buffer, "subscribe", context_id, subscription->client, subscription->id,
                       kind->name);
    buffer_literal(&buffer, "{");
    core_map_write(filter, NULL, &kind->filter, &buffer, true);
    buffer_literal(&buffer, "}");
    core_message_end(&buffer);
    if (buffer.no_memory) {
        status = MATRIX_E_NO_MEMORY;
    } else if (core_lock_context(context_id)) {
        status = add(context, subscription, &buffer, &wake);
        pthread_mutex_unlock(&context->lock);
    }
    buffer_free(&buffer);
    if (wake) {
        core_inbox_wake();
    }
    return status;
}

static void unknown_kind(const char *kind, struct reason *reason) {
    core_reason(reason, "kind: %.64s is not a known kind of event", kind);
    for (size_t index = 0; index < matrix_event_kind_count; index++) {
        core_reason_known(reason, matrix_event_kinds[index].name);
    }
}

static const struct event_kind *check(const char *kind, const matrix_map *filter,
                                      matrix_callback callback, struct reason *reason) {
    const struct event_kind *found = kind ? matrix_find_event_kind(kind) : NULL;

    if (!kind) {
        core_reason(reason, "kind: is NULL");
    } else if (!found) {
        unknown_kind(kind, reason);
    } else if (!callback) {
        core_reason(reason, "callback: is NULL");
    } else if (core_check_map(filter, NULL, &found->filter, reason)) {
        return found;
    }
    return NULL;
}

matrix_status matrix_subscribe(matrix_client client, const char *kind, matrix_map *filter,
                               matrix_callback callback, void *user_data,
                               matrix_subscription *subscription) {
    const struct event_kind *found;
    struct subscription *own;
    struct reason reason;
    matrix_status status;

    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    if (subscription) {
        subscription->id = 0;
    }
    found = check(kind, filter, callback, &reason);
    if (!found) {
        return core_refuse_client("subscribe", client, filter, reason.text);
    }
    own = calloc(1, sizeof *own);
    if (!own) {
        return core_refuse_status("subscribe", client.id, filter, MATRIX_E_NO_MEMORY, "client");
    }
    own->client = client.id;
    own->kind = found->name;
    own->callback = callback;
    own->user_data = user_data;
    status = make(own, found, filter, subscription);
    if (status) {
        free(own);
        if (subscription) {
            subscription->id = 0;
        }
        return core_refuse_status("subscribe", client.id, filter, status, "client");
    }
    core_accept(filter);
    return MATRIX_OK;
}

matrix_status matrix_unsubscribe(matrix_subscription subscription) {
    struct context *context;
    struct subscription *own = NULL;
    bool wake = false;

    if (core_forked()) {
        return MATRIX_E_FORKED;
    }
    context = core_lock_slot(subscription.id);
    if (context) {
        own = handle_map_remove(&context->subscriptions, subscription.id);
        if (own) {
            core_inbox_note(context, "unsubscribe", own->client, own->id, "", &wake);
        }
        pthread_mutex_unlock(&context->lock);
    }
    if (!own) {
        return core_refuse_status("unsubscribe", subscription.id, NULL, MATRIX_E_INVALID_HANDLE,
                                  "subscription");
    }
    free(own);
    if (wake) {
        core_inbox_wake();
    }
    return MATRIX_OK;
}
