/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vgem: a driver without a device, whose clients signal the fences.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm.h>
#include <drm/vgem_drm.h>

#include "screen.h"
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

/* The driver of the other graphics card; it stays, with the console on it. */
static int cirrus_open(void)
{
    int card;

    CHECK_INT(system("for module in $(grep -vxFf /loaded "
                     "/modules/stock-cirrus.order); do "
                     "    insmod /modules/$module && "
                     "    echo $module >>/loaded || exit 1; "
                     "done"), ==, 0);
    card = open("/dev/dri/card1", O_RDWR | O_CLOEXEC);
    CHECK_INT(card, >=, 0);
    return card;
}

static uint32_t import_to(int card, const TestBo *tbo)
{
    struct drm_prime_handle prime = {
        .handle = tbo->bo.handle, .flags = O_RDWR | O_CLOEXEC,
    };

    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), ==,
              0);
    CHECK_INT(drm_request(card, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime), ==, 0);
    close(prime.fd);
    return prime.handle;
}

/* Nothing takes the pages of @tbo. */
static void check_pinned(const TestBo *tbo)
{
    long long evictions = stat_of("evictions");

    CHECK_INT(stat_of("pinned_bytes"), ==, tbo->bo.bytes);
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions);
    CHECK_INT(stat_of("pinned_bytes"), ==, tbo->bo.bytes);
    check_intact(tbo);
}

/*
 * Another driver shows the buffer: it attaches to the dma-buf, and maps it in the
 * kernel to copy from it. (None maps it without attaching.) The pages stay the
 * same for that long, and not longer.
 */
static void test_shown_elsewhere(void)
{
    char console[128], before[128], after[128];
    struct drm_gem_close imported = { 0 };
    int card = cirrus_open();
    long long evictions;
    uint32_t id;
    TestBo tbo;

    make_from(env.gpu, &tbo, 1, SCREEN_BYTES, BO_TEXTURE);
    shrink_all();
    CHECK_INT(stat_of("evicted_bytes"), ==, SCREEN_BYTES);
    imported.handle = import_to(card, &tbo);
    check_pinned(&tbo);

    screen_wait(console, sizeof(console), "");
    id = screen_framebuffer(card, imported.handle);
    screen_show(card, id);
    screen_wait(before, sizeof(before), console);
    check_pinned(&tbo);
    test_bo_fill(&tbo, 1);
    screen_flush(card, id);
    screen_wait(after, sizeof(after), before);
    check_pinned(&tbo);

    /* Not shown any more, and still attached. */
    CHECK_INT(drm_request(card, DRM_IOCTL_MODE_RMFB, &id), ==, 0);
    check_pinned(&tbo);

    evictions = stat_of("evictions");
    CHECK_INT(drm_request(card, DRM_IOCTL_GEM_CLOSE, &imported), ==, 0);
    wait_for_stat("pinned_bytes", 0);
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions + 1);
    check_intact(&tbo);
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
    { "vgem/shown-elsewhere", test_shown_elsewhere, NEEDS_SWAP },
    { "vgem/reload", test_reload, CHANGES_DRIVER | NEEDS_NO_GPU },
    { NULL, NULL, 0 },
};
