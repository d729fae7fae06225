/*
 * QTest testcase for virtio-gpu memory reclaim: guests under memory pressure
 *
 * Scenarios with more GPU buffers than memory, in which the stock stack fails
 * and ours survives. The guests' logs and results are in build/vm.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "tests/qtest/libqtest.h"
#include "virtio-gpu-vm-run.h"

#define CACHE \
    .scenario = VM_SCENARIO_CACHE, .ram_mib = 256, .bo_mib = 128, \
    .hog_mib = 100
#define IDLE \
    .scenario = VM_SCENARIO_IDLE, .ram_mib = 256, .swap_mib = 2048, \
    .bo_mib = 1024
#define OUR_DRIVER .our_driver = true
#define OUR_DEVICE .our_device = true

/* A stock guest fails to allocate buffers before it reaches this size. */
#define STOCK_IDLE_MIB 200

/* A guest and the check of its outcome. */
typedef struct Case {
    VmConfig config;
    void (*check)(const VmConfig *config, const VmResult *result);
} Case;

static void show_progress(const VmConfig *config, const char *text)
{
    g_test_message("%s: %s", config->name, text);
}

/* Running out of memory must not cause corruption or errors on any stack. */
static void check_sound(const VmConfig *config, const VmResult *result)
{
    g_assert_cmpuint(result->corrupt_pages, ==, 0);
    g_assert_cmpuint(result->kernel_complaints, ==, 0);
    g_assert_cmpuint(result->errors, ==, 0);
}

/* Every buffer was marked WILLNEED, and every page verified, twice. */
static void check_all_verified(const VmConfig *config, const VmResult *result)
{
    g_assert_true(result->client_survived);
    g_assert_cmpuint(result->bo_mib_reached, ==, config->bo_mib);
    g_assert_cmpuint(result->good_pages + result->zero_pages, >=,
                     2 * config->bo_mib * 256ull);
}

static void check_cache_survives(const VmConfig *config, const VmResult *result)
{
    check_sound(config, result);
    check_all_verified(config, result);
    g_assert_true(result->hog_ran);
    g_assert_true(result->hog_survived);
    g_assert_cmpuint(result->oom_kills, ==, 0);
    g_assert_cmpuint(result->purged_bos, >, 0);
    g_assert_cmpuint(result->zero_pages, >, 0);
    g_assert_cmpuint(result->unpressured_bos, >, 0);
}

static void check_cache_fails(const VmConfig *config, const VmResult *result)
{
    check_sound(config, result);
    g_assert_true(result->hog_ran);
    g_assert_false(result->hog_survived);
    g_assert_cmpuint(result->oom_kills, >=, 1);
    g_assert_cmpuint(result->purged_bos, ==, 0);
}

static void check_cache_reclaim(const VmConfig *config,
                                const VmResult *result)
{
    check_cache_survives(config, result);
    g_assert_true(result->stats.known);
    g_assert_cmpuint(result->stats.purges, >=, result->purged_bos);
    g_assert_cmpuint(result->host_purged_bytes, >, 0);

    /* Check RSS besides the device's accounting; the runner waits for it. */
    g_test_message("%" PRIu64 " bytes purged, RssAnon fell by %" PRId64,
                   result->host_purged_bytes,
                   (int64_t)(result->rss_anon_before -
                             result->rss_anon_after));
    g_assert_true(vm_result_purge_returned(result));
}

/* On a stock device our driver purges by destroying resources. */
static void check_cache_driver_only(const VmConfig *config,
                                    const VmResult *result)
{
    check_cache_survives(config, result);
    g_assert_false(result->stats.known);
}

static void check_idle_stops(const VmConfig *config, const VmResult *result)
{
    check_sound(config, result);
    g_assert_cmpuint(result->bo_mib_reached, >, 0);
    g_assert_cmpuint(result->bo_mib_reached, <, STOCK_IDLE_MIB);
}

static void check_idle_survives(const VmConfig *config, const VmResult *result)
{
    check_sound(config, result);
    check_all_verified(config, result);
    g_assert_cmpuint(result->oom_kills, ==, 0);
    g_assert_cmpuint(result->zero_pages, ==, 0);
    g_assert_cmpuint(result->purged_bos, ==, 0);
    if (config->our_device) {
        /* Buffers beyond RAM were evicted, and attached to be verified. */
        uint64_t least = (config->bo_mib - config->ram_mib) / 4;

        g_assert_true(result->stats.known);
        g_assert_cmpuint(result->stats.detaches, >=, least);
        g_assert_cmpuint(result->stats.attaches, >=, least);
    }
}

static const Case cases[] = {
    { { .name = "cache/stock", CACHE }, check_cache_fails },
    { { .name = "cache/reclaim", CACHE, OUR_DRIVER, OUR_DEVICE },
      check_cache_reclaim },
    { { .name = "cache/driver-only", CACHE, OUR_DRIVER },
      check_cache_driver_only },
    { { .name = "cache/device-only", CACHE, OUR_DEVICE }, check_cache_fails },
    { { .name = "idle/stock", IDLE }, check_idle_stops },
    { { .name = "idle/reclaim", IDLE, OUR_DRIVER, OUR_DEVICE },
      check_idle_survives },
    { { .name = "idle/driver-only", IDLE, OUR_DRIVER }, check_idle_survives },
};

static void run_case(const void *data)
{
    const Case *test = data;
    g_autofree char *missing = vm_config_missing(&test->config);
    g_autofree char *json = NULL;
    g_autofree VmRun **runs = NULL;
    const VmResult *result;

    if (missing) {
        g_test_skip(missing);
        return;
    }
    runs = vm_run_all(&test->config, 1, 1, show_progress);
    result = vm_run_result(runs[0]);
    g_test_message("%s: log in %s", test->config.name, vm_run_log(runs[0]));
    json = g_strconcat(vm_run_log(runs[0]), ".json", NULL);
    g_assert_true(vm_runs_write(json, &test->config, runs, 1));
    g_assert_cmpstr(result->problem, ==, NULL);
    test->check(&test->config, result);
    vm_run_free(runs[0]);
}

int main(int argc, char **argv)
{
    int i;

    g_test_init(&argc, &argv, NULL);
    /* Run the other guests after a failure, too. */
    g_test_set_nonfatal_assertions();
    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *path = g_strdup_printf("virtio-gpu/oom/%s",
                                                cases[i].config.name);

        qtest_add_data_func(path, &cases[i], run_case);
    }
    return g_test_run();
}
