/*
 * QTest testcase for virtio-gpu memory reclaim: guests with a desktop
 *
 * The distribution's Mesa and programs in a guest, unmodified, and gl-client
 * (tests/desktop), which verifies each pixel that it draws. The guests' logs
 * are in build/vm.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "virtio-gpu-vm-desktop.h"
#include "virtio-gpu-vm-session.h"

#define DESKTOP .scenario = VM_SCENARIO_DESKTOP, .ram_mib = 512
#define OUR_DRIVER .our_driver = true
#define OUR_DEVICE .our_device = true

#define TEXTURES    30
#define TEXTURE_MIB 4

/* For what depends on how fast the guest is: enough for any machine. */
#define MAX_TRIES   200

#define CLIENT_OPTIONS "--textures " stringify(TEXTURES) \
    " --mib " stringify(TEXTURE_MIB)

/* Every pixel so far must be right. NULL if the run has a problem. */
static char *ask_client(VmRun *run, const char *line)
{
    char *totals = vm_desktop_ask_client(run, "client", line);

    g_assert_cmpuint(vm_number_of(totals, "wrong"), ==, 0);
    g_assert_cmpuint(vm_number_of(totals, "errors"), ==, 0);
    return totals;
}

/* Pixels are right, and the host has their bytes. */
static void test_textures(VmRun *run)
{
    uint64_t before = vm_run_rss_anon(run);
    g_autofree char *totals = NULL;
    uint64_t rise;

    vm_desktop_start_client(run, "client", "", CLIENT_OPTIONS);
    totals = ask_client(run, "draw 20");
    g_assert_cmpuint(vm_number_of(totals, "frames"), ==, 20);
    g_assert_cmpuint(vm_number_of(totals, "pixels"), ==,
                     20 * TEXTURES * 32 * 32);
    rise = vm_run_rss_anon(run) - before;
    g_test_message("%u MiB of textures, RssAnon rose by %" PRIu64 " MiB; %s",
                   TEXTURES * TEXTURE_MIB, rise / MiB, totals);
    g_assert_cmpuint(rise, >=, TEXTURES * TEXTURE_MIB * MiB);
}

/* A compositor, and a client that looks at what it has drawn itself. */
static void test_weston(VmRun *run)
{
    g_autofree char *output = NULL;

    vm_desktop_start_weston(run);
    output = vm_desktop_shell(
        run, "WAYLAND_DISPLAY=wayland-1 glmark2-es2-wayland --validate "
        "-b texture -b build -b shading | grep -c 'Validation: Success'");
    g_assert_cmpstr(output, ==, "3");
}

/*
 * Vulkan of the guest's Mesa on that of the host's (lavapipe, if it has no GPU),
 * through host blobs. There are no windows: a swapchain takes dma-bufs of the
 * host, for which lavapipe wants /dev/udmabuf.
 */
static void test_vulkan(VmRun *run)
{
    g_autofree char *output = vm_desktop_shell(
        run, "VK_DRIVER_FILES=/usr/share/vulkan/icd.d/virtio_icd.json "
        "vulkaninfo --summary | grep -E 'driverName|deviceName'");
    const char *device = output ? strstr(output, "deviceName") : NULL;

    g_test_message("%s", output);
    g_assert_nonnull(device);
    g_assert_nonnull(strstr(device, "Virtio-GPU Venus"));
}

/*
 * Mesa whose cache is purgeable (subprojects/mesa)
 */

#define TRACE_MADVISE "/src/tests/desktop/trace-madvise"

static void start_client_with_our_mesa(VmRun *run, const char *options)
{
    g_autofree char *drivers = vm_build_path("mesa/dri");
    g_autofree char *variables = g_strdup_printf(
        "LIBGL_DRIVERS_PATH=%s LD_LIBRARY_PATH=%s", drivers, drivers);

    vm_desktop_start_client(run, "client", variables, options);
    g_free(ask_client(run, "draw 5"));
    /* Fails if it has the distribution's driver. */
    g_free(vm_desktop_shell(
        run, "grep -q mesa/dri /proc/$(cat /run/client.pid)/maps"));
}

/* Upload and draw; returns the counts of tests/desktop/trace-madvise. */
static char *trace_upload(VmRun *run)
{
    char *counts;

    g_free(vm_desktop_shell(
        run, TRACE_MADVISE " start $(cat /run/client.pid)"));
    g_free(ask_client(run, "upload"));
    g_free(ask_client(run, "draw 20"));
    counts = vm_desktop_shell(run, TRACE_MADVISE " stop");
    g_test_message("%s", counts);
    g_assert_cmpuint(vm_number_of(counts, "lost"), ==, 0);
    g_assert_cmpuint(vm_number_of(counts, "commands"), >, 0);
    return counts;
}

/* No command to the device to mark what enters the cache or what leaves it. */
static void test_mesa_commands(VmRun *run)
{
    g_autofree char *counts = NULL;

    start_client_with_our_mesa(run, CLIENT_OPTIONS);
    counts = trace_upload(run);
    g_assert_cmpuint(vm_number_of(counts, "calls"), >=, TEXTURES);
    g_assert_cmpuint(vm_number_of(counts, "inside"), ==, 0);
}

