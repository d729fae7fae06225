/*
 * QTest testcase: guests that run out of memory because of GPU buffers
 *
 * What the stock stack dies of, ours lives through: see virtio-gpu-oom.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "libqtest.h"
#include "virtio-gpu-oom.h"

#define CACHE \
    .scenario = OOM_CACHE, .ram_mib = 256, .bo_mib = 128, .app_mib = 100
#define IDLE \
    .scenario = OOM_IDLE, .ram_mib = 256, .swap_mib = 2048, .bo_mib = 1024

/* A stock guest is stopped long before it has this much in buffers. */
#define STOCK_IDLE_MIB 200

static const OomConfig cache_stock = { "cache/stock", CACHE };
static const OomConfig cache_reclaim = {
    "cache/reclaim", CACHE, .our_driver = true, .our_device = true,
};
static const OomConfig cache_driver_only = {
    "cache/driver-only", CACHE, .our_driver = true,
};
static const OomConfig cache_device_only = {
    "cache/device-only", CACHE, .our_device = true,
};
static const OomConfig idle_stock = { "idle/stock", IDLE };
static const OomConfig idle_reclaim = {
    "idle/reclaim", IDLE, .our_driver = true, .our_device = true,
};
static const OomConfig idle_driver_only = {
    "idle/driver-only", IDLE, .our_driver = true,
};

static void show_progress(const OomConfig *config, const char *text)
{
    g_test_message("%s: %s", config->name, text);
}

/* Boot the guest; NULL if it cannot be, which is said. */
static OomRun *run_guest(const OomConfig *config)
{
    g_autofree char *missing = oom_missing(config);
    g_autofree OomRun **runs = NULL;
    const OomResult *result;

    if (missing) {
        g_test_skip(missing);
        return NULL;
    }
    runs = oom_run_all(config, 1, 1, show_progress);
    result = oom_run_result(runs[0]);
    g_test_message("%s: log in %s", config->name, oom_run_log(runs[0]));
    g_assert_cmpstr(result->problem, ==, NULL);
    return runs[0];
}

/* What no stack may do to a guest, whatever it runs out of. */
static void check_sound(const OomConfig *config, const OomResult *result)
{
    g_assert_cmpuint(result->corrupt_pages, ==, 0);
    g_assert_cmpuint(result->kernel_faults, ==, 0);
    g_assert_cmpuint(result->errors, ==, 0);
}

/* Every buffer was asked for, and every page of it looked at, twice. */
static void check_all_seen(const OomConfig *config, const OomResult *result)
{
    g_assert_true(result->client_survived);
    g_assert_cmpuint(result->bo_mib_reached, ==, config->bo_mib);
    g_assert_cmpuint(result->good_pages + result->zero_pages, >=,
                     2 * config->bo_mib * 256ull);
}

static void check_cache_lives(const OomConfig *config, const OomResult *result)
{
    check_sound(config, result);
    check_all_seen(config, result);
    g_assert_true(result->app_ran);
    g_assert_true(result->app_survived);
    g_assert_cmpuint(result->oom_kills, ==, 0);
    g_assert_cmpuint(result->purged_bos, >, 0);
    g_assert_cmpuint(result->zero_pages, >, 0);
    g_assert_cmpuint(result->kept_bos, >, 0);
}

static void test_cache_stock(const void *data)
{
    OomRun *run = run_guest(data);
    const OomResult *result;

    if (!run) {
        return;
    }
    result = oom_run_result(run);
    check_sound(data, result);
    g_assert_true(result->app_ran);
    g_assert_false(result->app_survived);
    g_assert_cmpuint(result->oom_kills, >=, 1);
    g_assert_cmpuint(result->purged_bos, ==, 0);
    oom_run_free(run);
}

static void test_cache_reclaim(const void *data)
{
    OomRun *run = run_guest(data);
    const OomResult *result;
    int64_t fall;

    if (!run) {
        return;
    }
    result = oom_run_result(run);
    check_cache_lives(data, result);

    /* The host has its memory back: not by its own account alone. */
    g_assert_true(result->stats.known);
    g_assert_cmpuint(result->stats.purges, >=, result->purged_bos);
    g_assert_cmpuint(result->host_purged_bytes, >, 0);
    fall = result->rss_anon_before - result->rss_anon_after;
    g_test_message("%" PRIu64 " bytes purged, RssAnon fell by %" PRId64,
                   result->host_purged_bytes, fall);
    g_assert_cmpint(fall, >=, result->host_purged_bytes / 100 * 95);
    oom_run_free(run);
}

/* Our driver does without the feature: what it purges is destroyed. */
static void test_cache_driver_only(const void *data)
{
    OomRun *run = run_guest(data);

    if (!run) {
        return;
    }
    check_cache_lives(data, oom_run_result(run));
    g_assert_false(oom_run_result(run)->stats.known);
    oom_run_free(run);
}

static void test_idle_stock(const void *data)
{
    OomRun *run = run_guest(data);
    const OomResult *result;

    if (!run) {
        return;
    }
    result = oom_run_result(run);
    check_sound(data, result);
    g_assert_cmpuint(result->bo_mib_reached, >, 0);
    g_assert_cmpuint(result->bo_mib_reached, <, STOCK_IDLE_MIB);
    oom_run_free(run);
}

static void test_idle_lives(const void *data)
{
    const OomConfig *config = data;
    OomRun *run = run_guest(config);
    const OomResult *result;

    if (!run) {
        return;
    }
    result = oom_run_result(run);
    check_sound(config, result);
    check_all_seen(config, result);
    g_assert_cmpuint(result->oom_kills, ==, 0);
    g_assert_cmpuint(result->zero_pages, ==, 0);
    g_assert_cmpuint(result->purged_bos, ==, 0);
    if (config->our_device) {
        /* More than fits had to leave, and come back to be verified. */
        uint64_t least = (config->bo_mib - config->ram_mib) / 4;

        g_assert_true(result->stats.known);
        g_assert_cmpuint(result->stats.detaches, >=, least);
        g_assert_cmpuint(result->stats.attaches, >=, least);
    }
    oom_run_free(run);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    /* One guest that dies does not keep the others from being tried. */
    g_test_set_nonfatal_assertions();
    qtest_add_data_func("virtio-gpu/oom/cache/stock", &cache_stock,
                        test_cache_stock);
    qtest_add_data_func("virtio-gpu/oom/cache/reclaim", &cache_reclaim,
                        test_cache_reclaim);
    qtest_add_data_func("virtio-gpu/oom/cache/driver-only", &cache_driver_only,
                        test_cache_driver_only);
    qtest_add_data_func("virtio-gpu/oom/cache/device-only", &cache_device_only,
                        test_cache_stock);
    qtest_add_data_func("virtio-gpu/oom/idle/stock", &idle_stock,
                        test_idle_stock);
    qtest_add_data_func("virtio-gpu/oom/idle/reclaim", &idle_reclaim,
                        test_idle_lives);
    qtest_add_data_func("virtio-gpu/oom/idle/driver-only", &idle_driver_only,
                        test_idle_lives);
    return g_test_run();
}
