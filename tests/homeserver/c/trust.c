/* SPDX-License-Identifier: Apache-2.0 */
/**
 * trust: a device makes its user's identity, secret storage, a key backup and a key file; another
 * one becomes trusted by the recovery key and reads all of it. The other user is vouched for.
 * MATRIX_FOLDER is there to write to.
 */
#include "people.h"

struct device {
    matrix_client client;
    char user_id[256];
    char device_id[256];
};

static int questions;
static int changes;
static int reports;

static void on_question(const matrix_reply *reply, void *user_data) {
    (void)user_data;
    give_password(reply);
    questions++;
}

static void on_change(const matrix_reply *reply, void *user_data) {
    const matrix_identity_change *change =
        matrix_reply_as_identity_change(reply, matrix_reply_value(reply));

    (void)user_data;
    CHECK(strcmp(change->master_key, change->old_master_key) != 0);
    changes++;
}

static void on_backup(const matrix_reply *reply, void *user_data) {
    const matrix_backup_change *change =
        matrix_reply_as_backup_change(reply, matrix_reply_value(reply));

    (void)user_data;
    CHECK(change->version[0] && reports < 2);
    CHECK(change->state == (reports ? MATRIX_BACKUP_PHASE_DELETED : MATRIX_BACKUP_PHASE_ENABLED));
    reports++;
}

static struct device log_in(const char *suffix) {
    struct device device;
    matrix_reply *reply;

    device.client = open_client_at(context, env("MATRIX_HOMESERVER"));
    reply = take_ok(log_in_as(device.client, suffix));
    snprintf(device.user_id, sizeof device.user_id, "%s",
             matrix_value_get_string(matrix_reply_value(reply), "user_id", ""));
    snprintf(device.device_id, sizeof device.device_id, "%s",
             matrix_value_get_string(matrix_reply_value(reply), "device_id", ""));
    matrix_reply_free(reply);
    return device;
}

/** An option map with one string; the caller frees it. */
static matrix_map *option(const char *key, const char *value) {
    matrix_map *options = matrix_map_new();

    CHECK_OK(matrix_map_set_string(options, key, value));
    return options;
}

static void make_identity(matrix_client client, char *master_key, size_t size) {
    matrix_map *options = option("password", env("MATRIX_PASSWORD"));
    matrix_request request = {0};
    matrix_reply *reply;

    CHECK_OK(matrix_verify_own_device(client, NULL, NULL, NULL, &request));
    fails(request, "E_INVALID_ARGUMENT");
    CHECK_OK(matrix_bootstrap_cross_signing(client, options, NULL, NULL, &request));
    string_of(request, "master_key", master_key, size);
    matrix_map_free(options);
    CHECK_OK(matrix_cross_signing_status(client, NULL, NULL, NULL, &request));
    reply = take_ok(request);
    CHECK(matrix_value_get_bool(matrix_reply_value(reply), "is_device_signed", false));
    CHECK(!matrix_value_get_bool(matrix_reply_value(reply), "has_secret_storage", true));
    matrix_reply_free(reply);
}

