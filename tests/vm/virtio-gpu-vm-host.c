/*
 * Guests with a virtio-gpu: the host takes idle memory back
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-vm-desktop.h"
#include "virtio-gpu-vm-host.h"

/* Frames that the frame rate is measured with. */
#define FRAMES 60

/* Totals of @client after @line; false if it failed. Wrong pixels are counted. */
static bool ask(VmRun *run, const char *client, const char *line,
                VmHostResult *totals)
{
    g_autofree char *answer = vm_desktop_ask_client(run, client, line);

    if (!answer) {
        return false;
    }
    totals->frames = vm_number_of(answer, "frames");
    totals->us = vm_number_of(answer, "us");
    totals->pixels = vm_number_of(answer, "pixels");
    totals->wrong_pixels = vm_number_of(answer, "wrong") +
                           vm_number_of(answer, "errors");
    return true;
}

static bool draw(VmRun *run, const char *client, double *fps)
{
    g_autofree char *line = g_strdup_printf("draw %u", FRAMES);
    VmHostResult before, after;

    if (!ask(run, client, "draw 1", &before) ||
        !ask(run, client, line, &after)) {
        return false;
    }
    *fps = 1e6 * (after.frames - before.frames) / (after.us - before.us);
    return true;
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
    uint64_t before = vm_run_result(run)->host.rss_anon_before;

    return vm_run_rss_anon(run) + VM_HOST_CLIENT_BYTES / 10 * 8 <= before;
}

/* It goes on: every texel is what it was. */
static bool verify(VmRun *run, VmHostResult *host)
{
    VmHostResult idle, busy;

    if (!ask(run, "idle", "verify", &idle) ||
        !ask(run, "busy", "verify", &busy)) {
        return false;
    }
    host->pixels = idle.pixels;
    host->wrong_pixels = idle.wrong_pixels + busy.wrong_pixels;
    return true;
}

bool vm_host_take_back(VmRun *run, const char *option,
                       bool (*done)(VmRun *run, void *opaque), void *opaque,
                       unsigned wait_ms)
{
    g_autofree char *options = g_strdup_printf("--textures %u --mib %u%s",
                                               VM_HOST_TEXTURES,
                                               VM_HOST_TEXTURE_MIB, option);
    VmHostResult *host = vm_run_host(run), totals;
    double fps;

    vm_desktop_start_client(run, "busy", "", options);
    vm_desktop_start_client(run, "idle", "", options);
    if (!draw(run, "idle", &fps) || !draw(run, "busy", &host->fps_before)) {
        return false;
    }
    host->idle_bytes = VM_HOST_CLIENT_BYTES;
    host->rss_anon_before = vm_run_rss_anon(run);
    if (!ask(run, "busy", "go", &totals)) {
        return false;
    }
    vm_run_set_target(run, vm_host_stat(run, NULL, "used-bytes") / 2);
    if (done && !vm_run_until(run, done, opaque)) {
        return false;
    }
    vm_run_for(run, wait_ms);
    host->rss_anon_after = vm_run_rss_anon(run);
    return ask(run, "busy", "stop", &totals) &&
           draw(run, "busy", &host->fps_after) && verify(run, host);
}
