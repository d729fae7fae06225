/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Evicting buffers: no byte is lost, whatever uses them next.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>

#include "submit.h"
#include "test.h"

#define BYTES (256 * KIB)
#define PAGES (BYTES / PAGE_BYTES)
#define MIB_BYTES (1024 * KIB)

/* Size of each of many buffers. */
#define EACH_BYTES (1 * MIB_BYTES)

static void make_evicted(TestBo *tbo)
{
    make(tbo, BYTES);
    shrink_all();
    CHECK_INT(stat_of("evicted_bytes"), ==, BYTES);
}

static void test_read(void)
{
    TestBo tbo;

    make_evicted(&tbo);
    check_intact(&tbo);
    check_host(&tbo);
}

static void test_write(void)
{
    TestBo tbo;

    make_evicted(&tbo);
    test_bo_rewrite(&tbo, 1);
    check_intact(&tbo);
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, 0);
    check_host(&tbo);
}

/* Writes that were not uploaded are in the guest pages only. */
static void test_not_uploaded(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    test_bo_rewrite(&tbo, 1);
    shrink_all();
    check_intact(&tbo);
    test_bo_rewrite(&tbo, 2);
    shrink_all();
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, 0);
    check_host(&tbo);
}

static void test_upload(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    test_bo_fill(&tbo, 1);
    shrink_all();
    check_upload(&tbo);
}

static void test_download(void)
{
    uint32_t page;
    TestBo tbo;

    make(&tbo, BYTES);
    for (page = 0; page < PAGES; page++) {
        pattern_poison(tbo.bo.map + page * PAGE_BYTES);
    }
    shrink_all();
    CHECK_INT(bo_download(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    check_intact(&tbo);
}

/* Data written by the device is in the guest pages only. */
static void test_after_download(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    memset(tbo.bo.map, 0, BYTES);
    CHECK_INT(bo_download(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    shrink_all();
    check_intact(&tbo);
}

static void test_submit(void)
{
    TestBo from, to;

    make_from(env.gpu, &from, 1, BYTES, BO_TEXTURE);
    make_from(env.gpu, &to, 2, BYTES, BO_TEXTURE);
    shrink_all();
    CHECK_INT(submit_copy(env.gpu, &from, &to), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &to.bo), ==, 0);
    check_intact(&from);
    check_intact(&to);      /* its guest pages are unchanged */
    check_host(&from);
    to.index = from.index;
    check_host(&to);
}

static void test_submit_many(void)
{
    enum { COUNT = 16 };
    TestBo *tbo = make_many(COUNT, BYTES);
    const TestBo *all[COUNT];
    long long reattaches;
    int i;

    for (i = 0; i < COUNT; i++) {
        all[i] = &tbo[i];
    }
    shrink_all();
    reattaches = stat_of("reattaches");
    CHECK_INT(submit_nothing(env.gpu, all, COUNT), ==, 0);
    CHECK_INT(stat_of("reattaches"), ==, reattaches + COUNT);
    for (i = 0; i < COUNT; i++) {
        check_intact(&tbo[i]);
        check_host(&tbo[i]);
    }
    release_many(tbo, COUNT);
}

static void test_statistics(void)
{
    long long evictions = stat_of("evictions");
    long long refaults = stat_of("refaults");
    long long resident = stat_of("resident_bytes");
    TestBo tbo;

    make_evicted(&tbo);
    CHECK_INT(stat_of("evictions"), ==, evictions + 1);
    CHECK_INT(stat_of("refaults"), ==, refaults);
    CHECK_INT(stat_of("resident_bytes"), ==, resident);
    check_intact(&tbo);
    CHECK_INT(stat_of("refaults"), ==, refaults + 1);
    CHECK_INT(stat_of("evicted_bytes"), ==, 0);
    CHECK_INT(stat_of("resident_bytes"), ==, resident + BYTES);
}

/* Use without memory pressure does not reattach. */
static void test_no_churn(void)
{
    long long reattaches, refaults;
    TestBo tbo;
    int i;

    make(&tbo, BYTES);
    reattaches = stat_of("reattaches");
    refaults = stat_of("refaults");
    for (i = 1; i <= 20; i++) {
        test_bo_rewrite(&tbo, i);
        CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, 0);
        CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    }
    CHECK_INT(stat_of("reattaches"), ==, reattaches);
    CHECK_INT(stat_of("refaults"), ==, refaults);
}

static void test_unpopulated(void)
{
    long long evictions = stat_of("evictions");
    TestBo tbo = { 0 };

    CHECK_INT(bo_create(env.gpu, BO_TEXTURE, BYTES, &tbo.bo), ==, 0);
    CHECK_INT(stat_of("unpopulated_bytes"), ==, BYTES);
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions);
    check_zero(&tbo);
}

/* vgem knows no use but page faults: fault it in, through a new mapping. */
static void use(const TestBo *tbo)
{
    volatile uint8_t *map;

    CHECK_INT(bo_upload(env.gpu, &tbo->bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo->bo), ==, 0);
    if (env.is_vgem) {
        map = map_anew(tbo, PAGE_BYTES, PROT_READ, MAP_SHARED);
        CHECK(map != MAP_FAILED);
        (void)*map;
        munmap((void *)map, PAGE_BYTES);
    }
}

static void test_least_recently_used_first(void)
{
    enum { COUNT = 8 };
    TestBo *tbo = make_many(COUNT, BYTES);
    long long refaults;
    int i;

    for (i = 0; i < COUNT; i += 2) {
        use(&tbo[i]);
    }
    check_shrink(COUNT / 2 * PAGES, COUNT / 2 * PAGES);
    refaults = stat_of("refaults");
    for (i = 0; i < COUNT; i += 2) {
        check_intact(&tbo[i]);
    }
    CHECK_INT(stat_of("refaults"), ==, refaults);
    for (i = 1; i < COUNT; i += 2) {
        check_intact(&tbo[i]);
    }
    CHECK_INT(stat_of("refaults"), ==, refaults + COUNT / 2);
    release_many(tbo, COUNT);
}

static void test_repeatedly(void)
{
    TestBo tbo;
    int i;

    make(&tbo, BYTES);
    for (i = 1; i <= 30; i++) {
        shrink_all();
        test_bo_rewrite(&tbo, i);
        shrink_all();
        CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, 0);
        check_intact(&tbo);
    }
    check_host(&tbo);
}

