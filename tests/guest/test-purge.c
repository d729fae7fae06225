/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Purging buffers that are marked: what is left of them, and what is not.
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

/* A buffer that was purged and not asked back. */
static void make_purged(Held *held)
{
    long long purges = stat_of("purges");

    make(held, BYTES);
    mark(held);
    shrink_all();
    CHECK_INT(stat_of("purges"), ==, purges + 1);
}

static void test_tells_and_zeroes(void)
{
    Held held;

    make_purged(&held);
    CHECK(!ask_back(&held));
    check_zero(&held);
}

static void test_told_once(void)
{
    Held held;

    make_purged(&held);
    CHECK(!ask_back(&held));
    CHECK(ask_back(&held));
    check_zero(&held);
}

static void test_marked_again(void)
{
    bool retained;
    Held held;

    make_purged(&held);
    CHECK_INT(bo_madvise(env.gpu, &held.bo, VIRTGPU_MADV_DONTNEED, &retained),
              ==, 0);
    CHECK(!retained);
    check_faults(&held);
    CHECK(!ask_back(&held));
}

static void test_zero_on_host(void)
{
    Tally tally = { 0 };
    Held held;

    make_purged(&held);
    CHECK(!ask_back(&held));
    CHECK_INT(held_check_host(&held, env.gpu, &tally), ==, 0);
    CHECK_INT(tally.zero, ==, PAGES);
}

static void test_access_while_marked(void)
{
    Held held;

    make(&held, BYTES);
    mark(&held);
    check_intact(&held);
}

static void test_access_while_purged(void)
{
    Held held;

    make_purged(&held);
    check_faults(&held);
    check_faults(&held);
    CHECK(!ask_back(&held));
    check_zero(&held);
}

static void test_syscall_while_purged(void)
{
    int line[2];
    Held held;

    make_purged(&held);
    CHECK_INT(pipe(line), ==, 0);
    CHECK(write(line[1], held.bo.map, 16) < 0);
    CHECK_INT(errno, ==, EFAULT);
}

static void test_upload_while_purged(void)
{
    Held held;

    make_purged(&held);
    CHECK_INT(bo_upload(env.gpu, &held.bo), ==, -ENODATA);
    CHECK(!ask_back(&held));
    CHECK_INT(bo_upload(env.gpu, &held.bo), ==, 0);
}

static void test_download_while_purged(void)
{
    Held held;

    make_purged(&held);
    CHECK_INT(bo_download(env.gpu, &held.bo), ==, -ENODATA);
    CHECK(!ask_back(&held));
    CHECK_INT(bo_download(env.gpu, &held.bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &held.bo), ==, 0);
    check_zero(&held);
}

static void test_submit_while_purged(void)
{
    Held good, purged;

    make_purged(&purged);
    make(&good, BYTES);
    CHECK_INT(submit_nothing(env.gpu, (const Held *[]) { &good, &purged }, 2),
              ==, -ENODATA);
    CHECK(!ask_back(&purged));
    CHECK_INT(submit_nothing(env.gpu, (const Held *[]) { &good, &purged }, 2),
              ==, 0);
    CHECK_INT(bo_wait(env.gpu, &good.bo), ==, 0);
    check_intact(&good);
    check_host(&good);
}

static void test_submit_while_marked(void)
{
    Held from, to;

    make_from(env.gpu, &from, 1, BYTES, BO_TEXTURE);
    make_from(env.gpu, &to, 2, BYTES, BO_TEXTURE);
    mark(&from);
    CHECK_INT(submit_copy(env.gpu, &from, &to), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &to.bo), ==, 0);
    CHECK(ask_back(&from));
    to.index = from.index;
    check_host(&to);
}

static void test_wait_while_purged(void)
{
    Held held;

    make_purged(&held);
    CHECK_INT(bo_wait(env.gpu, &held.bo), ==, 0);
}

static void test_map_while_marked(void)
{
    Held held;

    make(&held, BYTES);
    mark(&held);
    CHECK(map_anew(&held, BYTES, RW, MAP_SHARED) == MAP_FAILED);
    CHECK_INT(errno, ==, ENODATA);
    CHECK(ask_back(&held));
    CHECK(map_anew(&held, BYTES, RW, MAP_SHARED) != MAP_FAILED);
}

static void test_map_while_purged(void)
{
    void *map;
    Held held;

    make_purged(&held);
    CHECK(map_anew(&held, BYTES, RW, MAP_SHARED) == MAP_FAILED);
    CHECK_INT(errno, ==, ENODATA);
    CHECK(!ask_back(&held));
    map = map_anew(&held, BYTES, RW, MAP_SHARED);
    CHECK(map != MAP_FAILED);
    held_fill(&held, 1);
    CHECK(pattern_look(map, (PageId) { held.index, 0, 1 }) == PAGE_GOOD);
}