/** Says something in an encrypted room, so that there is a room key. */
static void talk(matrix_client client, char *room_id, size_t size) {
    matrix_map *options =
        map_of("{\"initial_state\": [{\"type\": \"m.room.encryption\", \"state_key\": \"\","
               " \"content\": {\"algorithm\": \"m.megolm.v1.aes-sha2\"}}]}");
    matrix_request request = {0};

    CHECK_OK(matrix_create_room(client, options, NULL, NULL, &request));
    string_of(request, "room_id", room_id, size);
    CHECK_OK(matrix_sync_once(client, NULL, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_send_text(client, room_id, "kept", NULL, NULL, NULL, &request));
    done(request);
    matrix_map_free(options);
}

static void back_up(matrix_client client) {
    matrix_subscription subscription = {0};
    matrix_request request = {0};
    matrix_reply *reply;

    CHECK_OK(matrix_subscribe(client, "backup", NULL, on_backup, NULL, &subscription));
    CHECK_OK(matrix_enable_backup(client, NULL, NULL, NULL, &request));
    fails(request, "E_NO_BACKUP");
    CHECK_OK(matrix_create_backup(client, NULL, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_upload_backup(client, NULL, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_backup_state(client, NULL, NULL, NULL, &request));
    reply = take_ok(request);
    CHECK(matrix_value_get_int(matrix_reply_value(reply), "count", 0) == 1);
    matrix_reply_free(reply);
}

static void trust_another(const struct device *first, const char *recovery_key,
                          const char *room_id) {
    struct device second = log_in("");
    matrix_map *options = option("recovery_key", recovery_key);
    matrix_map *reload = map_of("{\"reload\": true}");
    matrix_request request = {0};
    matrix_reply *reply;

    CHECK_OK(matrix_verify_own_device(second.client, options, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_device_trust(first->client, second.user_id, second.device_id, reload, NULL,
                                 NULL, &request));
    reply = take_ok(request);
    CHECK(!strcmp(matrix_value_get_string(matrix_reply_value(reply), "trust", ""), "verified"));
    matrix_reply_free(reply);
    CHECK_OK(matrix_open_secret_storage(second.client, options, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_get_secret(second.client, "org.example.token", NULL, NULL, NULL, &request));
    reply = take_ok(request);
    CHECK(!strcmp(matrix_value_get_string(matrix_reply_value(reply), "secret", ""), "s3cret"));
    matrix_reply_free(reply);
    CHECK_OK(matrix_list_secrets(second.client, NULL, NULL, NULL, &request));
    reply = take_ok(request);
    CHECK(matrix_value_get_bool(matrix_reply_value(reply), "is_open", false));
    matrix_reply_free(reply);
    CHECK_OK(matrix_restore_room_key(second.client, room_id, "none", NULL, NULL, NULL, &request));
    fails(request, "M_NOT_FOUND");
    CHECK_OK(matrix_restore_backup(second.client, NULL, NULL, NULL, &request));
    reply = take_ok(request);
    CHECK(matrix_value_get_int(matrix_reply_value(reply), "imported_count", 0) == 1);
    matrix_reply_free(reply);
    CHECK_OK(matrix_disable_backup(second.client, NULL, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_close_client(second.client));
    matrix_map_free(options);
    matrix_map_free(reload);
}

static void move_keys(matrix_client client) {
    char path[1000];
    matrix_map *options;
    matrix_request request = {0};
    matrix_reply *reply;

    snprintf(path, sizeof path, "%s/c-keys.txt", env("MATRIX_FOLDER"));
    options = option("path", path);
    CHECK_OK(matrix_import_room_keys(client, "sesame", options, NULL, NULL, &request));
    fails(request, "E_KEY_FILE");
    CHECK_OK(matrix_export_room_keys(client, "sesame", options, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_import_room_keys(client, "sesame", options, NULL, NULL, &request));
    reply = take_ok(request);
    CHECK(matrix_value_get_int(matrix_reply_value(reply), "total_count", 0) == 1);
    matrix_reply_free(reply);
    matrix_map_free(options);
}

static void vouch(const struct device *alice) {
    struct device bob = log_in("2");
    char key[100];
    matrix_map *options = option("password", env("MATRIX_PASSWORD2"));
    matrix_map *compared;
    matrix_map *reload = map_of("{\"reload\": true}");
    matrix_subscription subscription = {0};
    matrix_request request = {0};

    CHECK_OK(matrix_subscribe(alice->client, "identity", NULL, on_change, NULL, &subscription));
    CHECK_OK(matrix_bootstrap_cross_signing(bob.client, options, NULL, NULL, &request));
    compared = option("master_key", string_of(request, "master_key", key, sizeof key));
    CHECK_OK(matrix_sign_user(alice->client, bob.user_id, compared, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_sign_device(alice->client, "NONE", NULL, NULL, NULL, &request));
    fails(request, "M_NOT_FOUND");
    CHECK_OK(matrix_reset_cross_signing(bob.client, options, NULL, NULL, &request));
    done(request);
    CHECK_OK(matrix_user_trust(alice->client, bob.user_id, reload, NULL, NULL, &request));
    CHECK(!strcmp(string_of(request, "trust", key, sizeof key), "violated"));
    CHECK_OK(matrix_accept_identity(alice->client, bob.user_id, NULL, NULL, NULL, &request));
    CHECK(!strcmp(string_of(request, "trust", key, sizeof key), "unverified"));
    CHECK(matrix_dispatch(context, 0, 0) >= 0 && changes == 1);
    matrix_map_free(options);
    matrix_map_free(compared);
    matrix_map_free(reload);
}

int main(void) {
    char master_key[100], recovery_key[100], room_id[256];
    struct device first;
    matrix_request request = {0};
    matrix_map *options = map_of("{\"timeout_ms\": 1}");

    context = open_context();
    CHECK_OK(matrix_set_call_callback(context, on_question, NULL));
    first = log_in("");
    make_identity(first.client, master_key, sizeof master_key);
    talk(first.client, room_id, sizeof room_id);
    back_up(first.client);
    CHECK_OK(matrix_create_secret_storage(first.client, NULL, NULL, NULL, &request));
    string_of(request, "recovery_key", recovery_key, sizeof recovery_key);
    CHECK_OK(
        matrix_put_secret(first.client, "org.example.token", "s3cret", NULL, NULL, NULL, &request));
    done(request);
    trust_another(&first, recovery_key, room_id);
    CHECK_OK(matrix_request_secret(first.client, "m.cross_signing.master", options, NULL, NULL,
                                   &request));
    fails(request, "E_TIMEOUT");
    move_keys(first.client);
    vouch(&first);
    CHECK_OK(matrix_reset_cross_signing(first.client, NULL, NULL, NULL, &request));
    done(request);
    CHECK(questions == 1);
    CHECK_OK(matrix_delete_backup(first.client, NULL, NULL, NULL, &request));
    done(request);
    CHECK(matrix_dispatch(context, 0, 0) >= 0 && reports == 2);
    matrix_map_free(options);
    CHECK_OK(matrix_shutdown(context, 5000));
    puts("done");
    return 0;
}
