/*
 * Guests with a virtio-gpu: a desktop under memory pressure
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "virtio-gpu-vm-desktop.h"
#include "virtio-gpu-vm-host.h"
#include "virtio-gpu-vm-session.h"

/* Objects of each client of ours. */
#define OBJECTS     40
#define OBJECT_MIB  2
#define CLIENT_MIB  (OBJECTS * OBJECT_MIB)

/*
 * What the program needs, half of the guest's RAM: there is only room for it
 * without the idle clients' memory. It does not compress.
 */
#define NEED_MIB    256

/* How long each state lasts, at least. */
#define STAGE_MS    3000

/* Our driver evicts what was not used for so long. */
#define IDLE_MS     1000

#define WINDOW \
    "WAYLAND_DISPLAY=wayland-1 glmark2-es2-wayland -s 200x150 " \
    "-b texture:duration=600 >/dev/null 2>&1 & echo $! >/run/window%u.pid"

/* The clients with objects; the first is active. */
static const struct {
    const char *name, *objects;
} clients[] = {
    { "active", "textures" }, { "textures", "textures" },
    { "buffers", "buffers" },
};

#define FIRST_IDLE 1

static bool goes_on(VmRun *run)
{
    return !vm_run_result(run)->problem;
}

static uint64_t ask(VmRun *run, const char *name, const char *line,
                    const char *total)
{
    g_autofree char *totals = vm_desktop_ask_client(run, name, line);

    return vm_number_of(totals, total);
}

/* Memory of the guest, a field of /proc/meminfo, in bytes. */
static uint64_t meminfo(VmRun *run, const char *field)
{
    g_autofree char *kib = vm_desktop_shell(
        run, "awk '$1 == \"%s:\" { print $2 }' /proc/meminfo", field);

    return g_ascii_strtoull(kib ?: "", NULL, 10) * KiB;
}

static void start_client(VmRun *run, size_t i)
{
    g_autofree char *options = g_strdup_printf("--%s %u --mib %u",
                                               clients[i].objects, OBJECTS,
                                               OBJECT_MIB);

    vm_desktop_start_client(run, clients[i].name, "", options);
    ask(run, clients[i].name, "draw 10", "frames");
}

/* Every client has drawn, half of them for the last time. */
static void start_clients(VmRun *run, VmHostResult *host)
{
    size_t i;

    vm_desktop_start_weston(run);
    vm_desktop_set_idle_ms(run, IDLE_MS);
    start_client(run, 0);
    /* What it has uploaded with is in Mesa's cache until it goes on. */
    vm_run_for(run, STAGE_MS);
    ask(run, clients[0].name, "draw 2", "frames");
    g_free(vm_desktop_shell(run, "/src/tests/desktop/sample &"));
    vm_run_begin_timeline(run);
    host->guest_without = meminfo(run, "Shmem");
    vm_run_mark(run, VM_EVENT_INFO, "clients start");
    for (i = FIRST_IDLE; i < G_N_ELEMENTS(clients); i++) {
        start_client(run, i);
        host->idle_bytes += CLIENT_MIB * MiB;
    }
    g_free(vm_desktop_shell(run, WINDOW, 0u));
    g_free(vm_desktop_shell(run, WINDOW, 1u));
    vm_run_for(run, STAGE_MS);
    g_free(vm_desktop_shell(run, "kill -STOP $(cat /run/window1.pid)"));
    vm_run_mark(run, VM_EVENT_INFO, "half of them stop");
}

/* A program reads random bytes into as much memory as it needs. */
static void need_memory(VmRun *run, VmHostResult *host)
{
    g_autofree char *status = NULL;

    vm_run_mark(run, VM_EVENT_INFO, "a program needs memory");
    status = vm_desktop_shell(
        run, "dd if=/dev/urandom of=/dev/null iflag=fullblock count=1 "
        "bs=%uM 2>/dev/null && echo 0 || echo $?", NEED_MIB);
    host->needed_bytes = NEED_MIB * MiB;
    host->need_met = status && !strcmp(status, "0");
    if (host->need_met) {
        vm_run_mark(run, VM_EVENT_GOOD, "it has got it");
    }
}

static void lower_target(VmRun *run, VmHostResult *host)
{
    uint64_t used = vm_host_stat(run, NULL, "used-bytes");

    host->rss_anon_before = vm_run_rss_anon(run);
    vm_run_mark(run, VM_EVENT_INFO, "the host lowers its target");
    vm_run_set_target(run, used - MIN(used, host->idle_bytes));
    if (used) {
        vm_run_until(run, vm_host_has_given_back, NULL);
    }
    vm_run_for(run, STAGE_MS);
    host->rss_anon_after = vm_run_rss_anon(run);
}

/* The OOM killer may have ended it. */
static bool is_alive(VmRun *run, const char *name)
{
    g_autofree char *answer = vm_desktop_shell(
        run, "kill -0 $(cat /run/%s.pid) && echo yes || echo no", name);

    return answer && !strcmp(answer, "yes");
}

static void verify(VmRun *run, const char *name, VmHostResult *host)
{
    g_autofree char *totals = vm_desktop_ask_client(run, name, "verify");

    host->pixels += vm_number_of(totals, "pixels");
    host->frames += vm_number_of(totals, "frames");
    host->frames_differ += vm_number_of(totals, "differ");
    host->wrong_pixels += vm_number_of(totals, "wrong") +
                          vm_number_of(totals, "errors");
}

/* Every pixel of whoever is left is verified. */
static void go_on(VmRun *run, VmHostResult *host)
{
    size_t i;

    vm_run_mark(run, VM_EVENT_INFO, "idle clients go on");
    g_free(vm_desktop_shell(run, "kill -CONT $(cat /run/window1.pid) || :"));
    vm_run_for(run, STAGE_MS);
    /* They draw as fast as they can. */
    g_free(vm_desktop_shell(run, "kill $(cat /run/window*.pid) || :"));
    for (i = 0; i < G_N_ELEMENTS(clients); i++) {
        if (is_alive(run, clients[i].name)) {
            verify(run, clients[i].name, host);
        }
    }
    if (goes_on(run) && host->pixels && !host->wrong_pixels) {
        vm_run_mark(run, VM_EVENT_GOOD, "every pixel is right");
    }
}

bool vm_session_run(VmRun *run)
{
    VmHostResult *host = vm_run_host(run);
    bool measured;

    start_clients(run, host);
    measured = vm_host_measure(run, "active", &host->without[0]);
    ask(run, "active", "go", "frames");
    need_memory(run, host);
    host->guest_after = meminfo(run, "Shmem");
    lower_target(run, host);
    if (is_alive(run, "active")) {
        ask(run, "active", "stop", "frames");
        measured &= vm_host_measure(run, "active", &host->with[0]);
        host->without[1] = host->without[0];
        host->rounds = measured;
    }
    go_on(run, host);
    return goes_on(run) && measured;
}
