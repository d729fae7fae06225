/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the driver tells of itself: parameters, statistics, trace points.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <drm.h>
#include <virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "test.h"
#include "trace.h"

#define BYTES (256 * KIB)
#define PAGES (BYTES / PAGE_BYTES)

static int get_param(uint64_t param, int *value)
{
    struct drm_virtgpu_getparam get = {
        .param = param, .value = (uintptr_t)value,
    };

    return drm_request(env.gpu, DRM_IOCTL_VIRTGPU_GETPARAM, &get);
}

/* A line of /proc/self/fdinfo for the GPU, in bytes; -1 if there is none. */
static long long fdinfo(const char *key)
{
    char path[64], line[128];
    long long value = -1;
    size_t len = strlen(key);
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", env.gpu);
    file = fopen(path, "r");
    CHECK(file);
    while (fgets(line, sizeof(line), file)) {
        if (!strncmp(line, key, len) && line[len] == ':') {
            CHECK_INT(sscanf(line + len + 1, "%lld", &value), ==, 1);
            value *= strstr(line, " KiB") ? KIB : 1;
        }
    }
    fclose(file);
    return value;
}

static void test_getparam(void)
{
    int value = -1;

    CHECK_INT(get_param(VIRTGPU_PARAM_RECLAIM, &value), ==, 0);
    CHECK(value & VIRTGPU_RECLAIM_MADVISE);
    CHECK_INT(value & ~(VIRTGPU_RECLAIM_MADVISE | VIRTGPU_RECLAIM_DEVICE), ==,
              0);
    CHECK_INT(get_param(VIRTGPU_PARAM_RECLAIM + 1, &value), ==, -EINVAL);
    CHECK_INT(get_param(VIRTGPU_PARAM_RECLAIM | 1ull << 32, &value), ==,
              -EINVAL);
}

static void test_fdinfo(void)
{
    enum { COUNT = 4 };
    Held *held = make_many(COUNT, BYTES);

    CHECK_INT(fdinfo("drm-total-memory"), ==, COUNT * BYTES);
    CHECK_INT(fdinfo("drm-resident-memory"), ==, COUNT * BYTES);
    CHECK_INT(fdinfo("drm-shared-memory"), ==, 0);
    CHECK_INT(fdinfo("drm-purgeable-memory"), ==, 0);
    CHECK_INT(fdinfo("drm-active-memory"), ==, 0);
    CHECK_INT(fdinfo("virtio_gpu-evicted-memory"), ==, 0);

    mark(&held[0]);
    CHECK_INT(fdinfo("drm-purgeable-memory"), ==, BYTES);
    shrink_all();
    CHECK_INT(fdinfo("drm-total-memory"), ==, COUNT * BYTES);
    CHECK_INT(fdinfo("drm-resident-memory"), ==, 0);
    CHECK_INT(fdinfo("drm-purgeable-memory"), ==, 0);
    CHECK_INT(fdinfo("virtio_gpu-evicted-memory"), ==, (COUNT - 1) * BYTES);

    check_intact(&held[1]);
    CHECK_INT(fdinfo("drm-resident-memory"), ==, BYTES);
    drop_many(held, COUNT);
    CHECK_INT(fdinfo("drm-total-memory"), ==, 0);
}

static void test_fdinfo_is_the_clients(void)
{
    int other = gpu_open(), mine = env.gpu;
    Held held;

    make(&held, BYTES);
    CHECK_INT(fdinfo("drm-total-memory"), ==, BYTES);
    env.gpu = other;
    CHECK_INT(fdinfo("drm-total-memory"), ==, 0);
    if (env.is_3d) {
        long long id = fdinfo("drm-client-id");

        env.gpu = mine;
        CHECK_INT(fdinfo("drm-client-id"), !=, id);
    }
}

static void test_states_add_up(void)
{
    enum { COUNT = 6 };
    long long bytes = stat_of("bo_bytes"), pinned = stat_of("pinned_bytes");
    Held *held = make_many(COUNT, BYTES);

    mark(&held[0]);
    mark(&held[1]);
    shrink_all();
    CHECK(!ask_back(&held[1]));
    check_intact(&held[2]);
    mark(&held[3]);
    CHECK_INT(stat_of("bo_bytes"), ==, bytes + COUNT * BYTES);
    CHECK_INT(stat_of("purged_bytes"), ==, BYTES);
    CHECK_INT(stat_of("empty_bytes"), ==, BYTES);
    CHECK_INT(stat_of("resident_bytes"), ==, pinned + BYTES);
    CHECK_INT(stat_of("dontneed_bytes"), ==, BYTES);
    CHECK_INT(stat_of("evicted_bytes"), ==, 2 * BYTES);
    drop_many(held, COUNT);
}

static void test_shrink_with_nothing(void)
{
    shrink_all();
    CHECK_INT(shrink(1000), ==, 0);
}

static void test_shrink_tells(void)
{
    Held *held = make_many(4, BYTES);

    CHECK_INT(shrink(1), ==, PAGES);
    CHECK_INT(shrink(PAGES + 1), ==, 2 * PAGES);
    CHECK_INT(shrink(1000), ==, PAGES);
    CHECK_INT(shrink(1000), ==, 0);
    drop_many(held, 4);
}

static void test_trace(void)
{
    Held *held = make_many(3, BYTES);

    trace_start(TRACE_RECLAIM);
    mark(&held[0]);
    shrink_all();
    check_intact(&held[1]);
    drop_caches();
    trace_stop(TRACE_RECLAIM);
    CHECK_INT(traced(TRACE_RECLAIM, "purge"), ==, 1);
    CHECK_INT(traced(TRACE_RECLAIM, "evict"), >=, 2);
    CHECK_INT(traced(TRACE_RECLAIM, "restore"), ==, 1);
    CHECK_INT(traced(TRACE_RECLAIM, "count"), >=, 1);
    CHECK_INT(traced(TRACE_RECLAIM, "scan"), >=, env.has_swap);
    drop_many(held, 3);
}

const TestCase tests_report[] = {
    { "report/trace", test_trace, 0 },
    { "report/getparam", test_getparam, 0 },
    { "report/fdinfo", test_fdinfo, 0 },
    { "report/fdinfo-is-the-clients", test_fdinfo_is_the_clients, 0 },
    { "report/states-add-up", test_states_add_up, 0 },
    { "report/shrink-with-nothing", test_shrink_with_nothing, 0 },
    { "report/shrink-tells", test_shrink_tells, 0 },
    { NULL, NULL, 0 },
};
