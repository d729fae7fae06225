/*
 * Virtio GPU: -trace for the events of resource reclaim
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * QEMU turns events on while it reads its command line, and loads the module
 * of a device later. It keeps nothing of what was asked for: trace_opt_parse()
 * deletes the options of -trace when it has carried them out, -d leaves only
 * bits, and events that are registered later stay off. What is left is the
 * command line of the process: it is read once more here, with QEMU's own
 * parser for -trace.
 *
 * -trace [[enable=]PATTERN][,events=FILE] and -d trace:PATTERN are heeded. At
 * run time there is trace-event-set-state.
 */

#include "qemu/osdep.h"
#include "qemu/config-file.h"
#include "qemu/option.h"
#include "trace/control.h"
#include "virtio-gpu-reclaim-backend.h"

#define GROUP "virtio_gpu_reclaim_"

/* Turn on, or off with a '-' in front, what of this group matches @pattern. */
static void enable(const char *pattern)
{
    bool on = *pattern != '-';
    TraceEventIter iter;
    TraceEvent *ev;

    trace_event_iter_init_pattern(&iter, on ? pattern : pattern + 1);
    while ((ev = trace_event_iter_next(&iter)) != NULL) {
        if (g_str_has_prefix(trace_event_get_name(ev), GROUP) &&
            trace_event_get_state_static(ev)) {
            trace_event_set_state_dynamic(ev, on);
        }
    }
}

/* A line for each pattern; what begins with '#' is a comment. */
static void enable_file(const char *path)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    int i;

    if (!g_file_get_contents(path, &text, NULL, NULL)) {
        return;
    }
    lines = g_strsplit(text, "\n", -1);
    for (i = 0; lines[i]; i++) {
        if (lines[i][0] != '#' && lines[i][0] != '\0') {
            enable(lines[i]);
        }
    }
}

static void enable_trace_option(const char *value)
{
    QemuOpts *opts = qemu_opts_parse(qemu_find_opts("trace"), value, true,
                                     NULL);

    if (!opts) {
        return;
    }
    if (qemu_opt_get(opts, "enable")) {
        enable(qemu_opt_get(opts, "enable"));
    }
    if (qemu_opt_get(opts, "events")) {
        enable_file(qemu_opt_get(opts, "events"));
    }
    qemu_opts_del(opts);
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
        } else if (g_str_equal(arg, "-d") || g_str_equal(arg, "--d")) {
            enable_d_option(value);
        }
    }
}
