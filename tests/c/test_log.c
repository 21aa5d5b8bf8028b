/* SPDX-License-Identifier: Apache-2.0 */
/* Log records: the ring, levels, and the reasons of refused calls. */
#include "core_check.h"

struct log {
    int records;
    int64_t first_dropped;
    char source[64];
    char message[512];
    char code[64];
    matrix_log_level level;
};

static void remember(const matrix_reply *reply, void *user_data) {
    struct log *log = user_data;
    const matrix_log_record *record = matrix_reply_as_log_record(reply, matrix_reply_value(reply));

    CHECK(matrix_reply_get_kind(reply) == MATRIX_REPLY_LOG && matrix_reply_ok(reply));
    CHECK(record && record->message && record->source);
    CHECK(matrix_value_get_int(matrix_reply_value(reply), "dropped", -1) == record->dropped);
    log->first_dropped = log->records ? log->first_dropped : record->dropped;
    log->records++;
    log->level = record->level;
    snprintf(log->source, sizeof log->source, "%s", record->source);
    snprintf(log->message, sizeof log->message, "%s", record->message);
    snprintf(log->code, sizeof log->code, "%s", record->code ? record->code : "");
}

static void post(matrix_context context, matrix_log_level level, const char *rest) {
    char json[256];

    snprintf(json, sizeof json, "{\"level\":\"%s\",\"source\":\"sync\",\"message\":\"m\"%s",
             matrix_log_level_string(level), rest);
    fake_post(MATRIX_FRAME_LOG, (int)level, context.id, 0, 0, json);
}

static void levels(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    struct log log = {0};

    CHECK_OK(matrix_set_log_callback(context, MATRIX_LOG_LEVEL_INFO, remember, &log));
    settle(client);
    CHECK(atomic_load(&fake.log_levels) == 1);
    post(context, MATRIX_LOG_LEVEL_DEBUG, "}");
    post(context, MATRIX_LOG_LEVEL_INFO, "}");
    post(context, MATRIX_LOG_LEVEL_ERROR, ",\"code\":\"E_STORE\"}");
    CHECK(matrix_dispatch(context, 0, 0) == 2);
    CHECK(log.level == MATRIX_LOG_LEVEL_ERROR && log.first_dropped == 0);
    CHECK_TEXT(log.source, "sync");
    CHECK_TEXT(log.code, "E_STORE");
    post(context, MATRIX_LOG_LEVEL_INFO, "}");
    CHECK_OK(matrix_set_log_callback(context, MATRIX_LOG_LEVEL_ERROR, remember, &log));
    CHECK(matrix_dispatch(context, 0, 0) == 0);
    CHECK_OK(matrix_set_log_callback(context, MATRIX_LOG_LEVEL_TRACE, NULL, NULL));
    post(context, MATRIX_LOG_LEVEL_ERROR, "}");
    CHECK(matrix_dispatch(context, 0, 0) == 0);
    CHECK_STATUS(matrix_set_log_callback(context, (matrix_log_level)0, remember, &log),
                 MATRIX_E_INVALID_ARGUMENT);
    CHECK_STATUS(matrix_set_log_callback(context, (matrix_log_level)99, remember, &log),
                 MATRIX_E_INVALID_ARGUMENT);
    CHECK_OK(matrix_shutdown(context, -1));
}

/* The oldest give way and are counted; replies do not give way, and the order stays. */
static void ring(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    struct log log = {0};
    struct tally tally = {0};

    CHECK_OK(matrix_set_log_callback(context, MATRIX_LOG_LEVEL_TRACE, remember, &log));
    for (int i = 0; i < 1030; i++) {
        post(context, MATRIX_LOG_LEVEL_INFO, i % 2 ? "}" : ",\"code\":\"E_STORE\"}");
    }
    ping(client, NULL, count_reply, &tally);
    settle(client);
    CHECK(matrix_dispatch(context, 0, 0) == 1025);
    CHECK(log.records == 1024 && log.first_dropped == 6 && tally.ok == 1);
    log = (struct log){0};
    post(context, MATRIX_LOG_LEVEL_INFO, "}");
    CHECK(matrix_dispatch(context, 0, 0) == 1);
    CHECK(log.first_dropped == 0);
    CHECK_OK(matrix_shutdown(context, -1));
}

