/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Purging buffers that are DONTNEED.
 */

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "submit.h"
#include "test.h"

#define BYTES (256 * KIB)
#define PAGES (BYTES / PAGE_BYTES)
#define RW    (PROT_READ | PROT_WRITE)

/* A buffer that is purged and still DONTNEED. */
static void make_purged(TestBo *tbo)
{
    long long purges = stat_of("purges");

    make(tbo, BYTES);
    dontneed(tbo);
    shrink_all();
    CHECK_INT(stat_of("purges"), ==, purges + 1);
}

static void test_willneed_reads_zero(void)
{
    TestBo tbo;

    make_purged(&tbo);
    CHECK(!willneed(&tbo));
    check_zero(&tbo);
}

static void test_willneed_twice_retained(void)
{
    TestBo tbo;

    make_purged(&tbo);
    CHECK(!willneed(&tbo));
    CHECK(willneed(&tbo));
    check_zero(&tbo);
}

static void test_dontneed_again_not_retained(void)
{
    bool retained;
    TestBo tbo;

    make_purged(&tbo);
    CHECK_INT(bo_madvise(env.gpu, &tbo.bo, VIRTGPU_MADV_DONTNEED, &retained),
              ==, 0);
    CHECK(!retained);
    check_sigbus(&tbo);
    CHECK(!willneed(&tbo));
}

static void test_zero_on_host(void)
{
    PageCounts counts = { 0 };
    TestBo tbo;

    make_purged(&tbo);
    CHECK(!willneed(&tbo));
    CHECK_INT(test_bo_check_host(&tbo, env.gpu, &counts), ==, 0);
    CHECK_INT(counts.zero, ==, PAGES);
}

static void test_access_while_dontneed(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    dontneed(&tbo);
    check_intact(&tbo);
}

static void test_access_while_purged_sigbus(void)
{
    TestBo tbo;

    make_purged(&tbo);
    check_sigbus(&tbo);
    check_sigbus(&tbo);
    CHECK(!willneed(&tbo));
    check_zero(&tbo);
}

static void test_syscall_while_purged_efault(void)
{
    int line[2];
    TestBo tbo;

    make_purged(&tbo);
    CHECK_INT(pipe(line), ==, 0);
    CHECK(write(line[1], tbo.bo.map, 16) < 0);
    CHECK_INT(errno, ==, EFAULT);
}

static void test_upload_while_purged_enodata(void)
{
    TestBo tbo;

    make_purged(&tbo);
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, -ENODATA);
    CHECK(!willneed(&tbo));
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, 0);
}

