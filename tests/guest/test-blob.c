/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blobs in guest memory: evicted as other buffers are, and never purged.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <drm.h>
#include <drm_fourcc.h>
#include <drm_mode.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "process.h"
#include "test.h"

#define BYTES (256 * KIB)
#define PAGES (BYTES / PAGE_BYTES)
#define WIDTH 1024

static void make_blob(TestBo *tbo, uint32_t index, size_t bytes)
{
    *tbo = (TestBo) { .index = index };
    CHECK_INT(bo_create(env.gpu, BO_BLOB, bytes, &tbo->bo), ==, 0);
    test_bo_fill(tbo, 0);
}

static void make_evicted(TestBo *tbo)
{
    long long evictions = stat_of("evictions");

    make_blob(tbo, 1, BYTES);
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions + 1);
    CHECK_INT(stat_of("evicted_bytes"), ==, BYTES);
}

static void test_evict(void)
{
    TestBo tbo;

    make_evicted(&tbo);
    check_intact(&tbo);
    CHECK_INT(stat_of("evicted_bytes"), ==, 0);
}

static void test_repeatedly(void)
{
    TestBo tbo;
    int i;

    make_evicted(&tbo);
    for (i = 1; i <= 20; i++) {
        test_bo_rewrite(&tbo, i);
        shrink_all();
        check_intact(&tbo);
    }
}

/* A blob is populated when it is created. */
static void test_new_is_populated(void)
{
    long long resident = stat_of("resident_bytes");
    TestBo tbo = { 0 };

    CHECK_INT(bo_create(env.gpu, BO_BLOB, BYTES, &tbo.bo), ==, 0);
    CHECK_INT(stat_of("resident_bytes"), ==, resident + BYTES);
    shrink_all();
    check_zero(&tbo);
}

static void test_dontneed_eopnotsupp(void)
{
    TestBo tbo;

    make_blob(&tbo, 1, BYTES);
    CHECK_INT(madvise_as(env.gpu, &tbo, VIRTGPU_MADV_DONTNEED), ==,
              -EOPNOTSUPP);
    CHECK(willneed(&tbo));
    shrink_all();
    check_intact(&tbo);
}

static void test_free_evicted(void)
{
    TestBo tbo;

    make_evicted(&tbo);
    release(&tbo);
}

/* A framebuffer is reattached and pinned. */
static void test_framebuffer(void)
{
    struct drm_mode_fb_cmd2 fb = {
        .width = WIDTH, .height = BYTES / 4 / WIDTH,
        .pixel_format = DRM_FORMAT_XRGB8888, .pitches = { 4 * WIDTH },
    };
    long long evictions, reattaches;
    TestBo tbo;

    close(env.gpu);
    env.gpu = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
    CHECK_INT(env.gpu, >=, 0);
    make_evicted(&tbo);
    evictions = stat_of("evictions");
    reattaches = stat_of("reattaches");
    fb.handles[0] = tbo.bo.handle;
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_MODE_ADDFB2, &fb), ==, 0);
    CHECK_INT(stat_of("reattaches"), ==, reattaches + 1);
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions);
    check_intact(&tbo);
}

static void test_export(void)
{
    struct drm_prime_handle prime = { .flags = O_CLOEXEC };
    long long evictions;
    TestBo tbo;

    make_evicted(&tbo);
    evictions = stat_of("evictions");
    prime.handle = tbo.bo.handle;
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), ==,
              0);
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions);
    check_intact(&tbo);
}

/* More blobs than the guest has memory. */
static void test_rotate(void)
{
    enum { EACH = 4096 * KIB };
    long long memory = sysconf(_SC_PHYS_PAGES) * (long long)PAGE_BYTES;
    unsigned count = memory / EACH * 9 / 8;
    TestBo *tbo = calloc(count, sizeof(*tbo));
    unsigned i;

    CHECK(tbo);
    for (i = 0; i < count; i++) {
        make_blob(&tbo[i], i, EACH);
    }
    for (i = 0; i < count; i++) {
        test_bo_rewrite(&tbo[i], 1);
    }
    for (i = 0; i < count; i++) {
        check_intact(&tbo[i]);
    }
    release_many(tbo, count);
}

const TestCase tests_blob[] = {
    { "blob/new-is-populated", test_new_is_populated, NEEDS_BLOB },
    { "blob/evict", test_evict, NEEDS_BLOB },
    { "blob/repeatedly", test_repeatedly, NEEDS_BLOB },
    { "blob/dontneed-eopnotsupp", test_dontneed_eopnotsupp, NEEDS_BLOB },
    { "blob/free-evicted", test_free_evicted, NEEDS_BLOB },
    { "blob/framebuffer", test_framebuffer, NEEDS_BLOB },
    { "blob/export", test_export, NEEDS_BLOB },
    { "blob/rotate", test_rotate, NEEDS_BLOB | NEEDS_SWAP },
    { NULL, NULL, 0 },
};
