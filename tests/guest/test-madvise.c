/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Marking buffers: what is taken, what is refused, and what it must not change.
 */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <drm.h>
#include <drm_mode.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "test.h"

#define BYTES (256 * KIB)

/* Advice with everything in the caller's hand. */
static int advise(int fd, uint32_t handle, uint32_t madv, uint32_t pad,
                  uint32_t *retained)
{
    struct drm_virtgpu_madvise advice = {
        .bo_handle = handle, .retained = 77, .madv = madv, .pad = pad,
    };
    int ret = drm_request(fd, DRM_IOCTL_VIRTGPU_MADVISE, &advice);

    if (retained) {
        *retained = advice.retained;
    }
    return ret;
}

static void test_new_is_retained(void)
{
    uint32_t retained;
    Held held;

    make(&held, BYTES);
    CHECK_INT(advise(env.gpu, held.bo.handle, VIRTGPU_MADV_WILLNEED, 0,
                     &retained), ==, 0);
    CHECK_INT(retained, ==, 1);
    check_intact(&held);
}

static void test_dontneed_twice(void)
{
    uint32_t retained;
    Held held;
    int i;

    make(&held, BYTES);
    for (i = 0; i < 2; i++) {
        CHECK_INT(advise(env.gpu, held.bo.handle, VIRTGPU_MADV_DONTNEED, 0,
                         &retained), ==, 0);
        CHECK_INT(retained, ==, 1);
        CHECK_INT(stat_of("dontneed_bytes"), ==, BYTES);
    }
    CHECK(ask_back(&held));
    CHECK_INT(stat_of("dontneed_bytes"), ==, 0);
    check_intact(&held);
}

static void test_willneed_twice(void)
{
    Held held;

    make(&held, BYTES);
    mark(&held);
    CHECK(ask_back(&held));
    CHECK(ask_back(&held));
    shrink_all();
    check_intact(&held);
    check_host(&held);
}

static void test_retained_bytes(void)
{
    Held held;

    make(&held, BYTES);
    mark(&held);
    CHECK(ask_back(&held));
    check_intact(&held);
    check_host(&held);
}

static void test_write_while_marked(void)
{
    Held held;

    make(&held, BYTES);
    mark(&held);
    held_rewrite(&held, 1);
    CHECK_INT(bo_upload(env.gpu, &held.bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &held.bo), ==, 0);
    CHECK(ask_back(&held));
    check_intact(&held);
    check_host(&held);
}

static void test_unknown_value(void)
{
    static const uint32_t values[] = { 2, 3, 0x100, 0x80000001, UINT32_MAX };
    Held held;
    size_t i;

    make(&held, BYTES);
    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        CHECK_INT(advise(env.gpu, held.bo.handle, values[i], 0, NULL), ==,
                  -EINVAL);
    }
}

static void test_pad(void)
{
    Held held;

    make(&held, BYTES);
    CHECK_INT(advise(env.gpu, held.bo.handle, VIRTGPU_MADV_DONTNEED, 1, NULL),
              ==, -EINVAL);
    CHECK_INT(advise(env.gpu, held.bo.handle, VIRTGPU_MADV_WILLNEED,
                     UINT32_MAX, NULL), ==, -EINVAL);
}

static void test_unknown_handle(void)
{
    Held held;

    CHECK_INT(advise(env.gpu, 0, VIRTGPU_MADV_DONTNEED, 0, NULL), ==, -ENOENT);
    CHECK_INT(advise(env.gpu, 999, VIRTGPU_MADV_WILLNEED, 0, NULL), ==,
              -ENOENT);
    make(&held, BYTES);
    drop(&held);
    CHECK_INT(advise(env.gpu, held.bo.handle, VIRTGPU_MADV_DONTNEED, 0, NULL),
              ==, -ENOENT);
}

static void test_handle_of_another(void)
{
    int other = gpu_open();
    Held held;

    make(&held, BYTES);
    CHECK_INT(advise(other, held.bo.handle, VIRTGPU_MADV_DONTNEED, 0, NULL),
              ==, -ENOENT);
    shrink_all();
    check_intact(&held);
}