static void test_download_while_purged_enodata(void)
{
    TestBo tbo;

    make_purged(&tbo);
    CHECK_INT(bo_download(env.gpu, &tbo.bo), ==, -ENODATA);
    CHECK(!willneed(&tbo));
    CHECK_INT(bo_download(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    check_zero(&tbo);
}

static void test_submit_while_purged_enodata(void)
{
    TestBo good, purged;

    make_purged(&purged);
    make(&good, BYTES);
    CHECK_INT(submit_nothing(env.gpu, (const TestBo *[]) { &good, &purged }, 2),
              ==, -ENODATA);
    CHECK(!willneed(&purged));
    CHECK_INT(submit_nothing(env.gpu, (const TestBo *[]) { &good, &purged }, 2),
              ==, 0);
    CHECK_INT(bo_wait(env.gpu, &good.bo), ==, 0);
    check_intact(&good);
    check_host(&good);
}

static void test_submit_while_dontneed(void)
{
    TestBo from, to;

    make_from(env.gpu, &from, 1, BYTES, BO_TEXTURE);
    make_from(env.gpu, &to, 2, BYTES, BO_TEXTURE);
    dontneed(&from);
    CHECK_INT(submit_copy(env.gpu, &from, &to), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &to.bo), ==, 0);
    CHECK(willneed(&from));
    to.index = from.index;
    check_host(&to);
}

static void test_wait_while_purged(void)
{
    TestBo tbo;

    make_purged(&tbo);
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
}

static void test_mmap_while_dontneed_enodata(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    dontneed(&tbo);
    CHECK(map_anew(&tbo, BYTES, RW, MAP_SHARED) == MAP_FAILED);
    CHECK_INT(errno, ==, ENODATA);
    CHECK(willneed(&tbo));
    CHECK(map_anew(&tbo, BYTES, RW, MAP_SHARED) != MAP_FAILED);
}

static void test_mmap_while_purged_enodata(void)
{
    void *map;
    TestBo tbo;

    make_purged(&tbo);
    CHECK(map_anew(&tbo, BYTES, RW, MAP_SHARED) == MAP_FAILED);
    CHECK_INT(errno, ==, ENODATA);
    CHECK(!willneed(&tbo));
    map = map_anew(&tbo, BYTES, RW, MAP_SHARED);
    CHECK(map != MAP_FAILED);
    test_bo_fill(&tbo, 1);
    CHECK(pattern_check(map, (PageId) { tbo.index, 0, 1 }) == PAGE_GOOD);
}

static void test_use_after_willneed(void)
{
    TestBo tbo;

    make_purged(&tbo);
    CHECK(!willneed(&tbo));
    test_bo_fill(&tbo, 2);
    check_upload(&tbo);
}

static void test_repeatedly(void)
{
    TestBo tbo;
    int i;

    make(&tbo, BYTES);
    for (i = 0; i < 20; i++) {
        dontneed(&tbo);
        shrink_all();
        CHECK(!willneed(&tbo));
        test_bo_fill(&tbo, i + 1);
        check_upload(&tbo);
    }
}

static void test_free(void)
{
    long long purged = stat_of("purged_bytes");
    long long bytes = stat_of("bo_bytes");
    TestBo tbo;

    make_purged(&tbo);
    CHECK_INT(stat_of("purged_bytes"), ==, purged + BYTES);
    release(&tbo);
    /* A worker may drop the last reference. */
    wait_for_stat("bo_bytes", bytes);
    CHECK_INT(stat_of("purged_bytes"), ==, purged);
}

static void test_free_mapped(void)
{
    TestBo tbo;

    make_purged(&tbo);
    CHECK_INT(gem_close(env.gpu, tbo.bo.handle), ==, 0);
    check_sigbus(&tbo);
    CHECK_INT(munmap(tbo.bo.map, BYTES), ==, 0);
}

static void test_only_dontneed(void)
{
    enum { COUNT = 30 };
    TestBo *tbo = make_many(COUNT, BYTES);
    int i;

    for (i = 0; i < COUNT; i += 3) {
        dontneed(&tbo[i]);
    }
    shrink_all();
    for (i = 0; i < COUNT; i++) {
        CHECK_INT(willneed(&tbo[i]), ==, i % 3 != 0);
        check_contents(&tbo[i], i % 3 != 0);
    }
    release_many(tbo, COUNT);
}

/* More than fit into one request to the device. */
static void test_more_than_one_request(void)
{
    enum { COUNT = 150, SMALL = 64 * KIB };
    long long purges = stat_of("purges");
    TestBo *tbo = make_many(COUNT, SMALL);
    int i;

    for (i = 0; i < COUNT; i++) {
        dontneed(&tbo[i]);
    }
    CHECK_INT(stat_of("dontneed_bytes"), ==, COUNT * SMALL);
    shrink_all();
    CHECK_INT(stat_of("purges"), ==, purges + COUNT);
    CHECK_INT(stat_of("purged_bytes"), ==, COUNT * SMALL);
    for (i = 0; i < COUNT; i++) {
        CHECK(!willneed(&tbo[i]));
    }
    check_zero(&tbo[0]);
    check_zero(&tbo[COUNT - 1]);
    release_many(tbo, COUNT);
}

static void test_no_more_than_requested(void)
{
    enum { COUNT = 16 };
    TestBo *tbo = make_many(COUNT, BYTES);
    long long purges = stat_of("purges");
    int i;

    for (i = 0; i < COUNT; i++) {
        dontneed(&tbo[i]);
    }
    CHECK_INT(shrink(0), ==, 0);
    CHECK_INT(stat_of("purges"), ==, purges);
    check_shrink(3 * PAGES, 3 * PAGES);
    CHECK_INT(stat_of("purges"), ==, purges + 3);
    check_shrink(1, PAGES);
    CHECK_INT(stat_of("purges"), ==, purges + 4);
    release_many(tbo, COUNT);
}

static void test_least_recently_marked_first(void)
{
    enum { COUNT = 8 };
    static const int order[COUNT] = { 5, 2, 7, 0, 6, 1, 4, 3 };
    TestBo *tbo = make_many(COUNT, BYTES);
    int i;

    for (i = 0; i < COUNT; i++) {
        dontneed(&tbo[order[i]]);
    }
    check_shrink(4 * PAGES, 4 * PAGES);
    for (i = 0; i < COUNT; i++) {
        CHECK_INT(willneed(&tbo[order[i]]), ==, i >= 4);
    }
    release_many(tbo, COUNT);
}

/*
 * A scan is bounded by its work: purging a buffer whose pages are in swap frees
 * none, and counts all the same.
 */
static void test_swapped_counts_as_work(void)
{
    enum { COUNT = 200 };
    long long swapped, purges = stat_of("purges");
    TestBo *tbo;
    int i;

    charge_own_memory();
    tbo = make_many(COUNT, PAGE_BYTES);
    /* Some stay on their way to a list of pages to reclaim. */
    swapped = meminfo_of("Shmem") - COUNT / 2 * PAGE_BYTES;
    shrink_all();
    swap_own_memory(swapped);
    for (i = 0; i < COUNT; i++) {
        dontneed(&tbo[i]);
    }
    for (i = 1; i <= 3; i++) {
        shrink(1);
        CHECK_INT(stat_of("purges"), ==, purges + i);
    }
    shrink_all();
    CHECK_INT(stat_of("purges"), ==, purges + COUNT);
    release_many(tbo, COUNT);
}

/* DONTNEED buffers are purged before others are evicted. */
static void test_before_evicting(void)
{
    TestBo needed, marked;
    long long evictions;

    make(&needed, BYTES);
    make(&marked, BYTES);
    dontneed(&marked);
    evictions = stat_of("evictions");
    check_shrink(PAGES, PAGES);
    CHECK_INT(stat_of("evictions"), ==, evictions);
    CHECK(!willneed(&marked));
    check_intact(&needed);
}

static void test_evicted(void)
{
    long long purges = stat_of("purges");
    TestBo tbo;

    make(&tbo, BYTES);
    shrink_all();
    CHECK_INT(stat_of("evicted_bytes"), ==, BYTES);
    dontneed(&tbo);
    shrink_all();
    CHECK_INT(stat_of("purges"), ==, purges + 1);
    CHECK_INT(stat_of("evicted_bytes"), ==, 0);
    CHECK(!willneed(&tbo));
    check_zero(&tbo);
}

/* The device may still use it: it is purged later or not at all. */
static void test_while_busy(void)
{
    enum { COUNT = 16 };
    TestBo *tbo = make_many(COUNT, BYTES);
    int i, round;

    for (round = 1; round <= 4; round++) {
        for (i = 0; i < COUNT; i++) {
            test_bo_fill(&tbo[i], round);
            CHECK_INT(bo_upload(env.gpu, &tbo[i].bo), ==, 0);
            dontneed(&tbo[i]);
        }
        shrink(COUNT * PAGES);
        for (i = 0; i < COUNT; i++) {
            check_contents(&tbo[i], willneed(&tbo[i]));
        }
    }
    release_many(tbo, COUNT);
}

/*
 * A scan that may sleep waits for busy buffers. The device may be faster, so
 * repeat until a wait was counted, or the case times out.
 */
static void test_wait_for_busy(void)
{
    long long waits = stat_of("waits");
    bool retained;
    TestBo tbo;
    int round;

    make(&tbo, BYTES);
    for (round = 1; stat_of("waits") == waits; round++) {
        test_bo_rewrite(&tbo, round);
        CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, 0);
        dontneed(&tbo);
        shrink(PAGES);
        retained = willneed(&tbo);
        check_contents(&tbo, retained);
        if (!retained) {
            test_bo_fill(&tbo, round);
        }
    }
}

