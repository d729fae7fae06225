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
#include "virtio-gpu-vm-host.h"

typedef struct Case {
    VmConfig config;
    const char *contents;       /* option of gl-client */
    bool (*done)(VmRun *run, void *opaque);
} Case;

static void show_progress(const VmConfig *config, const char *text)
{
    g_test_message("%s: %s", config->name, text);
}

/* What does not compress stays, and the statistics say why. */
static bool gave_up(VmRun *run, void *opaque)
{
    return vm_host_stat(run, "stays", "no-gain") >= VM_HOST_CLIENT_BYTES;
}

#define STOCK_GUEST .scenario = VM_SCENARIO_DESKTOP, .ram_mib = 512, \
                    .our_device = true

static const Case cases[] = {
    { { .name = "host/target", STOCK_GUEST }, "", vm_host_has_given_back },
    { { .name = "host/target-random", STOCK_GUEST }, " --random", gave_up },
};

static void check(const VmResult *result)
{
    const VmHostResult *host = &result->host;

    g_test_message("RssAnon %" PRIu64 " MiB, then %" PRIu64 "; "
                   "frames per second of the busy client: %.1f, then %.1f",
                   host->rss_anon_before / MiB, host->rss_anon_after / MiB,
                   host->fps_before, host->fps_after);
    g_assert_cmpstr(result->problem, ==, NULL);
    g_assert_cmpuint(host->pixels, >=,
                     VM_HOST_CLIENT_BYTES / sizeof(uint32_t));
    g_assert_cmpuint(host->wrong_pixels, ==, 0);
    g_assert_cmpuint(result->kernel_complaints, ==, 0);
    g_assert_cmpuint(result->oom_kills, ==, 0);
}

static void run_case(const void *data)
{
    const Case *test = data;
    g_autofree char *missing = vm_config_missing(&test->config);
    VmRun *run;

    if (missing) {
        g_test_skip(missing);
        return;
    }
    run = vm_run_start_desktop(&test->config, show_progress);
    g_test_message("%s: log in %s", test->config.name, vm_run_log(run));
    g_assert_true(vm_host_take_back(run, test->contents, test->done, NULL, 0));
    vm_run_stop(run);
    check(vm_run_result(run));
    vm_run_free(run);
}

int main(int argc, char **argv)
{
    int i;

    g_test_init(&argc, &argv, NULL);
    /* Run the other guest after a failure, too. */
    g_test_set_nonfatal_assertions();
    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *path = g_strdup_printf("virtio-gpu/%s",
                                                cases[i].config.name);

        qtest_add_data_func(path, &cases[i], run_case);
    }
    return g_test_run();
}
