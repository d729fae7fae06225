/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is particular to a configuration of the machine. Each case is skipped by
 * all guests but one or two; the other cases run on these as well.
 */

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "stall.h"
#include "test.h"

#define BYTES (256 * KIB)
#define EACH  (1024 * KIB)

/* The device of the bus that virtio is on. */
#define GPU "/sys/class/drm/renderD128/device/"
#define FIRST_DEBUGFS  "/sys/kernel/debug/dri/0/"
#define SECOND_DEBUGFS "/sys/kernel/debug/dri/1/"

/* A bound that only a hang exceeds. */
#define PURGED_MS 60000

/* The first line of the only file that @pattern matches; false if none does. */
static bool read_line(const char *pattern, char *line, size_t size)
{
    bool ok = false;
    glob_t found;
    FILE *file;

    if (glob(pattern, 0, NULL, &found)) {
        return false;
    }
    file = fopen(found.gl_pathv[0], "r");
    if (file) {
        ok = fgets(line, size, file);
        fclose(file);
    }
    globfree(&found);
    return ok;
}

static void check_all(void)
{
    TestBo evicted, purged;

    make(&evicted, BYTES);
    make(&purged, BYTES);
    dontneed(&purged);
    shrink_all();
    CHECK_INT(stat_of("evicted_bytes"), ==, BYTES);
    check_intact(&evicted);
    check_host(&evicted);
    CHECK(!willneed(&purged));
    test_bo_fill(&purged, 1);
    check_upload(&purged);
}

/* Addresses of the device are those of an IOMMU. */
static void test_iommu(void)
{
    char type[32];

    if (!read_line(GPU "iommu_group/type", type, sizeof(type))) {
        test_skip("needs an IOMMU");
    }
    CHECK(strncmp(type, "DMA", 3) == 0);
    check_all();
}

/*
 * The device uses a copy of the pages. An object that could lose writes by that
 * stays where it is; it can still be purged, and its memory is free then.
 */
static void test_bounced(void)
{
    long long evictions = stat_of("evictions");
    char used[32];
    TestBo needed, marked;

    make(&needed, BYTES);
    if (!read_line("/sys/kernel/debug/swiotlb/io_tlb_used", used,
                   sizeof(used)) || stat_of("willneed_bytes")) {
        test_skip("needs bounce buffers for the GPU");
    }
    make(&marked, BYTES);
    dontneed(&marked);
    test_bo_rewrite(&needed, 1);
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions);
    CHECK_INT(stat_of("purged_bytes"), ==, BYTES);
    /* Downloads do not reach the pages: the stock driver does not sync them. */
    CHECK_INT(bo_upload(env.gpu, &needed.bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &needed.bo), ==, 0);
    check_intact(&needed);
    CHECK(!willneed(&marked));
    check_zero(&marked);
}

/*
 * Swap in memory: eviction leads there like anywhere else. Pages of one byte
 * take next to nothing in it.
 */
static void test_zram(void)
{
    enum { COUNT = 24 };
    long long free_before = meminfo_of("SwapFree");
    size_t hog_bytes = env.memory / 10 * 12, i;
    TestBo tbo[COUNT] = { 0 };
    char line[32], *hog;
    int n;

    if (!read_line("/sys/block/zram0/disksize", line, sizeof(line)) ||
        atoll(line) == 0) {
        test_skip("needs zram");
    }
    for (n = 0; n < COUNT; n++) {
        CHECK_INT(bo_create(env.gpu, BO_TEXTURE, EACH, &tbo[n].bo), ==, 0);
        memset(tbo[n].bo.map, n + 1, EACH);
        CHECK_INT(bo_upload(env.gpu, &tbo[n].bo), ==, 0);
        CHECK_INT(bo_wait(env.gpu, &tbo[n].bo), ==, 0);
    }
    shrink_all();
    hog = mmap(NULL, hog_bytes, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(hog != MAP_FAILED);
    memset(hog, COUNT + 1, hog_bytes);
    CHECK_INT(meminfo_of("SwapFree"), <, free_before - COUNT * (long long)EACH);
    CHECK_INT(munmap(hog, hog_bytes), ==, 0);
    for (n = 0; n < COUNT; n++) {
        const unsigned char *map = tbo[n].bo.map;

        for (i = 0; i < EACH; i++) {
            CHECK_INT(map[i], ==, n + 1);
        }
        CHECK_INT(bo_upload(env.gpu, &tbo[n].bo), ==, 0);
        release(&tbo[n]);
    }
}

static int open_second(void)
{
    int gpu = open("/dev/dri/renderD129", O_RDWR | O_CLOEXEC);

    if (gpu < 0) {
        test_skip("needs two GPUs");
    }
    return gpu;
}

/* A buffer of the second GPU, which is a 2D device: that has no fences. */
static void make_on_second(int gpu, TestBo *tbo)
{
    *tbo = (TestBo) { .index = 7 };
    CHECK_INT(bo_create(gpu, BO_TEXTURE, BYTES, &tbo->bo), ==, 0);
    test_bo_fill(tbo, 0);
    CHECK_INT(bo_upload(gpu, &tbo->bo), ==, 0);
    while (stat_in(SECOND_DEBUGFS, "queued")) {
        usleep(1000);
    }
}

static void wait_for_purge(const char *dir)
{
    int waited;

    for (waited = 0; waited < PURGED_MS && stat_in(dir, "purged_bytes") == 0;
         waited += 10) {
        drop_caches();
        usleep(10000);
    }
    CHECK_INT(stat_in(dir, "purged_bytes"), ==, BYTES);
}

/* Memory pressure reaches both. */
static void test_two_gpus(void)
{
    int second = open_second();
    TestBo first_bo, second_bo, kept;

    make(&first_bo, BYTES);
    make_on_second(second, &second_bo);
    make_on_second(second, &kept);
    dontneed(&first_bo);
    CHECK_INT(madvise_as(second, &second_bo, VIRTGPU_MADV_DONTNEED), ==, 0);
    wait_for_purge(FIRST_DEBUGFS);
    wait_for_purge(SECOND_DEBUGFS);
    check_sigbus(&first_bo);
    check_sigbus(&second_bo);
    check_intact(&kept);
}

/* One that does not respond leaves the other alone. */
static void test_two_gpus_one_stalled(void)
{
    int second = open_second();
    TestBo first_bo, second_bo;

    make(&first_bo, BYTES);
    make_on_second(second, &second_bo);
    dontneed(&first_bo);
    CHECK_INT(madvise_as(second, &second_bo, VIRTGPU_MADV_DONTNEED), ==, 0);
    stall();
    wait_for_purge(SECOND_DEBUGFS);
    check_intact(&first_bo);
    stall_end();
    shrink_all();
    CHECK(!willneed(&first_bo));
}

const TestCase tests_config[] = {
    { "config/iommu", test_iommu, 0 },
    { "config/bounced", test_bounced, 0 },
    { "config/zram", test_zram, 0 },
    { "config/two-gpus", test_two_gpus, 0 },
    { "config/two-gpus-one-stalled", test_two_gpus_one_stalled, 0 },
    { NULL, NULL, 0 },
};
