/* SPDX-License-Identifier: Apache-2.0 */
/** What the benchmark programs tell of their memory. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/**
 * A line of /proc/self/status in KiB: "VmRSS:" is what is in use, "VmHWM:" the peak. Not by
 * getrusage: its peak is that of the process that forked this one, if it was larger.
 */
static inline long status_kib(const char *name) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long kib = 0;

    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, name, strlen(name)))
            kib = atol(line + strlen(name));
    if (file)
        fclose(file);
    return kib;
}

static inline double peak_mib(void) {
    return (double)status_kib("VmHWM:") / 1024;
}

#endif
