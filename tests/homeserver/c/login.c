/* SPDX-License-Identifier: Apache-2.0 */
/** login: what login.lua does, in C, the way of MATRIX_WAY. Prints "open URL" where a browser is
 * needed. */
#include "people.h"

static matrix_client open_at(matrix_map *options) {
    matrix_client client = {0};

    CHECK_OK(matrix_map_set_string(options, "homeserver", env("MATRIX_HOMESERVER")));
    CHECK_OK(matrix_create_client(context, options, &client));
    return client;
}

static void close_client(matrix_client client) {
    CHECK_OK(matrix_close_client(client));
}

static void same(matrix_request request, const char *key, const char *expected) {
    char found[512];

    string_of(request, key, found, sizeof found);
    if (strcmp(found, expected))
        fprintf(stderr, "%s is %s, not %s\n", key, found, expected);
    CHECK(!strcmp(found, expected));
}

static matrix_request me(matrix_client client) {
    return ASK(matrix_whoami(client, NULL, NULL, NULL, &request));
}

static matrix_request account(matrix_client client) {
    return ASK(matrix_account(client, NULL, NULL, NULL, &request));
}

static void log_out(matrix_client client, matrix_map *options) {
    done(ASK(matrix_logout(client, options, NULL, NULL, &request)));
}

/* ---- questions ------------------------------------------------------------------------------ */

static int asked;

static void on_call(const matrix_reply *reply, void *user_data) {
    const matrix_host_call *call = matrix_reply_as_host_call(reply, matrix_reply_value(reply));
    const matrix_value *payload = matrix_value_get(matrix_reply_value(reply), "payload");
    matrix_map *answer;
    char json[512];

    (void)user_data;
    if (!strcmp(call->name, "open_url")) {
        printf("open %s\n", matrix_value_get_string(payload, "url", ""));
        fflush(stdout);
        snprintf(json, sizeof json, "{}");
    } else {
        CHECK(!strcmp(call->name, "user_interactive_auth"));
        CHECK(matrix_value_count(matrix_value_get(payload, "flows")) > 0);
        asked++;
        snprintf(json, sizeof json,
                 "{\"auth\":{\"type\":\"m.login.registration_token\",\"token\":\"%s\"}}",
                 env("MATRIX_TOKEN"));
    }
    answer = map_of(json);
    CHECK_OK(matrix_respond(context, matrix_reply_call_id(reply), answer));
    matrix_map_free(answer);
}

/* ---- ways ----------------------------------------------------------------------------------- */

static void flows(void) {
    matrix_client client = open_at(with("{}"));
    matrix_reply *reply = take_ok(ASK(matrix_login_flows(client, NULL, NULL, NULL, &request)));
    const matrix_value *value = matrix_reply_value(reply);

    CHECK(matrix_value_count(matrix_value_get(value, "types")) >= 2);
    CHECK(strstr(matrix_reply_json(reply, NULL), "\"m.login.password\""));
    CHECK(!matrix_value_get_bool(value, "has_oauth", true));
    matrix_reply_free(reply);
}

static void register_user(void) {
    matrix_client client = open_at(with("{\"device_display_name\":\"from C\"}"));
    const char *user = env("MATRIX_USER");

    CHECK_OK(matrix_set_call_callback(context, on_call, NULL));
    done(ASK(matrix_register_account(client,
                                     with("{\"user\":\"%s\",\"password\":\"secret-word\"}", user),
                                     NULL, NULL, &request)));
    CHECK(asked == 1);
    done(me(client));
    fails(ASK(matrix_register_account(client, NULL, NULL, NULL, &request)), "E_ALREADY_LOGGED_IN");
    log_out(client, NULL);
    close_client(client);
    client = open_at(with("{}"));
    fails(ASK(matrix_register_account(client, with("{\"user\":\"%s\",\"token\":\"x\"}", user), NULL,
                                      NULL, &request)),
          "M_USER_IN_USE");
    done(ASK(matrix_login_password(client, user, "secret-word", NULL, NULL, NULL, &request)));
}

static void register_with_token(void) {
    matrix_client client = open_at(with("{}"));

    done(ASK(matrix_register_account(
        client,
        with("{\"user\":\"%s\",\"password\":\"secret-word\",\"token\":\"%s\"}", env("MATRIX_USER"),
             env("MATRIX_TOKEN")),
        NULL, NULL, &request)));
    done(me(client));
}

static void token(void) {
    matrix_client client = open_at(with("{\"device_id\":\"CTOKEN\"}"));

    same(ASK(matrix_login_token(client, env("MATRIX_TOKEN"), NULL, NULL, NULL, &request)),
         "device_id", "CTOKEN");
    same(me(client), "user_id", env("MATRIX_USER_ID"));
    log_out(client, NULL);
    fails(ASK(matrix_login_token(client, env("MATRIX_TOKEN"), NULL, NULL, NULL, &request)),
          "M_FORBIDDEN");
}

static void email(void) {
    matrix_client client = open_at(with("{}"));

    same(ASK(matrix_login_password(client, env("MATRIX_USER"), env("MATRIX_PASSWORD"),
                                   with("{\"identifier\":\"email\"}"), NULL, NULL, &request)),
         "user_id", env("MATRIX_USER_ID"));
}

/** The same session, with an access token that the homeserver does not know. */
static void spoil(char *text) {
    char *token = strstr(text, "\"access_token\":\"");

    CHECK(token);
    token[strlen("\"access_token\":\"")] = '!';
}