static void test_dontneed_after_evict(void)
{
    TestBo tbo;

    make_evicted(&tbo);
    dontneed(&tbo);
    CHECK(willneed(&tbo));
    check_intact(&tbo);
    check_host(&tbo);
}

static void test_more_than_one_request(void)
{
    enum { COUNT = 150, SMALL = 64 * KIB };
    long long evictions = stat_of("evictions");
    TestBo *tbo = make_many(COUNT, SMALL);
    int i;

    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions + COUNT);
    for (i = 0; i < COUNT; i++) {
        check_intact(&tbo[i]);
    }
    release_many(tbo, COUNT);
}

static void test_one_page(void)
{
    TestBo tbo;

    make_from(env.gpu, &tbo, 3, PAGE_BYTES, BO_TEXTURE);
    shrink_all();
    check_intact(&tbo);
    check_host(&tbo);
}

/* A large buffer, whose pages are scattered after the swap-in. */
static void test_large(void)
{
    size_t bytes = (env.is_debug ? 8 : 72) * MIB_BYTES;
    TestBo tbo;

    make_from(env.gpu, &tbo, 4, bytes, BO_BUFFER);
    shrink_all();
    check_memory_hog(90);
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    check_intact(&tbo);
}

#define SHMEM_HUGE "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

static void set_huge_pages(const char *when)
{
    FILE *file = fopen(SHMEM_HUGE, "w");

    if (!file) {
        test_skip("this kernel has no huge pages for files");
    }
    CHECK(fputs(when, file) >= 0);
    CHECK_INT(fclose(file), ==, 0);
}

/* Huge pages of shmem files in use, in bytes. */
static long long huge_pages(void)
{
    return meminfo_of("ShmemHugePages");
}