static void test_free_pages(void)
{
    enum { COUNT = 8, LARGE = 1024 * KIB };
    TestBo *tbo = make_many(COUNT, LARGE);
    long long resident = stat_of("resident_bytes");
    int i;

    for (i = 0; i < COUNT; i++) {
        dontneed(&tbo[i]);
    }
    shrink_all();
    CHECK_INT(stat_of("resident_bytes"), ==, resident - COUNT * LARGE);
    for (i = 0; i < COUNT; i++) {
        CHECK(!willneed(&tbo[i]));
    }
    /* WILLNEED does not populate. */
    CHECK_INT(stat_of("resident_bytes"), ==, resident - COUNT * LARGE);
    CHECK_INT(stat_of("unpopulated_bytes"), ==, COUNT * LARGE);
    release_many(tbo, COUNT);
}

const TestCase tests_purge[] = {
    { "purge/willneed-reads-zero", test_willneed_reads_zero, 0 },
    { "purge/willneed-twice-retained", test_willneed_twice_retained, 0 },
    { "purge/dontneed-again-not-retained", test_dontneed_again_not_retained,
      0 },
    { "purge/zero-on-host", test_zero_on_host, NEEDS_3D },
    { "purge/access-while-dontneed", test_access_while_dontneed, 0 },
    { "purge/access-while-purged-sigbus", test_access_while_purged_sigbus, 0 },
    { "purge/syscall-while-purged-efault", test_syscall_while_purged_efault,
      0 },
    { "purge/upload-while-purged-enodata", test_upload_while_purged_enodata,
      NEEDS_VIRTIO },
    { "purge/download-while-purged-enodata", test_download_while_purged_enodata,
      NEEDS_3D },
    { "purge/submit-while-purged-enodata", test_submit_while_purged_enodata,
      NEEDS_3D },
    { "purge/submit-while-dontneed", test_submit_while_dontneed, NEEDS_3D },
    { "purge/wait-while-purged", test_wait_while_purged, 0 },
    { "purge/mmap-while-dontneed-enodata", test_mmap_while_dontneed_enodata,
      0 },
    { "purge/mmap-while-purged-enodata", test_mmap_while_purged_enodata, 0 },
    { "purge/use-after-willneed", test_use_after_willneed, 0 },
    { "purge/repeatedly", test_repeatedly, 0 },
    { "purge/free", test_free, 0 },
    { "purge/free-mapped", test_free_mapped, 0 },
    { "purge/only-dontneed", test_only_dontneed, 0 },
    { "purge/more-than-one-request", test_more_than_one_request, 0 },
    { "purge/no-more-than-requested", test_no_more_than_requested, 0 },
    { "purge/swapped-counts-as-work", test_swapped_counts_as_work,
      NEEDS_SWAP },
    { "purge/least-recently-marked-first", test_least_recently_marked_first,
      0 },
    { "purge/before-evicting", test_before_evicting, 0 },
    { "purge/evicted", test_evicted, 0 },
    { "purge/while-busy", test_while_busy, 0 },
    { "purge/wait-for-busy", test_wait_for_busy, NEEDS_3D },
    { "purge/free-pages", test_free_pages, 0 },
    { NULL, NULL, 0 },
};
