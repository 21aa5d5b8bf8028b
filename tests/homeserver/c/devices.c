/* SPDX-License-Identifier: Apache-2.0 */
/**
 * devices: lists the user's devices, renames one, deletes it with an answer of the host's, then all
 * others, then its own.
 */
#include "people.h"

static int questions;

static void on_question(const matrix_reply *reply, void *user_data) {
    (void)user_data;
    give_password(reply);
    questions++;
}

static matrix_client log_in(char *device_id, size_t size) {
    matrix_client client = open_client_at(context, env("MATRIX_HOMESERVER"));

    string_of(log_in_as(client, ""), "device_id", device_id, size);
    return client;
}

/** How many devices there are; `name` is that of the device with this id, or empty. */
static size_t list(matrix_client client, const char *device_id, char *name, size_t size) {
    matrix_request request = {0};
    const matrix_value *devices;
    matrix_reply *reply;
    size_t count;

    CHECK_OK(matrix_own_devices(client, NULL, NULL, NULL, &request));
    reply = take_ok(request);
    devices = matrix_value_get(matrix_reply_value(reply), "devices");
    count = matrix_value_count(devices);
    name[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const matrix_device *device = matrix_reply_as_device(reply, matrix_value_at(devices, i));
        if (!strcmp(device->device_id, device_id))
            snprintf(name, size, "%s%s", device->display_name ? device->display_name : "?",
                     device->is_own ? " (own)" : "");
    }
    matrix_reply_free(reply);
    return count;
}

static void rename_it(matrix_client client, const char *device_id) {
    matrix_request request = {0};
    matrix_map *options = matrix_map_new();
    matrix_reply *reply;

    CHECK_OK(matrix_rename_device(client, device_id, "kitchen", NULL, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_map_set_string(options, "device_id", device_id));
    CHECK_OK(matrix_own_device(client, options, NULL, NULL, &request));
    reply = take_ok(request);
    CHECK(!strcmp(matrix_value_get_string(matrix_value_get(matrix_reply_value(reply), "device"),
                                          "display_name", ""),
                  "kitchen"));
    matrix_reply_free(reply);
    matrix_map_free(options);
}

/** The keys of a device as the other one sees them. */
static void compare_keys(matrix_client first, matrix_client other, const char *device_id) {
    matrix_request request = {0};
    matrix_map *options = matrix_map_new();
    matrix_reply *status, *reply;
    const matrix_value *devices;
    bool found = false;

    CHECK_OK(matrix_encryption_status(other, NULL, NULL, NULL, &request));
    status = take_ok(request);
    CHECK_OK(matrix_map_set_bool(options, "reload", true));
    CHECK_OK(matrix_user_devices(first,
                                 matrix_value_get_string(matrix_reply_value(status), "user_id", ""),
                                 options, NULL, NULL, &request));
    reply = take_ok(request);
    devices = matrix_value_get(matrix_reply_value(reply), "devices");
    for (size_t i = 0; i < matrix_value_count(devices); i++) {
        const matrix_user_device *device =
            matrix_reply_as_user_device(reply, matrix_value_at(devices, i));

        if (strcmp(device->device_id, device_id) != 0)
            continue;
        found = true;
        CHECK(!strcmp(device->ed25519,
                      matrix_value_get_string(matrix_reply_value(status), "ed25519", "")));
        CHECK(!device->is_own && !device->is_cross_signed);
    }
    CHECK(found);
    matrix_map_free(options);
    matrix_reply_free(status);
    matrix_reply_free(reply);
}

/** Deletes another device, then all others. */
static void delete_with_password(matrix_client first) {
    matrix_map *options = with("{\"password\": \"%s\"}", env("MATRIX_PASSWORD"));
    matrix_reply *reply;
    char other_id[256], ids[300];

    log_in(other_id, sizeof other_id);
    snprintf(ids, sizeof ids, "[\"%s\"]", other_id);
    done(ASK(matrix_delete_devices(first, ids, options, NULL, NULL, &request)));
    reply = take_ok(ASK(matrix_delete_other_devices(first, options, NULL, NULL, &request)));
    CHECK(matrix_value_get(matrix_reply_value(reply), "device_ids")->type == MATRIX_TYPE_LIST);
    matrix_reply_free(reply);
}

int main(void) {
    char first_id[256], other_id[256], name[256];
    matrix_client first, other;
    matrix_request request = {0};

    context = open_context();
    CHECK_OK(matrix_set_call_callback(context, on_question, NULL));
    first = log_in(first_id, sizeof first_id);
    other = log_in(other_id, sizeof other_id);
    CHECK(list(first, first_id, name, sizeof name) >= 2 && strstr(name, "(own)"));
    rename_it(first, other_id);
    CHECK(list(first, other_id, name, sizeof name) >= 2 && !strcmp(name, "kitchen"));

    compare_keys(first, other, other_id);

    CHECK_OK(matrix_delete_device(first, other_id, NULL, NULL, NULL, &request));
    done(request);
    CHECK(questions == 1);
    list(first, other_id, name, sizeof name);
    CHECK(!name[0]);
    CHECK_OK(matrix_whoami(other, NULL, NULL, NULL, &request));
    fails(request, "M_UNKNOWN_TOKEN");

    delete_with_password(first);
    CHECK(list(first, first_id, name, sizeof name) == 1 && questions == 1);
    CHECK_OK(matrix_shutdown(context, 5000));
    puts("done");
    return 0;
}