/* Huge pages are evicted and swapped in like others. */
static void test_huge_pages(void)
{
    enum { HUGE_BYTES = 8 * MIB_BYTES };
    long long before = huge_pages();
    TestBo tbo;

    set_huge_pages("force");
    make(&tbo, HUGE_BYTES);
    set_huge_pages("never");
    if (huge_pages() <= before) {
        test_skip("there are no huge pages left");
    }
    shrink_all();
    check_memory_hog(90);
    check_intact(&tbo);
    test_bo_fill(&tbo, 1);
    check_upload(&tbo);
    dontneed(&tbo);
    shrink_all();
    CHECK(!willneed(&tbo));
    check_zero(&tbo);
}

static void touch(TestBo *tbo, unsigned round)
{
    test_bo_rewrite(tbo, round);
    CHECK_INT(bo_upload(env.gpu, &tbo->bo), ==, 0);
}

static void rotate(unsigned (*which)(unsigned i, unsigned count))
{
    long long evictions = stat_of("evictions");
    unsigned count, i;
    TestBo *tbo;

    limit_memory();
    count = count_for(125, EACH_BYTES);     /* more than the memory */
    tbo = make_many(count, EACH_BYTES);
    CHECK_INT(stat_of("evictions"), >, evictions);
    for (i = 0; i < count; i++) {
        touch(&tbo[which(i, count)], i + 1);
    }
    for (i = 0; i < count; i++) {
        check_intact(&tbo[i]);
    }
    check_host(&tbo[0]);
    check_host(&tbo[count - 1]);
    release_many(tbo, count);
}

static unsigned in_order(unsigned i, unsigned count)
{
    return i % count;
}

static unsigned in_reverse(unsigned i, unsigned count)
{
    return count - 1 - i % count;
}

static unsigned at_random(unsigned i, unsigned count)
{
    return i * 2654435761u % 65521 % count;
}

static void test_rotate_in_order(void)
{
    rotate(in_order);
}

static void test_rotate_in_reverse(void)
{
    rotate(in_reverse);
}

static void test_rotate_at_random(void)
{
    rotate(at_random);
}

/* A memory hog is the only source of memory pressure. */
static void test_memory_hog(void)
{
    unsigned count, i;
    TestBo *tbo;

    limit_memory();
    count = count_for(75, EACH_BYTES);
    tbo = make_many(count, EACH_BYTES);
    press_locked("evictions", 40);
    for (i = 0; i < count; i++) {
        check_intact(&tbo[i]);
        touch(&tbo[i], 1);
    }
    check_host(&tbo[count / 2]);
    release_many(tbo, count);
}

const TestCase tests_evict[] = {
    { "evict/read", test_read, 0 },
    { "evict/write", test_write, 0 },
    { "evict/not-uploaded", test_not_uploaded, 0 },
    { "evict/upload", test_upload, 0 },
    { "evict/download", test_download, NEEDS_3D },
    { "evict/after-download", test_after_download, NEEDS_3D },
    { "evict/submit", test_submit, NEEDS_3D },
    { "evict/submit-many", test_submit_many, NEEDS_3D },
    { "evict/statistics", test_statistics, 0 },
    { "evict/no-churn", test_no_churn, 0 },
    { "evict/unpopulated", test_unpopulated, 0 },
    { "evict/least-recently-used-first", test_least_recently_used_first, 0 },
    { "evict/repeatedly", test_repeatedly, 0 },
    { "evict/dontneed-after-evict", test_dontneed_after_evict, 0 },
    { "evict/more-than-one-request", test_more_than_one_request, 0 },
    { "evict/one-page", test_one_page, 0 },
    { "evict/large", test_large, NEEDS_ROOM | NEEDS_FEATURE | NEEDS_SWAP },
    { "evict/huge-pages", test_huge_pages, NEEDS_SWAP },
    { "evict/rotate-in-order", test_rotate_in_order, NEEDS_ROOM | NEEDS_SWAP },
    { "evict/rotate-in-reverse", test_rotate_in_reverse,
      NEEDS_ROOM | NEEDS_SWAP },
    { "evict/rotate-at-random", test_rotate_at_random, NEEDS_ROOM | NEEDS_SWAP },
    { "evict/memory-hog", test_memory_hog, NEEDS_ROOM | NEEDS_SWAP },
    { NULL, NULL, 0 },
};
