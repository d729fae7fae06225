/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The madvise ioctl: valid and invalid arguments, and their effects.
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

/* The ioctl with all arguments chosen by the caller. */
static int advise(int fd, uint32_t handle, uint32_t madv, uint32_t pad,
                  uint32_t *retained)
{
    BoAdvice advice = {
        .handle = handle, .retained = 77, .madv = madv, .pad = pad,
    };
    int ret = drm_request(fd, bo_driver->madvise, &advice);

    if (retained) {
        *retained = advice.retained;
    }
    return ret;
}

static void test_new_is_retained(void)
{
    uint32_t retained;
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(advise(env.gpu, tbo.bo.handle, VIRTGPU_MADV_WILLNEED, 0,
                     &retained), ==, 0);
    CHECK_INT(retained, ==, 1);
    check_intact(&tbo);
}

static void test_dontneed_twice(void)
{
    uint32_t retained;
    TestBo tbo;
    int i;

    make(&tbo, BYTES);
    for (i = 0; i < 2; i++) {
        CHECK_INT(advise(env.gpu, tbo.bo.handle, VIRTGPU_MADV_DONTNEED, 0,
                         &retained), ==, 0);
        CHECK_INT(retained, ==, 1);
        CHECK_INT(stat_of("dontneed_bytes"), ==, BYTES);
    }
    CHECK(willneed(&tbo));
    CHECK_INT(stat_of("dontneed_bytes"), ==, 0);
    check_intact(&tbo);
}

static void test_willneed_twice(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    dontneed(&tbo);
    CHECK(willneed(&tbo));
    CHECK(willneed(&tbo));
    shrink_all();
    check_intact(&tbo);
    check_host(&tbo);
}

static void test_dontneed_willneed_retained(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    dontneed(&tbo);
    CHECK(willneed(&tbo));
    check_intact(&tbo);
    check_host(&tbo);
}

static void test_write_while_dontneed(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    dontneed(&tbo);
    test_bo_rewrite(&tbo, 1);
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    CHECK(willneed(&tbo));
    check_intact(&tbo);
    check_host(&tbo);
}

static void test_unknown_advice_einval(void)
{
    static const uint32_t values[] = { 2, 3, 0x100, 0x80000001, UINT32_MAX };
    TestBo tbo;
    size_t i;

    make(&tbo, BYTES);
    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        CHECK_INT(advise(env.gpu, tbo.bo.handle, values[i], 0, NULL), ==,
                  -EINVAL);
    }
}

static void test_pad_einval(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(advise(env.gpu, tbo.bo.handle, VIRTGPU_MADV_DONTNEED, 1, NULL),
              ==, -EINVAL);
    CHECK_INT(advise(env.gpu, tbo.bo.handle, VIRTGPU_MADV_WILLNEED,
                     UINT32_MAX, NULL), ==, -EINVAL);
}

static void test_unknown_handle_enoent(void)
{
    TestBo tbo;

    CHECK_INT(advise(env.gpu, 0, VIRTGPU_MADV_DONTNEED, 0, NULL), ==, -ENOENT);
    CHECK_INT(advise(env.gpu, 999, VIRTGPU_MADV_WILLNEED, 0, NULL), ==,
              -ENOENT);
    make(&tbo, BYTES);
    release(&tbo);
    CHECK_INT(advise(env.gpu, tbo.bo.handle, VIRTGPU_MADV_DONTNEED, 0, NULL),
              ==, -ENOENT);
}

static void test_foreign_handle_enoent(void)
{
    int other = gpu_open();
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(advise(other, tbo.bo.handle, VIRTGPU_MADV_DONTNEED, 0, NULL),
              ==, -ENOENT);
    shrink_all();
    check_intact(&tbo);
}

static void test_error_changes_nothing(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(advise(env.gpu, tbo.bo.handle, VIRTGPU_MADV_DONTNEED, 1, NULL),
              ==, -EINVAL);
    CHECK_INT(advise(env.gpu, tbo.bo.handle, 2, 0, NULL), ==, -EINVAL);
    shrink_all();
    CHECK(willneed(&tbo));
    check_intact(&tbo);

    dontneed(&tbo);
    CHECK_INT(advise(env.gpu, tbo.bo.handle, VIRTGPU_MADV_WILLNEED, 1, NULL),
              ==, -EINVAL);
    shrink_all();
    CHECK(!willneed(&tbo));
}

