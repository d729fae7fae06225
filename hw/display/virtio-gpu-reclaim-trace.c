/*
 * Virtio GPU: -trace for the events of resource reclaim
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * QEMU turns events on while it reads its command line, and loads the module
 * of a device later. What -trace asked for is then gone, and has no effect on
 * the events of the module: look at the command line once more.
 *
 * It is read only as far as that goes: -trace [enable=]PATTERN[,...], and
 * -d trace:PATTERN. At run time there is trace-event-set-state.
 */

#include "qemu/osdep.h"
#include "trace/control.h"
#include "virtio-gpu-reclaim-backend.h"

#define GROUP "virtio_gpu_reclaim_"

/* Turn on what of this group matches @pattern. */
static void enable(const char *pattern)
{
    TraceEventIter iter;
    TraceEvent *ev;

    trace_event_iter_init_pattern(&iter, pattern);
    while ((ev = trace_event_iter_next(&iter)) != NULL) {
        if (g_str_has_prefix(trace_event_get_name(ev), GROUP) &&
            trace_event_get_state_static(ev)) {
            trace_event_set_state_dynamic(ev, true);
        }
    }
}

static void enable_trace_option(const char *value)
{
    g_auto(GStrv) parts = g_strsplit(value, ",", -1);
    int i;

    for (i = 0; parts[i]; i++) {
        if (g_str_has_prefix(parts[i], "enable=")) {
            enable(parts[i] + strlen("enable="));
        } else if (i == 0 && !strchr(parts[i], '=')) {
            enable(parts[i]);
        }
    }
}

static void enable_d_option(const char *value)
{
    g_auto(GStrv) parts = g_strsplit(value, ",", -1);
    int i;

    for (i = 0; parts[i]; i++) {
        if (g_str_has_prefix(parts[i], "trace:")) {
            enable(parts[i] + strlen("trace:"));
        }
    }
}

void virtio_gpu_reclaim_trace_init(void)
{
    static bool done;
    g_autofree char *text = NULL;
    const char *arg, *end, *value;
    size_t len;

    if (done) {
        return;
    }
    done = true;
    if (!g_file_get_contents("/proc/self/cmdline", &text, &len, NULL)) {
        return;
    }
    end = text + len;
    for (arg = text; arg < end; arg += strlen(arg) + 1) {
        value = arg + strlen(arg) + 1;
        if (value >= end) {
            break;
        }
        if (g_str_equal(arg, "-trace") || g_str_equal(arg, "--trace")) {
            enable_trace_option(value);
        } else if (g_str_equal(arg, "-d")) {
            enable_d_option(value);
        }
    }
}