static struct log log_of_order;
static int results;

static void after_the_log(const matrix_reply *reply, void *user_data) {
    (void)user_data;
    CHECK(matrix_reply_ok(reply));
    CHECK(log_of_order.records == ++results);
}

static void order(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);

    CHECK_OK(matrix_set_log_callback(context, MATRIX_LOG_LEVEL_TRACE, remember, &log_of_order));
    for (int i = 0; i < 50; i++) {
        post(context, MATRIX_LOG_LEVEL_INFO, "}");
        ping(client, NULL, after_the_log, NULL);
        settle(client);
    }
    CHECK(matrix_dispatch(context, 0, 0) == 100);
    CHECK_OK(matrix_shutdown(context, -1));
}

static void expect(matrix_context context, struct log *log, const char *message, const char *code) {
    log->message[0] = 0;
    CHECK(matrix_dispatch(context, 0, 0) == 1);
    CHECK_TEXT(log->message, message);
    CHECK_TEXT(log->code, code);
    CHECK_TEXT(log->source, "host");
    CHECK(log->level == MATRIX_LOG_LEVEL_ERROR);
}

static void refusals(void) {
    matrix_context context = open_context(NULL), other = open_context(NULL);
    matrix_client client = open_client(context);
    struct log log = {0}, elsewhere = {0};

    CHECK_OK(matrix_set_log_callback(context, MATRIX_LOG_LEVEL_ERROR, remember, &log));
    CHECK_OK(matrix_set_log_callback(other, MATRIX_LOG_LEVEL_ERROR, remember, &elsewhere));
    CHECK_STATUS(matrix_send_text(client, NULL, "x", NULL, matrix_ignore, NULL, NULL),
                 MATRIX_E_INVALID_ARGUMENT);
    expect(context, &log, "matrix_send_text: room_id: is NULL", "E_INVALID_ARGUMENT");
    CHECK_STATUS(matrix_submit(client, NULL, NULL, matrix_ignore, NULL, NULL),
                 MATRIX_E_INVALID_ARGUMENT);
    expect(context, &log, "matrix_submit: operation: is NULL", "E_INVALID_ARGUMENT");
    CHECK_OK(matrix_close_client(client));
    CHECK_STATUS(matrix_ping(client, NULL, matrix_ignore, NULL, NULL), MATRIX_E_INVALID_HANDLE);
    expect(context, &log, "matrix_ping: client: is closed, or never existed", "E_INVALID_HANDLE");
    CHECK(matrix_dispatch(other, 0, 0) == 0 && elsewhere.records == 0);
    CHECK_OK(matrix_shutdown(context, -1));

    /* The slot's next context is not told about the handles of the one before. */
    context = open_context(NULL);
    log = (struct log){0};
    CHECK_OK(matrix_set_log_callback(context, MATRIX_LOG_LEVEL_ERROR, remember, &log));
    CHECK_STATUS(matrix_ping(client, NULL, matrix_ignore, NULL, NULL), MATRIX_E_INVALID_HANDLE);
    CHECK(matrix_dispatch(context, 0, 0) == 0 && log.records == 0);
    CHECK_OK(matrix_shutdown(context, -1));
    CHECK_OK(matrix_shutdown(other, -1));
}

/* What went wrong before the host asked for the log is kept for it. */
static void before_the_callback(void) {
    matrix_context context = open_context(NULL);
    matrix_client client = open_client(context);
    struct log log = {0};

    CHECK_STATUS(matrix_send_text(client, "!r:x", "\xff", NULL, matrix_ignore, NULL, NULL),
                 MATRIX_E_INVALID_ARGUMENT);
    post(context, MATRIX_LOG_LEVEL_INFO, "}");
    CHECK(matrix_dispatch(context, 0, 0) == 0);
    CHECK_OK(matrix_set_log_callback(context, MATRIX_LOG_LEVEL_TRACE, remember, &log));
    expect(context, &log, "matrix_send_text: body: is not valid UTF-8", "E_INVALID_ARGUMENT");
    CHECK_OK(matrix_shutdown(context, -1));
}

int main(void) {
    levels();
    ring();
    order();
    refusals();
    before_the_callback();
    return 0;
}
