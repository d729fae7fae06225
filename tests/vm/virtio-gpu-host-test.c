/*
 * QTest testcase for virtio-gpu memory reclaim: the host takes idle memory back
 *
 * From a guest that knows nothing of it: the distribution's kernel, its driver
 * and its Mesa. The guests' logs are in build/vm.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "qemu/units.h"
#include "virtio-gpu-vm-desktop.h"
#include "virtio-gpu-vm-host.h"

static void take_back(VmRun *run, const char *option,
                      bool (*done)(VmRun *run, void *opaque))
{
    const VmHostResult *host = &vm_run_result(run)->host;

    g_assert_true(vm_host_take_back(run, option, done, 1));
    g_test_message("RssAnon %" PRIu64 " MiB, then %" PRIu64 "; frames per "
                   "second of the busy client: %.1f, with a target %.1f, then "
                   "%.1f", host->rss_anon_before / MiB,
                   host->rss_anon_after / MiB, host->without[0].fps,
                   host->with[0].fps, host->without[1].fps);
    g_assert_cmpuint(host->pixels, >=,
                     VM_HOST_CLIENT_BYTES / sizeof(uint32_t));
    g_assert_cmpuint(host->wrong_pixels, ==, 0);
}

static void test_target(VmRun *run)
{
    take_back(run, "", vm_host_has_given_back);
}

/* What does not compress stays, and the statistics say why. */
static bool gave_up(VmRun *run, void *opaque)
{
    return vm_host_stat(run, "stays", "no-gain") >= VM_HOST_CLIENT_BYTES;
}

static void test_target_random(VmRun *run)
{
    take_back(run, " --random", gave_up);
}

#define STOCK_GUEST .scenario = VM_SCENARIO_DESKTOP, .ram_mib = 512, \
                    .our_device = true

static const VmDesktopCase cases[] = {
    { { .name = "host/target", STOCK_GUEST }, test_target },
    { { .name = "host/target-random", STOCK_GUEST }, test_target_random },
};

int main(int argc, char **argv)
{
    return vm_desktop_run_tests(argc, argv, cases, G_N_ELEMENTS(cases));
}
