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

/** A look at both clocks. */
struct moment {
    int64_t wall;
    int64_t cpu;
};

static inline struct moment look(void) {
    struct moment now;

    now.cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    now.wall = clock_ns(CLOCK_MONOTONIC);
    return now;
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

enum { MOST_KINDS = 4 };

/** What calls of a few kinds took, as often each, in wall time and in this thread's CPU time. */
struct samples {
    const char *const *names;
    int kinds;
    int64_t *wall[MOST_KINDS];
    int64_t *cpu[MOST_KINDS];
};

static inline struct samples make_samples(const char *const *names, int kinds, size_t count) {
    struct samples samples = {.names = names, .kinds = kinds};

    for (int kind = 0; kind < kinds; kind++) {
        samples.wall[kind] = calloc(count, sizeof(int64_t));
        samples.cpu[kind] = calloc(count, sizeof(int64_t));
    }
    return samples;
}

static inline void take_sample(struct samples *samples, int kind, size_t index,
                               struct moment start) {
    samples->wall[kind][index] = clock_ns(CLOCK_MONOTONIC) - start.wall;
    samples->cpu[kind][index] = clock_ns(CLOCK_THREAD_CPUTIME_ID) - start.cpu;
}

static inline void print_samples(struct samples *samples, size_t count) {
    for (int kind = 0; kind < samples->kinds; kind++) {
        print_percentiles(samples->names[kind], "wall", samples->wall[kind], count);
        print_percentiles(samples->names[kind], "cpu", samples->cpu[kind], count);
    }
}

#endif
