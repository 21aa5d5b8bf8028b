/* SPDX-License-Identifier: Apache-2.0 */
/* Finding things of the list by name: language bindings submit every operation that way. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tables.gen.h"

static const struct operation **sorted; /* NULL when memory was short */

static int compare_operations(const void *one, const void *other) {
    const struct operation *const *first = one;
    const struct operation *const *second = other;
    return strcmp((*first)->name, (*second)->name);
}

static void sort_operations(void) {
    size_t index;

    sorted = malloc(matrix_operation_count * sizeof *sorted);
    for (index = 0; sorted && index < matrix_operation_count; index++) {
        sorted[index] = &matrix_operations[index];
    }
    if (sorted) {
        qsort(sorted, matrix_operation_count, sizeof *sorted, compare_operations);
    }
}

static int compare_name(const void *name, const void *entry) {
    const struct operation *const *operation = entry;
    return strcmp(name, (*operation)->name);
}

static const struct operation *search(const char *name) {
    size_t index;

    for (index = 0; index < matrix_operation_count; index++) {
        if (strcmp(matrix_operations[index].name, name) == 0) {
            return &matrix_operations[index];
        }
    }
    return NULL;
}

const struct operation *matrix_find_operation(const char *name) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const struct operation **found;

    pthread_once(&once, sort_operations);
    if (!sorted) {
        return search(name);
    }
    found = bsearch(name, sorted, matrix_operation_count, sizeof *sorted, compare_name);
    return found ? *found : NULL;
}

const struct event_kind *matrix_find_event_kind(const char *name) {
    size_t index;

    for (index = 0; index < matrix_event_kind_count; index++) {
        if (strcmp(matrix_event_kinds[index].name, name) == 0) {
            return &matrix_event_kinds[index];
        }
    }
    return NULL;
}
