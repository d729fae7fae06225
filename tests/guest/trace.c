/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "test.h"
#include "trace.h"

static void write_to(const char *file, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void write_to(const char *file, const char *format, ...)
{
    char path[128];
    va_list ap;
    FILE *out;

    snprintf(path, sizeof(path), TRACEFS "%s", file);
    out = fopen(path, "w");
    if (!out) {
        test_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
    }
    va_start(ap, format);
    CHECK(vfprintf(out, format, ap) > 0);
    va_end(ap);
    CHECK_INT(fclose(out), ==, 0);
}

/*
 * The name in struct virtqueue, behind a list head and a pointer, by which the
 * GPU's queue is told from those of disks: the process may page in meanwhile.
 */
#define QUEUE_NAME " name=+0(+24($arg1)):string"

static void switch_group(const char *group, int on)
{
    char file[64];

    snprintf(file, sizeof(file), "events/%s/enable", group);
    write_to(file, "%d\n", on);
}

/* Groups of events that are made with kprobes, which replace all others. */
static const char *probes_of(const char *group)
{
    return !strcmp(group, TRACE_QUEUE) ?
               "p:" TRACE_QUEUE "/command virtqueue_add_sgs" QUEUE_NAME "\n"
               "p:" TRACE_QUEUE "/kick virtqueue_notify" QUEUE_NAME "\n" :
           !strcmp(group, TRACE_DMA) ?
               "p:" TRACE_DMA "/map dma_map_sgtable\n" : NULL;
}

static void filter_events(const char *group)
{
    char file[64];

    snprintf(file, sizeof(file), "events/%s/filter", group);
    write_to(file, "common_pid == %d%s\n", getpid(),
             !strcmp(group, TRACE_QUEUE) ? " && name == \"control\"" : "");
}

static void make_events(const char *group)
{
    char path[128];

    snprintf(path, sizeof(path), TRACEFS "events/%s", group);
    if (!probes_of(group) || access(path, F_OK) == 0) {
        return;
    }
    if (access(TRACEFS "kprobe_events", W_OK) < 0) {
        test_skip("this kernel has no kprobes");
    }
    write_to("kprobe_events", "%s", probes_of(group));
}

void trace_open(void)
{
    mount("nodev", TRACEFS, "tracefs", 0, NULL);    /* once is enough */
    write_to("options/record-cmd", "0\n");
}

void trace_start(const char *group)
{
    trace_open();
    make_events(group);
    filter_events(group);
    write_to("trace", "\n");
    switch_group(group, 1);
}

void trace_stop(const char *group)
{
    switch_group(group, 0);
}

unsigned traced(const char *group, const char *name)
{
    FILE *file = fopen(TRACEFS "trace", "r");
    char line[256], text[64];
    unsigned count = 0;

    CHECK(file);
    /* Events of kprobes have no prefix. */
    if (!probes_of(group)) {
        snprintf(text, sizeof(text), ": %s_%s: ", group, name);
    } else {
        snprintf(text, sizeof(text), ": %s: ", name);
    }
    while (fgets(line, sizeof(line), file)) {
        count += strstr(line, text) != NULL;
    }
    fclose(file);
    return count;
}
