/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <time.h>

#include "internal.h"
#include "tables.gen.h"

matrix_status core_status_of(const char *code) {
    size_t index;

    if (strncmp(code, "E_", 2) != 0) {
        return MATRIX_E_HOMESERVER;
    }
    for (index = 0; index < matrix_error_code_count; index++) {
        if (strcmp(matrix_error_codes[index].name, code) == 0) {
            return (matrix_status)matrix_error_codes[index].status;
        }
    }
    return MATRIX_E_INTERNAL;
}

#define ENDING(name, code, message)                                                                \
    static const char name##_text[] = "{\"code\":\"" code "\",\"message\":\"" message "\"}";       \
    static const struct static_text name = {name##_text, sizeof name##_text - 1}

ENDING(cancelled, "E_CANCELLED", "the client was closed");
ENDING(shut_down, "E_SHUTDOWN", "the context was shut down");
ENDING(no_memory, "E_NO_MEMORY", "memory is short");

const struct static_text *core_status_text(matrix_status status) {
    switch (status) {
    case MATRIX_E_CANCELLED:
        return &cancelled;
    case MATRIX_E_SHUTDOWN:
        return &shut_down;
    default:
        return &no_memory;
    }
}

int64_t core_now_us(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct timespec core_deadline(clockid_t clock, int timeout_ms) {
    struct timespec deadline;

    clock_gettime(clock, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    return deadline;
}

void core_cond_init(pthread_cond_t *condition) {
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}
