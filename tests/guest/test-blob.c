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

static void make_blob(Held *held, uint32_t index, size_t bytes)
{
    *held = (Held) { .index = index };
    CHECK_INT(bo_create(env.gpu, BO_BLOB, bytes, &held->bo), ==, 0);
    held_fill(held, 0);
}

static void make_evicted(Held *held)
{
    long long evictions = stat_of("evictions");

    make_blob(held, 1, BYTES);
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions + 1);
    CHECK_INT(stat_of("evicted_bytes"), ==, BYTES);
}

static void test_evict(void)
{
    Held held;

    make_evicted(&held);
    check_intact(&held);
    CHECK_INT(stat_of("evicted_bytes"), ==, 0);
}

static void test_many_times(void)
{
    Held held;
    int i;

    make_evicted(&held);
    for (i = 1; i <= 20; i++) {
        held_rewrite(&held, i);
        shrink_all();
        check_intact(&held);
    }
}

/* It has pages from the beginning, and they are its own. */
static void test_new(void)
{
    long long resident = stat_of("resident_bytes");
    Held held = { 0 };

    CHECK_INT(bo_create(env.gpu, BO_BLOB, BYTES, &held.bo), ==, 0);
    CHECK_INT(stat_of("resident_bytes"), ==, resident + BYTES);
    shrink_all();
    check_zero(&held);
}

static void test_refuses_marking(void)
{
    Held held;

    make_blob(&held, 1, BYTES);
    CHECK_INT(advise_as(env.gpu, &held, VIRTGPU_MADV_DONTNEED), ==,
              -EOPNOTSUPP);
    CHECK(ask_back(&held));
    shrink_all();
    check_intact(&held);
}

static void test_freed(void)
{
    Held held;

    make_evicted(&held);
    drop(&held);
}

/* A framebuffer is attached anew, and stays. */
static void test_framebuffer(void)
{
    struct drm_mode_fb_cmd2 fb = {
        .width = WIDTH, .height = BYTES / 4 / WIDTH,
        .pixel_format = DRM_FORMAT_XRGB8888, .pitches = { 4 * WIDTH },
    };
    long long evictions, reattaches;
    Held held;

    close(env.gpu);
    env.gpu = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
    CHECK_INT(env.gpu, >=, 0);
    make_evicted(&held);
    evictions = stat_of("evictions");
    reattaches = stat_of("reattaches");
    fb.handles[0] = held.bo.handle;
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_MODE_ADDFB2, &fb), ==, 0);
    CHECK_INT(stat_of("reattaches"), ==, reattaches + 1);
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions);
    check_intact(&held);
}

static void test_export(void)
{
    struct drm_prime_handle prime = { .flags = O_CLOEXEC };
    long long evictions;
    Held held;

    make_evicted(&held);
    evictions = stat_of("evictions");
    prime.handle = held.bo.handle;
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), ==,
              0);
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions);
    check_intact(&held);
}

/* More than the guest has memory. */
static void test_rotate(void)
{
    enum { EACH = 4096 * KIB };
    long long memory = sysconf(_SC_PHYS_PAGES) * (long long)PAGE_BYTES;
    unsigned count = memory / EACH * 9 / 8;
    Held *held = calloc(count, sizeof(*held));
    unsigned i;

    CHECK(held);
    for (i = 0; i < count; i++) {
        make_blob(&held[i], i, EACH);
    }
    for (i = 0; i < count; i++) {
        held_rewrite(&held[i], 1);
    }
    for (i = 0; i < count; i++) {
        check_intact(&held[i]);
    }
    drop_many(held, count);
}

const TestCase tests_blob[] = {
    { "blob/new", test_new, NEEDS_BLOB },
    { "blob/evict", test_evict, NEEDS_BLOB },
    { "blob/many-times", test_many_times, NEEDS_BLOB },
    { "blob/refuses-marking", test_refuses_marking, NEEDS_BLOB },
    { "blob/freed", test_freed, NEEDS_BLOB },
    { "blob/framebuffer", test_framebuffer, NEEDS_BLOB },
    { "blob/export", test_export, NEEDS_BLOB },
    { "blob/rotate", test_rotate, NEEDS_BLOB | NEEDS_SWAP },
    { NULL, NULL, 0 },
};