static void test_dumb_eopnotsupp(void)
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

static void test_too_large_eopnotsupp(void)
{
    uint32_t retained;
    Bo bo;

    if (env.has_feature) {
        test_skip("needs a device without VIRTIO_GPU_F_RECLAIM");
    }
    CHECK_INT(bo_create(env.gpu, env.is_3d ? BO_BUFFER : BO_TEXTURE,
                        (64 << 20) + 4 * KIB, &bo), ==, 0);
    CHECK_INT(advise(env.gpu, bo.handle, VIRTGPU_MADV_DONTNEED, 0, NULL), ==,
              -EOPNOTSUPP);
    CHECK_INT(advise(env.gpu, bo.handle, VIRTGPU_MADV_WILLNEED, 0, &retained),
              ==, 0);
    CHECK_INT(retained, ==, 1);
}

static void test_unpopulated(void)
{
    TestBo tbo = { .index = 1 };

    CHECK_INT(bo_create(env.gpu, BO_TEXTURE, BYTES, &tbo.bo), ==, 0);
    dontneed(&tbo);
    shrink_all();
    willneed(&tbo);    /* either result is correct: it was unpopulated */
    check_zero(&tbo);
    test_bo_fill(&tbo, 1);
    check_upload(&tbo);
}

static void test_repeatedly(void)
{
    TestBo tbo;
    int i;

    make(&tbo, BYTES);
    for (i = 0; i < 1000; i++) {
        dontneed(&tbo);
        CHECK(willneed(&tbo));
    }
    check_intact(&tbo);
    check_host(&tbo);
}

static void test_bad_pointer_efault(void)
{
    CHECK_INT(drm_request(env.gpu, bo_driver->madvise, (void *)8), ==,
              -EFAULT);
}

/* A buffer with a name may be another client's as well. */
static void test_flink_ebusy(void)
{
    int card = gpu_open_card();
    struct drm_gem_flink flink = { 0 };
    TestBo tbo;

    CHECK_INT(card, >=, 0);
    close(env.gpu);
    env.gpu = card;
    make(&tbo, BYTES);
    dontneed(&tbo);
    flink.handle = tbo.bo.handle;
    CHECK_INT(drm_request(card, DRM_IOCTL_GEM_FLINK, &flink), ==, 0);
    CHECK_INT(madvise_as(card, &tbo, VIRTGPU_MADV_DONTNEED), ==, -EBUSY);
    /* Nor does the mark it had take effect. */
    shrink(1000);
    CHECK(willneed(&tbo));
    CHECK_INT(madvise_as(card, &tbo, VIRTGPU_MADV_DONTNEED), ==, -EBUSY);
    check_intact(&tbo);
}

const TestCase tests_madvise[] = {
    { "madvise/new-is-retained", test_new_is_retained, 0 },
    { "madvise/dontneed-twice", test_dontneed_twice, 0 },
    { "madvise/willneed-twice", test_willneed_twice, 0 },
    { "madvise/dontneed-willneed-retained", test_dontneed_willneed_retained,
      0 },
    { "madvise/write-while-dontneed", test_write_while_dontneed, 0 },
    { "madvise/repeatedly", test_repeatedly, 0 },
    { "madvise/unknown-advice-einval", test_unknown_advice_einval, 0 },
    { "madvise/pad-einval", test_pad_einval, 0 },
    { "madvise/bad-pointer-efault", test_bad_pointer_efault, 0 },
    { "madvise/unknown-handle-enoent", test_unknown_handle_enoent, 0 },
    { "madvise/foreign-handle-enoent", test_foreign_handle_enoent, 0 },
    { "madvise/error-changes-nothing", test_error_changes_nothing, 0 },
    { "madvise/dumb-eopnotsupp", test_dumb_eopnotsupp, NEEDS_VIRTIO },
    { "madvise/too-large-eopnotsupp", test_too_large_eopnotsupp, NEEDS_VIRTIO },
    { "madvise/unpopulated", test_unpopulated, 0 },
    { "madvise/flink-ebusy", test_flink_ebusy, 0 },
    { NULL, NULL, 0 },
};
