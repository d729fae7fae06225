/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Framebuffers are never purged. They are pinned if the device scans out their
 * pages: on 2D devices.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/fb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm.h>
#include <drm_fourcc.h>
#include <drm_mode.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "process.h"
#include "report.h"
#include "screen.h"
#include "test.h"

/* As a framebuffer: 1024 pixels to a line. */
#define BYTES  (256 * KIB)
#define WIDTH  1024
#define HEIGHT (BYTES / 4 / WIDTH)

/* A bound that only a hang exceeds. */
#define REMOVED_MS 60000

/* Framebuffers need the primary node: use it for everything. */
static void use_card(void)
{
    close(env.gpu);
    env.gpu = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
    CHECK_INT(env.gpu, >=, 0);
}

static int add_framebuffer(const TestBo *tbo, uint32_t *id)
{
    struct drm_mode_fb_cmd2 fb = {
        .width = WIDTH, .height = HEIGHT, .pixel_format = DRM_FORMAT_XRGB8888,
        .handles = { tbo->bo.handle }, .pitches = { 4 * WIDTH },
    };
    int ret = drm_request(env.gpu, DRM_IOCTL_MODE_ADDFB2, &fb);

    *id = fb.fb_id;
    return ret;
}

static void make_texture(TestBo *tbo)
{
    static uint32_t next = 100;

    make_from(env.gpu, tbo, next++, BYTES, BO_TEXTURE);
}

static void test_framebuffer_dontneed_ebusy(void)
{
    uint32_t id;
    TestBo tbo;

    use_card();
    make_texture(&tbo);
    CHECK_INT(add_framebuffer(&tbo, &id), ==, 0);
    CHECK_INT(madvise_as(env.gpu, &tbo, VIRTGPU_MADV_DONTNEED), ==, -EBUSY);
    CHECK_INT(madvise_as(env.gpu, &tbo, VIRTGPU_MADV_WILLNEED), ==, 0);
}

static void test_framebuffer_is_retained(void)
{
    long long evictions = stat_of("evictions");
    uint32_t id;
    TestBo tbo;

    use_card();
    make_texture(&tbo);
    CHECK_INT(add_framebuffer(&tbo, &id), ==, 0);
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions + env.is_3d);
    check_intact(&tbo);
    check_host(&tbo);
}

static void test_framebuffer_of_dontneed_retained(void)
{
    uint32_t id;
    TestBo tbo;

    use_card();
    make_texture(&tbo);
    dontneed(&tbo);
    CHECK_INT(add_framebuffer(&tbo, &id), ==, 0);
    shrink_all();
    CHECK(willneed(&tbo));
    check_intact(&tbo);
}

static void test_framebuffer_of_purged_enodata(void)
{
    uint32_t id;
    TestBo tbo;

    use_card();
    make_texture(&tbo);
    dontneed(&tbo);
    shrink_all();
    CHECK_INT(add_framebuffer(&tbo, &id), ==, -ENODATA);
    CHECK(!willneed(&tbo));
    CHECK_INT(add_framebuffer(&tbo, &id), ==, 0);
    check_zero(&tbo);
}

/* Bytes that a framebuffer of @bytes pins. */
static long long pinned_by(long long bytes)
{
    return env.is_3d ? 0 : bytes;
}

/* Mark it DONTNEED as soon as the framebuffer is gone, which a worker frees. */
static void dontneed_when_removed(const TestBo *tbo)
{
    int waited, ret = -EBUSY;

    for (waited = 0; waited < REMOVED_MS && ret == -EBUSY; waited += 10) {
        ret = madvise_as(env.gpu, tbo, VIRTGPU_MADV_DONTNEED);
        usleep(10000);
    }
    CHECK_INT(ret, ==, 0);
}

static void test_framebuffer_removed_unpins(void)
{
    long long pinned = stat_of("pinned_bytes");
    uint32_t id;
    TestBo tbo;

    use_card();
    make_texture(&tbo);
    CHECK_INT(add_framebuffer(&tbo, &id), ==, 0);
    CHECK_INT(stat_of("pinned_bytes"), ==, pinned + pinned_by(BYTES));
    CHECK_INT(madvise_as(env.gpu, &tbo, VIRTGPU_MADV_DONTNEED), ==, -EBUSY);
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_MODE_RMFB, &id), ==, 0);
    dontneed_when_removed(&tbo);
    CHECK_INT(stat_of("pinned_bytes"), ==, pinned);
    shrink_all();
    CHECK(!willneed(&tbo));
}

static void test_framebuffer_twice_pins(void)
{
    uint32_t one, two;
    TestBo tbo;

    use_card();
    make_texture(&tbo);
    CHECK_INT(add_framebuffer(&tbo, &one), ==, 0);
    CHECK_INT(add_framebuffer(&tbo, &two), ==, 0);
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_MODE_RMFB, &one), ==, 0);
    usleep(50000);
    CHECK_INT(madvise_as(env.gpu, &tbo, VIRTGPU_MADV_DONTNEED), ==, -EBUSY);
    shrink_all();
    check_intact(&tbo);
}