static void test_refused_changes_nothing(void)
{
    Held held;

    make(&held, BYTES);
    CHECK_INT(advise(env.gpu, held.bo.handle, VIRTGPU_MADV_DONTNEED, 1, NULL),
              ==, -EINVAL);
    CHECK_INT(advise(env.gpu, held.bo.handle, 2, 0, NULL), ==, -EINVAL);
    shrink_all();
    CHECK(ask_back(&held));
    check_intact(&held);

    mark(&held);
    CHECK_INT(advise(env.gpu, held.bo.handle, VIRTGPU_MADV_WILLNEED, 1, NULL),
              ==, -EINVAL);
    shrink_all();
    CHECK(!ask_back(&held));
}

static void test_dumb(void)
{
    int card = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
    struct drm_mode_create_dumb create = {
        .width = 64, .height = 64, .bpp = 32,
    };
    uint32_t retained;

    CHECK_INT(drm_request(card, DRM_IOCTL_MODE_CREATE_DUMB, &create), ==, 0);
    CHECK_INT(advise(card, create.handle, VIRTGPU_MADV_DONTNEED, 0, NULL), ==,
              -EOPNOTSUPP);
    CHECK_INT(advise(card, create.handle, VIRTGPU_MADV_WILLNEED, 0, &retained),
              ==, 0);
    CHECK_INT(retained, ==, 1);
}

static void test_too_large_without_feature(void)
{
    uint32_t retained;
    Bo bo;

    if (env.has_feature) {
        test_skip("this device can purge");
    }
    CHECK_INT(bo_create(env.gpu, env.is_3d ? BO_BUFFER : BO_TEXTURE,
                        (64 << 20) + 4 * KIB, &bo), ==, 0);
    CHECK_INT(advise(env.gpu, bo.handle, VIRTGPU_MADV_DONTNEED, 0, NULL), ==,
              -EOPNOTSUPP);
    CHECK_INT(advise(env.gpu, bo.handle, VIRTGPU_MADV_WILLNEED, 0, &retained),
              ==, 0);
    CHECK_INT(retained, ==, 1);
}

static void test_never_used(void)
{
    Held held = { .index = 1 };

    CHECK_INT(bo_create(env.gpu, BO_TEXTURE, BYTES, &held.bo), ==, 0);
    mark(&held);
    shrink_all();
    ask_back(&held);    /* either answer is true: there was nothing in it */
    check_zero(&held);
    held_fill(&held, 1);
    check_upload(&held);
}

static void test_many_times(void)
{
    Held held;
    int i;

    make(&held, BYTES);
    for (i = 0; i < 1000; i++) {
        mark(&held);
        CHECK(ask_back(&held));
    }
    check_intact(&held);
    check_host(&held);
}

static void test_bad_pointer(void)
{
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_VIRTGPU_MADVISE, (void *)8), ==,
              -EFAULT);
}

const TestCase tests_madvise[] = {
    { "madvise/new-is-retained", test_new_is_retained, 0 },
    { "madvise/dontneed-twice", test_dontneed_twice, 0 },
    { "madvise/willneed-twice", test_willneed_twice, 0 },
    { "madvise/retained-bytes", test_retained_bytes, 0 },
    { "madvise/write-while-marked", test_write_while_marked, 0 },
    { "madvise/many-times", test_many_times, 0 },
    { "madvise/unknown-value", test_unknown_value, 0 },
    { "madvise/pad", test_pad, 0 },
    { "madvise/bad-pointer", test_bad_pointer, 0 },
    { "madvise/unknown-handle", test_unknown_handle, 0 },
    { "madvise/handle-of-another", test_handle_of_another, 0 },
    { "madvise/refused-changes-nothing", test_refused_changes_nothing, 0 },
    { "madvise/dumb", test_dumb, 0 },
    { "madvise/too-large", test_too_large_without_feature, 0 },
    { "madvise/never-used", test_never_used, 0 },
    { NULL, NULL, 0 },
};
