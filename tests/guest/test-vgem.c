/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vgem: a driver without a device, whose clients signal the fences.
 */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm.h>
#include <drm/vgem_drm.h>

#include "test.h"

#define BYTES (256 * KIB)
#define PAGES (BYTES / PAGE_BYTES)

#define MODULE "/modules/reclaim/vgem.ko"

/* A task uses the buffer from here on; returns the fence. */
static uint32_t begin_use(const TestBo *tbo, uint32_t flags)
{
    struct drm_vgem_fence_attach attach = {
        .handle = tbo->bo.handle, .flags = flags,
    };

    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_VGEM_FENCE_ATTACH, &attach), ==,
              0);
    return attach.out_fence;
}

/* It is done. vgem signals fences itself after ten seconds. */
static void end_use(uint32_t fence)
{
    struct drm_vgem_fence_signal signal = { .fence = fence };
    int ret = drm_request(env.gpu, DRM_IOCTL_VGEM_FENCE_SIGNAL, &signal);

    if (ret == -ETIMEDOUT) {
        test_skip("the fence expired");
    }
    CHECK_INT(ret, ==, 0);
}

/* Neither readers nor writers lose the pages while they use them. */
static void check_kept_in_use(bool marked, uint32_t flags)
{
    const char *counter = marked ? "purges" : "evictions";
    long long before = stat_of(counter), reclaimed;
    uint32_t fence;
    TestBo tbo;

    make(&tbo, BYTES);
    if (marked) {
        dontneed(&tbo);
    }
    fence = begin_use(&tbo, flags);
    reclaimed = shrink(1000);
    end_use(fence);
    CHECK_INT(reclaimed, ==, 0);
    CHECK_INT(stat_of(counter), ==, before);
    check_intact(&tbo);
    shrink_all();
    CHECK_INT(stat_of(counter), ==, before + 1);
    CHECK_INT(willneed(&tbo), ==, !marked);
}

static void test_in_use_not_purged(void)
{
    check_kept_in_use(true, VGEM_FENCE_WRITE);
    check_kept_in_use(true, 0);
}

static void test_in_use_not_evicted(void)
{
    check_kept_in_use(false, VGEM_FENCE_WRITE);
    check_kept_in_use(false, 0);
}

static void *end_use_soon(void *arg)
{
    usleep(10000);
    end_use((uintptr_t)arg);
    return NULL;
}

/* A scan waits for a moment; this thread may be too late for that. */
static void test_wait_for_use(void)
{
    long long waits = stat_of("waits");
    pthread_t thread;
    TestBo tbo;

    make(&tbo, BYTES);
    while (stat_of("waits") == waits) {
        uintptr_t fence = begin_use(&tbo, VGEM_FENCE_WRITE);

        CHECK_INT(pthread_create(&thread, NULL, end_use_soon, (void *)fence),
                  ==, 0);
        shrink(PAGES);
        pthread_join(thread, NULL);
        check_intact(&tbo);
    }
}

static bool is_loaded(const char *name)
{
    FILE *file = fopen("/proc/modules", "r");
    char line[256], module[64];
    bool found = false;

    CHECK(file);
    while (fgets(line, sizeof(line), file)) {
        found |= sscanf(line, "%63s", module) == 1 && !strcmp(module, name);
    }
    fclose(file);
    return found;
}

/* Reclaim takes nothing of virtio. */
static void test_without_virtio(void)
{
    CHECK(is_loaded("drm_gem_shmem_reclaim"));
    CHECK(is_loaded("vgem"));
    CHECK(!is_loaded("virtio_gpu"));
}

/* The module stays while buffers are in use, and leaves nothing behind. */
static void test_reload(void)
{
    TestBo tbo;

    env.gpu = gpu_open();
    make(&tbo, BYTES);
    shrink_all();
    close(env.gpu);
    CHECK(system("rmmod vgem 2>/dev/null") != 0);   /* the mapping remains */
    check_intact(&tbo);
    munmap(tbo.bo.map, BYTES);

    CHECK_INT(system("rmmod vgem"), ==, 0);
    CHECK_INT(stat_of("bo_bytes"), ==, -1);
    CHECK_INT(system("insmod " MODULE), ==, 0);
    CHECK(bo_select_driver(&bo_driver_vgem));
    CHECK_INT(stat_of("bo_bytes"), ==, 0);
    env.gpu = gpu_open();
    CHECK_INT(env.gpu, >=, 0);
    make(&tbo, BYTES);
    dontneed(&tbo);
    shrink_all();
    CHECK(!willneed(&tbo));
    check_zero(&tbo);
}

const TestCase tests_vgem[] = {
    { "vgem/in-use-not-purged", test_in_use_not_purged, 0 },
    { "vgem/in-use-not-evicted", test_in_use_not_evicted, 0 },
    { "vgem/wait-for-use", test_wait_for_use, 0 },
    { "vgem/without-virtio", test_without_virtio, 0 },
    { "vgem/reload", test_reload, CHANGES_DRIVER | NEEDS_NO_GPU },
    { NULL, NULL, 0 },
};