static void test_dumb_stays_resident(void)
{
    int card = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
    struct drm_mode_create_dumb create = {
        .width = WIDTH, .height = HEIGHT, .bpp = 32,
    };
    struct drm_mode_map_dumb map = { 0 };
    TestBo tbo = { .index = 9, .bo = { .bytes = BYTES } };

    CHECK_INT(drm_request(card, DRM_IOCTL_MODE_CREATE_DUMB, &create), ==, 0);
    map.handle = create.handle;
    CHECK_INT(drm_request(card, DRM_IOCTL_MODE_MAP_DUMB, &map), ==, 0);
    tbo.bo.map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, card,
                      map.offset);
    CHECK(tbo.bo.map != MAP_FAILED);
    test_bo_fill(&tbo, 0);
    shrink_all();
    check_intact(&tbo);
}

/* The console's contents are the same before and after reclaim. */
static void test_console_unchanged(void)
{
    struct fb_fix_screeninfo fix;
    int fb = open("/dev/fb0", O_RDWR | O_CLOEXEC);
    uint8_t *before, *after;

    if (fb < 0) {
        test_skip("there is no console on the display");
    }
    CHECK_INT(ioctl(fb, FBIOGET_FSCREENINFO, &fix), ==, 0);
    before = malloc(fix.smem_len);
    after = malloc(fix.smem_len);
    CHECK(before && after);
    memset(before, 0x5a, 4 * KIB);
    CHECK_INT(pwrite(fb, before, 4 * KIB, fix.smem_len / 2), ==, 4 * KIB);
    CHECK_INT(pread(fb, before, fix.smem_len, 0), ==, fix.smem_len);
    shrink_all();
    CHECK_INT(pread(fb, after, fix.smem_len, 0), ==, fix.smem_len);
    /* The cursor blinks in the first lines: skip them. */
    CHECK(!memcmp(before + fix.smem_len / 2, after + fix.smem_len / 2,
                  fix.smem_len / 4));
}

/* The host's view of a scanout does not change under reclaim. */
static void test_scanout_unchanged(void)
{
    char console[128], before[128], after[128], other[128];
    uint32_t id;
    TestBo tbo;

    report_and_read("screen", console, sizeof(console));
    if (console[0] == '0') {
        test_skip("QEMU takes no screenshot of a GL display");
    }
    use_card();
    make_from(env.gpu, &tbo, 1, SCREEN_BYTES, BO_TEXTURE);
    id = screen_framebuffer(env.gpu, tbo.bo.handle);
    screen_show(env.gpu, id);
    screen_flush(env.gpu, id);
    screen_wait(before, sizeof(before), console);

    shrink_all();
    check_memory_hog(60);
    screen_flush(env.gpu, id);
    screen_wait(after, sizeof(after), "");
    CHECK(!strcmp(after, before));
    check_intact(&tbo);

    /* A change of this buffer is visible: it is the one on the screen. */
    test_bo_fill(&tbo, 1);
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, 0);
    screen_flush(env.gpu, id);
    screen_wait(other, sizeof(other), before);
}

/*
 * A lease is a file of its own with its own buffers; its framebuffers are
 * retained like all others.
 */
static void test_lease(void)
{
    struct drm_mode_create_lease lease = { .flags = O_CLOEXEC };
    long long evictions, pinned;
    uint32_t objects[2], id;
    TestBo shown, idle;
    Screen display;
    int lessor;

    use_card();
    display = screen_of(env.gpu);
    objects[0] = display.crtc;
    objects[1] = display.connector;
    lease.object_ids = (uintptr_t)objects;
    lease.object_count = 2;
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_MODE_CREATE_LEASE, &lease), ==, 0);
    lessor = env.gpu;
    env.gpu = lease.fd;
    make_texture(&shown);
    make_texture(&idle);
    pinned = stat_of("pinned_bytes");
    CHECK_INT(add_framebuffer(&shown, &id), ==, 0);
    CHECK_INT(madvise_as(env.gpu, &shown, VIRTGPU_MADV_DONTNEED), ==, -EBUSY);
    CHECK_INT(stat_of("pinned_bytes"), ==, pinned + pinned_by(BYTES));
    evictions = stat_of("evictions");
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions + 1 + env.is_3d);
    check_intact(&shown);
    check_intact(&idle);

    /* Revoking the lease does not affect the lessee's buffers. */
    CHECK_INT(drm_request(lessor, DRM_IOCTL_MODE_REVOKE_LEASE,
                          &(struct drm_mode_revoke_lease) {
                              lease.lessee_id }), ==, 0);
    shrink_all();
    check_intact(&shown);
    check_intact(&idle);
    dontneed(&idle);
    shrink_all();
    CHECK(!willneed(&idle));
    close(lease.fd);
    env.gpu = lessor;
}

const TestCase tests_display[] = {
    { "display/scanout-unchanged", test_scanout_unchanged, 0 },
    { "display/framebuffer-dontneed-ebusy", test_framebuffer_dontneed_ebusy,
      0 },
    { "display/framebuffer-is-retained", test_framebuffer_is_retained, 0 },
    { "display/framebuffer-of-dontneed-retained",
      test_framebuffer_of_dontneed_retained, 0 },
    { "display/framebuffer-of-purged-enodata",
      test_framebuffer_of_purged_enodata, 0 },
    { "display/framebuffer-removed-unpins", test_framebuffer_removed_unpins,
      0 },
    { "display/framebuffer-twice-pins", test_framebuffer_twice_pins, 0 },
    { "display/dumb-stays-resident", test_dumb_stays_resident, 0 },
    { "display/console-unchanged", test_console_unchanged, 0 },
    { "display/lease", test_lease, 0 },
    { NULL, NULL, 0 },
};
