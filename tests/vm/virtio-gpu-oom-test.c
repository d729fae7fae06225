/*
 * QTest testcase: guests that run out of memory because of GPU buffers
 *
 * What the stock stack dies of, ours lives through: see virtio-gpu-vm-run.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "tests/qtest/libqtest.h"
#include "virtio-gpu-vm-run.h"

#define CACHE \
    .scenario = OOM_CACHE, .ram_mib = 256, .bo_mib = 128, .app_mib = 100
#define IDLE \
    .scenario = OOM_IDLE, .ram_mib = 256, .swap_mib = 2048, .bo_mib = 1024

/* A stock guest is stopped long before it has this much in buffers. */
#define STOCK_IDLE_MIB 200

/* A guest, and what must have become of it. */
typedef struct Case {
    OomConfig config;
    void (*check)(const OomConfig *config, const OomResult *result);
} Case;

static void show_progress(const OomConfig *config, const char *text)
{
    g_test_message("%s: %s", config->name, text);
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

static void check_cache_dies(const OomConfig *config, const OomResult *result)
{
    check_sound(config, result);
    g_assert_true(result->app_ran);
    g_assert_false(result->app_survived);
    g_assert_cmpuint(result->oom_kills, >=, 1);
    g_assert_cmpuint(result->purged_bos, ==, 0);
}

static void check_cache_reclaim(const OomConfig *config,
                                const OomResult *result)
{
    int64_t fall;

    check_cache_lives(config, result);

    /* The host has its memory back: not by its own account alone. */
    g_assert_true(result->stats.known);
    g_assert_cmpuint(result->stats.purges, >=, result->purged_bos);
    g_assert_cmpuint(result->host_purged_bytes, >, 0);
    fall = result->rss_anon_before - result->rss_anon_after;
    g_test_message("%" PRIu64 " bytes purged, RssAnon fell by %" PRId64,
                   result->host_purged_bytes, fall);
    g_assert_cmpint(fall, >=, result->host_purged_bytes / 100 * 95);
}

/* Our driver does without the feature: what it purges is destroyed. */
static void check_cache_driver_only(const OomConfig *config,
                                    const OomResult *result)
{
    check_cache_lives(config, result);
    g_assert_false(result->stats.known);
}

static void check_idle_stops(const OomConfig *config, const OomResult *result)
{
    check_sound(config, result);
    g_assert_cmpuint(result->bo_mib_reached, >, 0);
    g_assert_cmpuint(result->bo_mib_reached, <, STOCK_IDLE_MIB);
}

static void check_idle_lives(const OomConfig *config, const OomResult *result)
{
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
}

static const Case cases[] = {
    { { "cache/stock", CACHE }, check_cache_dies },
    { { "cache/reclaim", CACHE, .our_driver = true, .our_device = true },
      check_cache_reclaim },
    { { "cache/driver-only", CACHE, .our_driver = true },
      check_cache_driver_only },
    { { "cache/device-only", CACHE, .our_device = true }, check_cache_dies },
    { { "idle/stock", IDLE }, check_idle_stops },
    { { "idle/reclaim", IDLE, .our_driver = true, .our_device = true },
      check_idle_lives },
    { { "idle/driver-only", IDLE, .our_driver = true }, check_idle_lives },
};

static void run_case(const void *data)
{
    const Case *test = data;
    g_autofree char *missing = oom_missing(&test->config);
    g_autofree OomRun **runs = NULL;
    const OomResult *result;

    if (missing) {
        g_test_skip(missing);
        return;
    }
    runs = oom_run_all(&test->config, 1, 1, show_progress);
    result = oom_run_result(runs[0]);
    g_test_message("%s: log in %s", test->config.name, oom_run_log(runs[0]));
    g_assert_cmpstr(result->problem, ==, NULL);
    test->check(&test->config, result);
    oom_run_free(runs[0]);
}

int main(int argc, char **argv)
{
    int i;

    g_test_init(&argc, &argv, NULL);
    /* One guest that dies does not keep the others from being tried. */
    g_test_set_nonfatal_assertions();
    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *path = g_strdup_printf("virtio-gpu/oom/%s",
                                                cases[i].config.name);

        qtest_add_data_func(path, &cases[i], run_case);
    }
    return g_test_run();
}