static void test_use_again(void)
{
    Held held;

    make_purged(&held);
    CHECK(!ask_back(&held));
    held_fill(&held, 2);
    check_upload(&held);
}

static void test_many_times(void)
{
    Held held;
    int i;

    make(&held, BYTES);
    for (i = 0; i < 20; i++) {
        mark(&held);
        shrink_all();
        CHECK(!ask_back(&held));
        held_fill(&held, i + 1);
        check_upload(&held);
    }
}

static void test_free(void)
{
    long long purged = stat_of("purged_bytes");
    long long bytes = stat_of("bo_bytes");
    Held held;
    int i;

    make_purged(&held);
    CHECK_INT(stat_of("purged_bytes"), ==, purged + BYTES);
    drop(&held);
    /* Reclaim may have the last reference; a worker drops that. */
    for (i = 0; i < 300 && stat_of("bo_bytes") != bytes; i++) {
        usleep(10000);
    }
    CHECK_INT(stat_of("purged_bytes"), ==, purged);
    CHECK_INT(stat_of("bo_bytes"), ==, bytes);
}

static void test_free_mapped(void)
{
    Held held;

    make_purged(&held);
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_GEM_CLOSE,
                          &(struct drm_gem_close) { held.bo.handle, 0 }), ==,
              0);
    check_faults(&held);
    CHECK_INT(munmap(held.bo.map, BYTES), ==, 0);
}

static void test_only_what_is_marked(void)
{
    enum { COUNT = 30 };
    Held *held = make_many(COUNT, BYTES);
    int i;

    for (i = 0; i < COUNT; i += 3) {
        mark(&held[i]);
    }
    shrink_all();
    for (i = 0; i < COUNT; i++) {
        CHECK_INT(ask_back(&held[i]), ==, i % 3 != 0);
        check_truth(&held[i], i % 3 != 0);
    }
    drop_many(held, COUNT);
}

/* More than fit into one request to the device. */
static void test_more_than_a_batch(void)
{
    enum { COUNT = 150, SMALL = 64 * KIB };
    long long purges = stat_of("purges");
    Held *held = make_many(COUNT, SMALL);
    int i;

    for (i = 0; i < COUNT; i++) {
        mark(&held[i]);
    }
    CHECK_INT(stat_of("dontneed_bytes"), ==, COUNT * SMALL);
    shrink_all();
    CHECK_INT(stat_of("purges"), ==, purges + COUNT);
    CHECK_INT(stat_of("purged_bytes"), ==, COUNT * SMALL);
    for (i = 0; i < COUNT; i++) {
        CHECK(!ask_back(&held[i]));
    }
    check_zero(&held[0]);
    check_zero(&held[COUNT - 1]);
    drop_many(held, COUNT);
}

static void test_no_more_than_asked(void)
{
    enum { COUNT = 16 };
    Held *held = make_many(COUNT, BYTES);
    long long purges = stat_of("purges");
    int i;

    for (i = 0; i < COUNT; i++) {
        mark(&held[i]);
    }
    CHECK_INT(shrink(0), ==, 0);
    CHECK_INT(stat_of("purges"), ==, purges);
    CHECK_INT(shrink(3 * PAGES), ==, 3 * PAGES);
    CHECK_INT(stat_of("purges"), ==, purges + 3);
    CHECK_INT(shrink(1), ==, PAGES);
    CHECK_INT(stat_of("purges"), ==, purges + 4);
    drop_many(held, COUNT);
}

static void test_oldest_first(void)
{
    enum { COUNT = 8 };
    static const int order[COUNT] = { 5, 2, 7, 0, 6, 1, 4, 3 };
    Held *held = make_many(COUNT, BYTES);
    int i;

    for (i = 0; i < COUNT; i++) {
        mark(&held[order[i]]);
    }
    CHECK_INT(shrink(4 * PAGES), ==, 4 * PAGES);
    for (i = 0; i < COUNT; i++) {
        CHECK_INT(ask_back(&held[order[i]]), ==, i >= 4);
    }
    drop_many(held, COUNT);
}

/* Marked ones go before those that are needed. */
static void test_before_evicting(void)
{
    Held needed, marked;
    long long evictions;

    make(&needed, BYTES);
    make(&marked, BYTES);
    mark(&marked);
    evictions = stat_of("evictions");
    CHECK_INT(shrink(PAGES), ==, PAGES);
    CHECK_INT(stat_of("evictions"), ==, evictions);
    CHECK(!ask_back(&marked));
    check_intact(&needed);
}

