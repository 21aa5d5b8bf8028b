/* SPDX-License-Identifier: Apache-2.0 */
/** Clocks and percentiles for the benchmark programs. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline int64_t clock_ns(clockid_t clock) {
    struct timespec time;

    clock_gettime(clock, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int compare_ns(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/** Sorts `samples` and prints one JSON line with their percentiles in microseconds. */
static inline void print_percentiles(const char *name, const char *clock, int64_t *samples,
                                     size_t count) {
    qsort(samples, count, sizeof *samples, compare_ns);
    printf("{\"name\":\"%s\",\"clock\":\"%s\",\"samples\":%zu,\"p50\":%.2f,\"p99\":%.2f,"
           "\"p999\":%.2f,\"max\":%.2f}\n",
           name, clock, count, (double)samples[count / 2] / 1e3,
           (double)samples[count * 99 / 100] / 1e3, (double)samples[count * 999 / 1000] / 1e3,
           (double)samples[count - 1] / 1e3);
}

#endif
