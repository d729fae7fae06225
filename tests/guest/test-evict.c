/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Evicting buffers that are needed: not a byte may be lost, whichever way they
 * are used next.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>

#include "submit.h"
#include "test.h"

#define BYTES (256 * KIB)
#define PAGES (BYTES / PAGE_BYTES)
#define MIB_BYTES (1024 * KIB)

/* Where there are many: of this size. */
#define EACH_BYTES (1 * MIB_BYTES)

static void make_evicted(Held *held)
{
    make(held, BYTES);
    shrink_all();
    CHECK_INT(stat_of("evicted_bytes"), ==, BYTES);
}

static void test_read(void)
{
    Held held;

    make_evicted(&held);
    check_intact(&held);
    check_host(&held);
}

static void test_write(void)
{
    Held held;

    make_evicted(&held);
    held_rewrite(&held, 1);
    check_intact(&held);
    CHECK_INT(bo_upload(env.gpu, &held.bo), ==, 0);
    check_host(&held);
}

/* What was written and not uploaded is in the pages alone. */
static void test_not_uploaded(void)
{
    Held held;

    make(&held, BYTES);
    held_rewrite(&held, 1);
    shrink_all();
    check_intact(&held);
    held_rewrite(&held, 2);
    shrink_all();
    CHECK_INT(bo_upload(env.gpu, &held.bo), ==, 0);
    check_host(&held);
}

static void test_upload(void)
{
    Held held;

    make(&held, BYTES);
    held_fill(&held, 1);
    shrink_all();
    check_upload(&held);
}

static void test_download(void)
{
    uint32_t page;
    Held held;

    make(&held, BYTES);
    for (page = 0; page < PAGES; page++) {
        pattern_poison(held.bo.map + page * PAGE_BYTES);
    }
    shrink_all();
    CHECK_INT(bo_download(env.gpu, &held.bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &held.bo), ==, 0);
    check_intact(&held);
}

/* What the device wrote is the pages' only copy when they go. */
static void test_after_download(void)
{
    Held held;

    make(&held, BYTES);
    memset(held.bo.map, 0, BYTES);
    CHECK_INT(bo_download(env.gpu, &held.bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &held.bo), ==, 0);
    shrink_all();
    check_intact(&held);
}

static void test_submit(void)
{
    Held from, to;

    make_from(env.gpu, &from, 1, BYTES, BO_TEXTURE);
    make_from(env.gpu, &to, 2, BYTES, BO_TEXTURE);
    shrink_all();
    CHECK_INT(submit_copy(env.gpu, &from, &to), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &to.bo), ==, 0);
    check_intact(&from);
    check_intact(&to);      /* its guest pages are as they were */
    check_host(&from);
    to.index = from.index;
    check_host(&to);
}

static void test_submit_many(void)
{
    enum { COUNT = 16 };
    Held *held = make_many(COUNT, BYTES);
    const Held *all[COUNT];
    long long reattaches;
    int i;

    for (i = 0; i < COUNT; i++) {
        all[i] = &held[i];
    }
    shrink_all();
    reattaches = stat_of("reattaches");
    CHECK_INT(submit_nothing(env.gpu, all, COUNT), ==, 0);
    CHECK_INT(stat_of("reattaches"), ==, reattaches + COUNT);
    for (i = 0; i < COUNT; i++) {
        check_intact(&held[i]);
        check_host(&held[i]);
    }
    drop_many(held, COUNT);
}

static void test_counts(void)
{
    long long evictions = stat_of("evictions");
    long long refaults = stat_of("refaults");
    long long resident = stat_of("resident_bytes");
    Held held;

    make_evicted(&held);
    CHECK_INT(stat_of("evictions"), ==, evictions + 1);
    CHECK_INT(stat_of("refaults"), ==, refaults);
    CHECK_INT(stat_of("resident_bytes"), ==, resident);
    check_intact(&held);
    CHECK_INT(stat_of("refaults"), ==, refaults + 1);
    CHECK_INT(stat_of("evicted_bytes"), ==, 0);
    CHECK_INT(stat_of("resident_bytes"), ==, resident + BYTES);
}

/* Use alone, without need for memory, costs nothing. */
static void test_no_churn(void)
{
    long long reattaches, refaults;
    Held held;
    int i;

    make(&held, BYTES);
    reattaches = stat_of("reattaches");
    refaults = stat_of("refaults");
    for (i = 1; i <= 20; i++) {
        held_rewrite(&held, i);
        CHECK_INT(bo_upload(env.gpu, &held.bo), ==, 0);
        CHECK_INT(bo_wait(env.gpu, &held.bo), ==, 0);
    }
    CHECK_INT(stat_of("reattaches"), ==, reattaches);
    CHECK_INT(stat_of("refaults"), ==, refaults);
}

static void test_never_used(void)
{
    long long evictions = stat_of("evictions");
    Held held = { 0 };

    CHECK_INT(bo_create(env.gpu, BO_TEXTURE, BYTES, &held.bo), ==, 0);
    CHECK_INT(stat_of("empty_bytes"), ==, BYTES);
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions);
    check_zero(&held);
}