static void test_of_evicted(void)
{
    long long purges = stat_of("purges");
    Held held;

    make(&held, BYTES);
    shrink_all();
    CHECK_INT(stat_of("evicted_bytes"), ==, BYTES);
    mark(&held);
    shrink(PAGES);
    CHECK_INT(stat_of("purges"), ==, purges + 1);
    CHECK_INT(stat_of("evicted_bytes"), ==, 0);
    CHECK(!ask_back(&held));
    check_zero(&held);
}

/* The device may be at it still: it is purged later or not at all. */
static void test_while_busy(void)
{
    enum { COUNT = 16 };
    Held *held = make_many(COUNT, BYTES);
    int i, round;

    for (round = 1; round <= 4; round++) {
        for (i = 0; i < COUNT; i++) {
            held_fill(&held[i], round);
            CHECK_INT(bo_upload(env.gpu, &held[i].bo), ==, 0);
            mark(&held[i]);
        }
        shrink(COUNT * PAGES);
        for (i = 0; i < COUNT; i++) {
            check_truth(&held[i], ask_back(&held[i]));
        }
    }
    drop_many(held, COUNT);
}

/*
 * Whoever may wait gets what is busy for a moment only. The device may have
 * been quicker: who waits in vain for it ends with the time of the case.
 */
static void test_waits_for_busy(void)
{
    long long waits = stat_of("waits");
    bool retained;
    Held held;
    int round;

    make(&held, BYTES);
    for (round = 1; stat_of("waits") == waits; round++) {
        held_rewrite(&held, round);
        CHECK_INT(bo_upload(env.gpu, &held.bo), ==, 0);
        mark(&held);
        shrink(PAGES);
        retained = ask_back(&held);
        check_truth(&held, retained);
        if (!retained) {
            held_fill(&held, round);
        }
    }
}

static void test_frees_pages(void)
{
    enum { COUNT = 8, LARGE = 1024 * KIB };
    Held *held = make_many(COUNT, LARGE);
    long long resident = stat_of("resident_bytes");
    int i;

    for (i = 0; i < COUNT; i++) {
        mark(&held[i]);
    }
    shrink_all();
    CHECK_INT(stat_of("resident_bytes"), ==, resident - COUNT * LARGE);
    for (i = 0; i < COUNT; i++) {
        CHECK(!ask_back(&held[i]));
    }
    /* Asking back alone takes no memory. */
    CHECK_INT(stat_of("resident_bytes"), ==, resident - COUNT * LARGE);
    CHECK_INT(stat_of("empty_bytes"), ==, COUNT * LARGE);
    drop_many(held, COUNT);
}

const TestCase tests_purge[] = {
    { "purge/tells-and-zeroes", test_tells_and_zeroes, 0 },
    { "purge/told-once", test_told_once, 0 },
    { "purge/marked-again", test_marked_again, 0 },
    { "purge/zero-on-host", test_zero_on_host, NEEDS_3D },
    { "purge/access-while-marked", test_access_while_marked, 0 },
    { "purge/access-while-purged", test_access_while_purged, 0 },
    { "purge/syscall-while-purged", test_syscall_while_purged, 0 },
    { "purge/upload-while-purged", test_upload_while_purged, 0 },
    { "purge/download-while-purged", test_download_while_purged, NEEDS_3D },
    { "purge/submit-while-purged", test_submit_while_purged, NEEDS_3D },
    { "purge/submit-while-marked", test_submit_while_marked, NEEDS_3D },
    { "purge/wait-while-purged", test_wait_while_purged, 0 },
    { "purge/map-while-marked", test_map_while_marked, 0 },
    { "purge/map-while-purged", test_map_while_purged, 0 },
    { "purge/use-again", test_use_again, 0 },
    { "purge/many-times", test_many_times, 0 },
    { "purge/free", test_free, 0 },
    { "purge/free-mapped", test_free_mapped, 0 },
    { "purge/only-what-is-marked", test_only_what_is_marked, 0 },
    { "purge/more-than-a-batch", test_more_than_a_batch, 0 },
    { "purge/no-more-than-asked", test_no_more_than_asked, 0 },
    { "purge/oldest-first", test_oldest_first, 0 },
    { "purge/before-evicting", test_before_evicting, 0 },
    { "purge/of-evicted", test_of_evicted, 0 },
    { "purge/while-busy", test_while_busy, 0 },
    { "purge/waits-for-busy", test_waits_for_busy, NEEDS_3D },
    { "purge/frees-pages", test_frees_pages, 0 },
    { NULL, NULL, 0 },
};
