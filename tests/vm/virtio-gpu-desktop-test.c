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

#define DESKTOP .scenario = VM_SCENARIO_DESKTOP, .ram_mib = 512
#define OUR_DRIVER .our_driver = true
#define OUR_DEVICE .our_device = true

#define TEXTURES    30
#define TEXTURE_MIB 4

typedef struct Case {
    VmConfig config;
    void (*run)(VmRun *run);
} Case;

static void show_progress(const VmConfig *config, const char *text)
{
    g_test_message("%s: %s", config->name, text);
}

static char *shell(VmRun *run, const char *command)
{
    char *output = vm_desktop_shell(run, "%s", command);

    g_assert_nonnull(output);
    return output;
}

static void start_client(VmRun *run, const char *environment)
{
    g_autofree char *options = g_strdup_printf("--textures %u --mib %u",
                                               TEXTURES, TEXTURE_MIB);

    vm_desktop_start_client(run, "client", environment, options);
}

/* Every pixel so far must be right. */
static char *ask_client(VmRun *run, const char *line)
{
    char *totals = vm_desktop_ask_client(run, "client", line);

    g_assert_nonnull(totals);
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

    start_client(run, "");
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
    output = shell(run, "WAYLAND_DISPLAY=wayland-1 glmark2-es2-wayland "
                   "--validate -b texture -b build -b shading | "
                   "grep -c 'Validation: Success'");
    g_assert_cmpstr(output, ==, "3");
}

static const Case cases[] = {
    { { .name = "desktop/textures", DESKTOP, OUR_DEVICE }, test_textures },
    { { .name = "desktop/weston", DESKTOP, OUR_DEVICE }, test_weston },
};

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
    test->run(run);
    vm_run_stop(run);
    g_assert_cmpstr(vm_run_result(run)->problem, ==, NULL);
    g_assert_cmpuint(vm_run_result(run)->kernel_complaints, ==, 0);
    g_assert_cmpuint(vm_run_result(run)->oom_kills, ==, 0);
    vm_run_free(run);
}

int main(int argc, char **argv)
{
    int i;

    g_test_init(&argc, &argv, NULL);
    /* Run the other guests after a failure, too. */
    g_test_set_nonfatal_assertions();
    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *path = g_strdup_printf("virtio-gpu/%s",
                                                cases[i].config.name);

        qtest_add_data_func(path, &cases[i], run_case);
    }
    return g_test_run();
}