static void test_idle_longest_first(void)
{
    enum { COUNT = 8 };
    Held *held = make_many(COUNT, BYTES);
    long long refaults;
    int i;

    for (i = 0; i < COUNT; i += 2) {
        CHECK_INT(bo_upload(env.gpu, &held[i].bo), ==, 0);
        CHECK_INT(bo_wait(env.gpu, &held[i].bo), ==, 0);
    }
    CHECK_INT(shrink(COUNT / 2 * PAGES), ==, COUNT / 2 * PAGES);
    refaults = stat_of("refaults");
    for (i = 0; i < COUNT; i += 2) {
        check_intact(&held[i]);
    }
    CHECK_INT(stat_of("refaults"), ==, refaults);
    for (i = 1; i < COUNT; i += 2) {
        check_intact(&held[i]);
    }
    CHECK_INT(stat_of("refaults"), ==, refaults + COUNT / 2);
    drop_many(held, COUNT);
}

static void test_many_times(void)
{
    Held held;
    int i;

    make(&held, BYTES);
    for (i = 1; i <= 30; i++) {
        shrink_all();
        held_rewrite(&held, i);
        shrink_all();
        CHECK_INT(bo_upload(env.gpu, &held.bo), ==, 0);
        check_intact(&held);
    }
    check_host(&held);
}

static void test_marked_after(void)
{
    Held held;

    make_evicted(&held);
    mark(&held);
    CHECK(ask_back(&held));
    check_intact(&held);
    check_host(&held);
}

static void test_more_than_a_batch(void)
{
    enum { COUNT = 150, SMALL = 64 * KIB };
    long long evictions = stat_of("evictions");
    Held *held = make_many(COUNT, SMALL);
    int i;

    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions + COUNT);
    for (i = 0; i < COUNT; i++) {
        check_intact(&held[i]);
    }
    drop_many(held, COUNT);
}

static void test_one_page(void)
{
    Held held;

    make_from(env.gpu, &held, 3, PAGE_BYTES, BO_TEXTURE);
    shrink_all();
    check_intact(&held);
    check_host(&held);
}

/* So large that its pages come back in many pieces, if there is room for it. */
static void test_large(void)
{
    size_t bytes = (env.is_debug ? 8 : 72) * MIB_BYTES;
    Held held;

    make_from(env.gpu, &held, 4, bytes, BO_BUFFER);
    shrink_all();
    check_app(90);
    CHECK_INT(bo_upload(env.gpu, &held.bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &held.bo), ==, 0);
    check_intact(&held);
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

/* Huge pages in use for files without a name, as buffers are, in bytes. */
static long long huge_pages(void)
{
    return meminfo_of("ShmemHugePages");
}

/* Pages that are parts of larger ones go and come as others do. */
static void test_huge_pages(void)
{
    enum { HUGE_BYTES = 8 * MIB_BYTES };
    long long before = huge_pages();
    Held held;

    set_huge_pages("force");
    make(&held, HUGE_BYTES);
    set_huge_pages("never");
    if (huge_pages() <= before) {
        test_skip("there are no huge pages left");
    }
    shrink_all();
    check_app(90);
    check_intact(&held);
    held_fill(&held, 1);
    check_upload(&held);
    mark(&held);
    shrink_all();
    CHECK(!ask_back(&held));
    check_zero(&held);
}

static void touch(Held *held, unsigned round)
{
    held_rewrite(held, round);
    CHECK_INT(bo_upload(env.gpu, &held->bo), ==, 0);
}

static void rotate(unsigned (*which)(unsigned i, unsigned count))
{
    long long evictions = stat_of("evictions");
    unsigned count, i;
    Held *held;

    make_scarce();
    count = count_for(125, EACH_BYTES);     /* more than there is memory */
    held = make_many(count, EACH_BYTES);
    CHECK_INT(stat_of("evictions"), >, evictions);
    for (i = 0; i < count; i++) {
        touch(&held[which(i, count)], i + 1);
    }
    for (i = 0; i < count; i++) {
        check_intact(&held[i]);
    }
    check_host(&held[0]);
    check_host(&held[count - 1]);
    drop_many(held, count);
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

/* A program takes the memory: nobody else asks for reclaim. */
static void test_hog(void)
{
    long long evictions;
    unsigned count, i;
    Held *held;

    make_scarce();
    count = count_for(75, EACH_BYTES);
    held = make_many(count, EACH_BYTES);
    evictions = stat_of("evictions");
    /* Its own pages may be swapped instead: then there is another one. */
    do {
        check_app(75);
    } while (stat_of("evictions") == evictions);
    for (i = 0; i < count; i++) {
        check_intact(&held[i]);
        touch(&held[i], 1);
    }
    check_host(&held[count / 2]);
    drop_many(held, count);
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
    { "evict/counts", test_counts, 0 },
    { "evict/no-churn", test_no_churn, 0 },
    { "evict/never-used", test_never_used, 0 },
    { "evict/idle-longest-first", test_idle_longest_first, 0 },
    { "evict/many-times", test_many_times, 0 },
    { "evict/marked-after", test_marked_after, 0 },
    { "evict/more-than-a-batch", test_more_than_a_batch, 0 },
    { "evict/one-page", test_one_page, 0 },
    { "evict/large", test_large, NEEDS_3D | NEEDS_FEATURE | NEEDS_SWAP },
    { "evict/huge-pages", test_huge_pages, NEEDS_SWAP },
    { "evict/rotate-in-order", test_rotate_in_order, NEEDS_3D | NEEDS_SWAP },
    { "evict/rotate-in-reverse", test_rotate_in_reverse,
      NEEDS_3D | NEEDS_SWAP },
    { "evict/rotate-at-random", test_rotate_at_random, NEEDS_3D | NEEDS_SWAP },
    { "evict/hog", test_hog, NEEDS_3D | NEEDS_SWAP },
    { NULL, NULL, 0 },
};
