/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "process.h"
#include "report.h"

#define PERIOD_US 200000
#define DRIVER_COUNTERS "/sys/kernel/debug/dri/0/virtio-gpu-reclaim"

/* Read @path, lines of a name and a number, into @text; -1 on failure. */
static int read_text(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");
    size_t len;

    if (!file) {
        return -1;
    }
    len = fread(text, 1, size - 1, file);
    text[len] = '\0';
    fclose(file);
    return 0;
}

static long long value_of(const char *text, const char *name)
{
    const char *line = text;
    size_t len = strlen(name);
    long long value;

    while (line) {
        if (!strncmp(line, name, len) &&
            sscanf(line + len, "%*[: ]%lld", &value) == 1) {
            return value;
        }
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return 0;
}

static void sample(const ClientState *state)
{
    char text[4096];
    long long available, swap;

    if (read_text("/proc/meminfo", text, sizeof(text)) < 0) {
        return;
    }
    available = value_of(text, "MemAvailable") * 1024;
    swap = (value_of(text, "SwapTotal") - value_of(text, "SwapFree")) * 1024;
    /* The stock driver has no statistics: leave them out. */
    if (read_text(DRIVER_COUNTERS, text, sizeof(text)) < 0) {
        report("sample mem_available=%lld swap_used=%lld bo_bytes=%zu",
               available, swap, state->bo_bytes);
    } else {
        report("sample mem_available=%lld swap_used=%lld bo_bytes=%zu "
               "resident=%lld evicted=%lld purged=%lld", available, swap,
               state->bo_bytes, value_of(text, "resident_bytes"),
               value_of(text, "evicted_bytes"),
               value_of(text, "purged_bytes"));
    }
}

pid_t sampler_start(const ClientState *state)
{
    pid_t pid = fork();

    if (pid != 0) {
        return pid;
    }
    /* Keep sampling under memory pressure. */
    mlockall(MCL_CURRENT);
    for (;;) {
        sample(state);
        usleep(PERIOD_US);
    }
}
