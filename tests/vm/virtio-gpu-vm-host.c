/*
 * Guests with a virtio-gpu: the host takes idle memory back
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-vm-desktop.h"
#include "virtio-gpu-vm-host.h"

/* How long a frame rate is measured. */
#define WINDOW_MS 1500

/* How long a target takes effect where there is none. */
#define STOCK_TAKING_MS 1500

/* Totals of a client, and the processor time of QEMU then. */
typedef struct Totals {
    uint64_t frames, us, pixels, wrong;
    double cpu_seconds;
} Totals;

/* Totals of @client after @line; false if it failed. */
static bool ask(VmRun *run, const char *client, const char *line,
                Totals *totals)
{
    g_autofree char *answer = vm_desktop_ask_client(run, client, line);

    if (!answer) {
        return false;
    }
    *totals = (Totals) {
        .frames = vm_number_of(answer, "frames"),
        .us = vm_number_of(answer, "us"),
        .pixels = vm_number_of(answer, "pixels"),
        .wrong = vm_number_of(answer, "wrong") + vm_number_of(answer, "errors"),
        .cpu_seconds = vm_run_cpu_seconds(run),
    };
    return true;
}

static VmRate rate_between(const Totals *from, const Totals *to)
{
    double frames = to->frames - from->frames;

    return (VmRate) {
        .fps = to->us > from->us ? 1e6 * frames / (to->us - from->us) : 0,
        .per_cpu_second = frames / (to->cpu_seconds - from->cpu_seconds),
    };
}

uint64_t vm_host_stat(VmRun *run, const char *in, const char *name)
{
    QDict *stats = vm_run_device_stats(run);
    QDict *from = stats && in ? qdict_get_qdict(stats, in) : stats;
    uint64_t value = from ? qdict_get_int(from, name) : 0;

    qobject_unref(stats);
    return value;
}

bool vm_host_has_given_back(VmRun *run, void *opaque)
{
    const VmHostResult *host = &vm_run_result(run)->host;

    return vm_run_rss_anon(run) + host->idle_bytes / 10 * 8 <=
           host->rss_anon_before;
}

bool vm_host_measure(VmRun *run, const char *client, VmRate *rate)
{
    Totals from, to;

    if (!ask(run, client, "go", &from)) {
        return false;
    }
    vm_run_for(run, WINDOW_MS);
    if (!ask(run, client, "stop", &to)) {
        return false;
    }
    *rate = rate_between(&from, &to);
    return true;
}

/* No target: the textures of the idle client are back when it has drawn. */
static bool measure_without(VmRun *run, VmRate *rate)
{
    Totals idle;

    vm_run_set_target(run, 0);
    return ask(run, "idle", "draw 2", &idle) &&
           vm_host_measure(run, "busy", rate);
}

/* Set the target, wait until @done, and measure what the busy client draws. */
static bool measure_with(VmRun *run, bool (*done)(VmRun *run, void *opaque),
                         VmRate *taking, VmRate *with)
{
    VmHostResult *host = vm_run_host(run);
    Totals from, to;

    host->rss_anon_before = vm_run_rss_anon(run);
    if (!ask(run, "busy", "go", &from)) {
        return false;
    }
    vm_run_set_target(run, vm_host_stat(run, NULL, "used-bytes") / 2);
    vm_run_mark(run, VM_EVENT_INFO, "target");
    if (!done) {
        vm_run_for(run, STOCK_TAKING_MS);
    } else if (!vm_run_until(run, done, NULL)) {
        return false;
    }
    host->rss_anon_after = vm_run_rss_anon(run);
    if (!ask(run, "busy", "stop", &to)) {
        return false;
    }
    *taking = rate_between(&from, &to);
    return vm_host_measure(run, "busy", with);
}

/* It goes on: every texel is what it was. */
static bool verify(VmRun *run, VmHostResult *host)
{
    Totals idle, busy;

    if (!ask(run, "idle", "verify", &idle) ||
        !ask(run, "busy", "verify", &busy)) {
        return false;
    }
    host->pixels = idle.pixels;
    host->wrong_pixels = idle.wrong + busy.wrong;
    return true;
}

bool vm_host_take_back(VmRun *run, const char *option,
                       bool (*done)(VmRun *run, void *opaque), unsigned rounds)
{
    g_autofree char *options = g_strdup_printf("--textures %u --mib %u%s",
                                               VM_HOST_TEXTURES,
                                               VM_HOST_TEXTURE_MIB, option);
    VmHostResult *host = vm_run_host(run);
    Totals totals;
    unsigned i;

    g_assert(rounds > 0 && rounds <= VM_HOST_ROUNDS);
    vm_desktop_start_client(run, "busy", "", options);
    vm_desktop_start_client(run, "idle", "", options);
    if (!ask(run, "idle", "draw 20", &totals) ||
        !ask(run, "busy", "draw 20", &totals)) {
        return false;
    }
    host->idle_bytes = VM_HOST_CLIENT_BYTES;
    vm_run_begin_timeline(run);
    for (i = 0; i < rounds; i++) {
        if (!measure_without(run, &host->without[i]) ||
            !measure_with(run, done, &host->taking[i], &host->with[i])) {
            return false;
        }
    }
    if (!measure_without(run, &host->without[rounds])) {
        return false;
    }
    host->rounds = rounds;
    return verify(run, host);
}