/* The stock driver does not know the ioctl: it is not called. */
static void test_mesa_stock_driver(VmRun *run)
{
    g_autofree char *counts = NULL;

    start_client_with_our_mesa(run, CLIENT_OPTIONS);
    counts = trace_upload(run);
    g_assert_cmpuint(vm_number_of(counts, "calls"), ==, 0);
}

/*
 * The staging buffers of a burst of uploads stay in the cache as long as the
 * client does nothing: a program that needs memory gets theirs.
 */
static void test_mesa_purge(VmRun *run)
{
    start_client_with_our_mesa(run, CLIENT_OPTIONS);
    g_free(ask_client(run, "upload"));
    g_assert_cmpuint(vm_desktop_driver_stat(run, "dontneed_bytes"), >=,
                     100 * MiB);

    /* More than there is without them. */
    g_free(vm_desktop_shell(
        run, "dd if=/dev/zero of=/dev/null count=1 bs=$(awk "
        "'/MemAvailable/ { print int($2 / 1024) + 100 }' /proc/meminfo)M"));
    g_assert_cmpuint(vm_desktop_driver_stat(run, "purged_bytes"), >=,
                     100 * MiB);

    g_free(ask_client(run, "upload"));
    g_free(ask_client(run, "verify"));
}

/*
 * What was purged in the cache is used again. Mesa does so within a second
 * only: try until it happens.
 */
static void test_mesa_reuse(VmRun *run)
{
    unsigned tries;

    start_client_with_our_mesa(run, "--textures 8 --mib 1");
    for (tries = 0; tries < MAX_TRIES &&
         !vm_run_result(run)->problem &&
         !vm_desktop_driver_stat(run, "willneed_purged"); tries++) {
        g_free(ask_client(run, "upload"));
        g_free(vm_desktop_shell(
            run, "echo 100000 >/sys/kernel/debug/dri/0/virtio-gpu-shrink"));
        g_free(ask_client(run, "upload"));
    }
    g_test_message("after %u tries", tries);
    g_assert_cmpuint(vm_desktop_driver_stat(run, "willneed_purged"), >, 0);
    g_free(ask_client(run, "draw 20"));
    g_free(ask_client(run, "verify"));
}

/*
 * A desktop under memory pressure
 */

#define SESSION .scenario = VM_SCENARIO_DESKTOP, .cpus = 2, \
    .ram_mib = VM_SESSION_RAM_MIB, .zram_mib = VM_SESSION_ZRAM_MIB, \
    .kernel_options = VM_SESSION_KERNEL_OPTIONS

/* What has to come back of what idle clients hold. */
#define GUEST_SHARE 0.9
#define HOST_SHARE  0.8

static const VmHostResult *run_session(VmRun *run)
{
    const VmHostResult *host = &vm_run_result(run)->host;

    g_assert_true(vm_session_run(run));
    g_test_message("of %" PRIu64 " MiB guest: %.2f, host: %.2f; %" PRIu64
                   " MiB needed: %s; killed: %s", host->idle_bytes / MiB,
                   vm_guest_share(host), vm_host_share(host),
                   host->needed_bytes / MiB, host->need_met ? "yes" : "no",
                   vm_run_result(run)->oom_killed ?: "nobody");
    g_assert_cmpuint(host->wrong_pixels, ==, 0);
    g_assert_cmpuint(host->frames_differ, ==, 0);
    return host;
}

static void test_pressure(VmRun *run)
{
    const VmHostResult *host = run_session(run);

    g_assert_true(host->need_met);
    g_assert_cmpuint(host->pixels, >=, host->idle_bytes / sizeof(uint32_t));
    g_assert_cmpfloat(vm_guest_share(host), >=, GUEST_SHARE);
    g_assert_cmpfloat(vm_host_share(host), >=, HOST_SHARE);
}

/* Somebody is killed: the program, or a client. */
static void test_pressure_stock(VmRun *run)
{
    run_session(run);
}

static const VmDesktopCase cases[] = {
    { { .name = "desktop/textures", DESKTOP, OUR_DEVICE, .zram_mib = 64 },
      test_textures },
    { { .name = "desktop/weston", DESKTOP, OUR_DEVICE }, test_weston },
    { { .name = "desktop/vulkan", DESKTOP, OUR_DRIVER, OUR_DEVICE,
        .venus = true }, test_vulkan },
    { { .name = "desktop/pressure", SESSION, OUR_DRIVER, OUR_DEVICE },
      test_pressure },
    { { .name = "desktop/pressure-stock", SESSION }, test_pressure_stock,
      .kills = true },
    { { .name = "desktop/mesa/commands", DESKTOP, OUR_DRIVER, OUR_DEVICE },
      test_mesa_commands },
    { { .name = "desktop/mesa/stock-driver", DESKTOP, OUR_DEVICE },
      test_mesa_stock_driver },
    { { .name = "desktop/mesa/purge", DESKTOP, OUR_DRIVER, OUR_DEVICE },
      test_mesa_purge },
    { { .name = "desktop/mesa/reuse", DESKTOP, OUR_DRIVER, OUR_DEVICE },
      test_mesa_reuse },
    { { .name = "desktop/mesa/reuse-driver-only", DESKTOP, OUR_DRIVER },
      test_mesa_reuse },
};

int main(int argc, char **argv)
{
    return vm_desktop_run_tests(argc, argv, cases, G_N_ELEMENTS(cases));
}