static matrix_client open_session(const char *text) {
    matrix_map *options = with("{}");

    CHECK_OK(matrix_map_set_string(options, "session", text));
    return open_at(options);
}

static void session(void) {
    matrix_client client = open_at(with("{}"));
    char text[2048], spoilt[2048];

    fails(ASK(matrix_export_session(client, NULL, NULL, NULL, &request)), "E_NOT_LOGGED_IN");
    done(log_in_as(client, ""));
    CHECK(int_of(account(client), "expires_in_ms") > 0);
    CHECK(int_of(ASK(matrix_refresh_session(client, NULL, NULL, NULL, &request)), "expires_in_ms") >
          0);
    string_of(ASK(matrix_export_session(client, NULL, NULL, NULL, &request)), "session", text,
              sizeof text);
    close_client(client);
    memcpy(spoilt, text, sizeof text);
    spoil(spoilt);
    /* The homeserver refuses this access token; the refresh token helps. */
    client = open_session(spoilt);
    same(me(client), "user_id", env("MATRIX_USER_ID"));
    CHECK(bool_of(account(client), "has_refresh_token"));
    log_out(client, with("{\"everywhere\":true}"));
    close_client(client);
    client = open_session(text);
    fails(me(client), "M_UNKNOWN_TOKEN");
    CHECK(!bool_of(account(client), "is_logged_in"));
    log_out(client, with("{\"local_only\":true}"));
    close_client(client);
    memcpy(strstr(text, "\"version\":1"), "\"version\":2", strlen("\"version\":2"));
    client = open_session(text);
    fails(account(client), "E_INVALID_ARGUMENT");
}

static void sealed(void) {
    const char *format = "{\"store_path\":\"%s\",\"store_passphrase\":\"%s\"}";
    matrix_client client = open_at(with(format, env("MATRIX_STORE"), "correct horse"));

    done(log_in_as(client, ""));
    close_client(client);
    client = open_at(with(format, env("MATRIX_STORE"), "correct horse"));
    same(me(client), "user_id", env("MATRIX_USER_ID"));
    close_client(client);
    client = open_at(with(format, env("MATRIX_STORE"), "wrong"));
    fails(account(client), "E_STORE_PASSPHRASE");
}

static void sso(void) {
    matrix_client client = open_at(with("{}"));
    char url[512];

    CHECK_OK(matrix_set_call_callback(context, on_call, NULL));
    string_of(ASK(matrix_sso_url(client, "app:done", with("{\"identity_provider\":\"a/b\"}"), NULL,
                                 NULL, &request)),
              "url", url, sizeof url);
    CHECK(strstr(url, "/_matrix/client/v3/login/sso/redirect/a%2Fb?redirectUrl=app%3Adone"));
    same(ASK(matrix_login_sso(client, with("{\"identity_provider\":\"ours\",\"timeout_ms\":20000}"),
                              NULL, NULL, &request)),
         "user_id", env("MATRIX_USER_ID"));
    same(me(client), "user_id", env("MATRIX_USER_ID"));
    log_out(client, NULL);
}

static void on_code(const matrix_reply *reply, void *user_data) {
    const char *code = matrix_value_get_string(matrix_reply_value(reply), "user_code", "");

    *(bool *)user_data = !strcmp(code, "WDJB-MJHT");
}

static void oauth(void) {
    matrix_client client = open_at(with("{}"));
    matrix_request request = {0};
    bool shown = false;

    CHECK_OK(matrix_set_call_callback(context, on_call, NULL));
    done(ASK(matrix_login_oauth(
        client, with("{\"client_uri\":\"https://example.org\",\"timeout_ms\":20000}"), NULL, NULL,
        &request)));
    done(me(client));
    log_out(client, NULL);
    CHECK_OK(matrix_login_oauth_device(
        client, with("{\"client_id\":\"known\",\"device_id\":\"ABCDEFGHIJ\"}"), NULL, NULL,
        &request));
    CHECK_OK(matrix_set_progress_callback(request, on_code, &shown));
    same(request, "device_id", "ABCDEFGHIJ");
    CHECK(shown);
    done(ASK(matrix_refresh_session(client, NULL, NULL, NULL, &request)));
    log_out(client, NULL);
}

/** By a server name, which its own web server leads on from. */
static void discovery(void) {
    matrix_client client = open_at(
        with("{\"ca_file\":\"%s\",\"proxy\":\"%s\"}", env("MATRIX_CA_FILE"), env("MATRIX_PROXY")));

    done(log_in_as(client, ""));
    same(account(client), "homeserver", env("MATRIX_BASE_URL"));
    same(me(client), "user_id", env("MATRIX_USER_ID"));
    log_out(client, NULL);
}

static const struct {
    const char *name;
    void (*run)(void);
} ways[] = {
    {"flows", flows},
    {"register", register_user},
    {"register_with_token", register_with_token},
    {"token", token},
    {"email", email},
    {"session", session},
    {"sealed", sealed},
    {"sso", sso},
    {"oauth", oauth},
    {"discovery", discovery},
};

int main(void) {
    context = open_context();
    for (size_t at = 0; at < sizeof ways / sizeof *ways; at++) {
        if (!strcmp(ways[at].name, env("MATRIX_WAY"))) {
            ways[at].run();
            CHECK_OK(matrix_shutdown(context, -1));
            puts("done");
            return 0;
        }
    }
    return 2;
}
