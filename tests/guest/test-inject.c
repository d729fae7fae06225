/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocations that fail. What a case does is done again and again, and each
 * time the next of the kernel's allocations on behalf of it fails, until there
 * are no more: it has to end with an error or well, and nothing is lost.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm.h>
#include <drm_fourcc.h>
#include <drm_mode.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "submit.h"
#include "test.h"

/* As a framebuffer: 256 pixels to a line. */
#define BYTES  (64 * KIB)
#define WIDTH  256
#define HEIGHT (BYTES / 4 / WIDTH)

/* Nothing here allocates as often: then it goes round in circles. */
#define MANY 5000

/* The process' countdown to the allocation that fails. */
static int countdown = -1;

static void set_countdown(unsigned nth)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%u", nth);

    CHECK_INT(pwrite(countdown, text, len, 0), ==, len);
}

/* Returns whether there was a failure. */
static bool stop_countdown(void)
{
    char text[16] = "";

    CHECK(pread(countdown, text, sizeof(text) - 1, 0) > 0);
    set_countdown(0);
    return atoi(text) == 0;
}

static void prepare(void)
{
    CHECK_INT(system("cd /sys/kernel/debug && "
                     "for what in failslab fail_page_alloc; do "
                     "    echo 0 >$what/verbose; "
                     "    echo N >$what/ignore-gfp-wait; "
                     "done && echo 0 >fail_page_alloc/min-order && "
                     "echo N >fail_page_alloc/ignore-gfp-highmem"), ==, 0);
    countdown = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
    CHECK_INT(countdown, >=, 0);
}

/* Each of these returns 0 or -errno, and works on the same object. */
typedef int Request(Held *held);

/*
 * Before each attempt @before prepares @held, and after it @after looks at it
 * and is told how it went. Returns how many of them failed.
 */
static unsigned each_failure(Held *held, void (*before)(Held *held),
                             Request *request,
                             void (*after)(Held *held, int ret))
{
    unsigned nth, errors = 0;
    bool failed = true;
    int ret;

    prepare();
    for (nth = 1; failed; nth++) {
        CHECK_INT(nth, <, MANY);
        if (before) {
            before(held);
        }
        set_countdown(nth);
        ret = request(held);
        failed = stop_countdown();
        if (ret != 0) {
            CHECK(failed);
            /* No room for a list of handles, or for an inode. */
            if (ret != -ENOENT && ret != -ENOSPC) {
                CHECK_INT(ret, ==, -ENOMEM);
            }
            errors++;
        }
        after(held, ret);
    }
    return errors;
}

static void evict(Held *held)
{
    check_intact(held);
    shrink_all();
}

static void still_there(Held *held, int ret)
{
    check_intact(held);
    if (ret == 0) {
        check_host(held);
    }
}

static int request_create(Held *held)
{
    return bo_create(env.gpu, BO_TEXTURE, BYTES, &held->bo);
}

static void drop_created(Held *held, int ret)
{
    if (ret == 0) {
        check_zero(held);
        drop(held);
    }
}

/* To create is to create, to have it mapped and to map it. */
static void test_create(void)
{
    Held held = { 0 };

    CHECK_INT(each_failure(&held, NULL, request_create, drop_created), >, 0);
}

static int request_upload(Held *held)
{
    return bo_upload(env.gpu, &held->bo);
}

static void test_upload(void)
{
    Held held;

    make(&held, BYTES);
    each_failure(&held, NULL, request_upload, still_there);
}

static void test_upload_evicted(void)
{
    Held held;

    make(&held, BYTES);
    CHECK_INT(each_failure(&held, evict, request_upload, still_there), >, 0);
}

static void mark_and_purge(Held *held)
{
    mark(held);
    shrink_all();
    CHECK(!ask_back(held));
    held->generation = held->rewritten = held->generation + 1;
}

static void fill_again(Held *held, int ret)
{
    if (ret == 0) {
        check_zero(held);
    }
    held_fill(held, held->generation);
    CHECK_INT(bo_upload(env.gpu, &held->bo), ==, 0);
    check_host(held);
}

/* The resource and the pages behind it are made anew. */
static void test_upload_purged(void)
{
    Held held;

    make(&held, BYTES);
    CHECK_INT(each_failure(&held, mark_and_purge, request_upload, fill_again),
              >, 0);
}

static int request_download(Held *held)
{
    int ret = bo_download(env.gpu, &held->bo);

    return ret < 0 ? ret : bo_wait(env.gpu, &held->bo);
}

static void test_download_evicted(void)
{
    Held held;

    make(&held, BYTES);
    CHECK_INT(each_failure(&held, evict, request_download, still_there), >, 0);
}

static int request_submit(Held *held)
{
    const Held *both[] = { held };

    return submit_nothing(env.gpu, both, 1);
}

static void test_submit_evicted(void)
{
    Held held;

    make(&held, BYTES);
    CHECK_INT(each_failure(&held, evict, request_submit, still_there), >, 0);
}

/* Whether the page was there, as a system call would see it. */
static int request_touch(Held *held)
{
    Tally tally = { 0 };

    held_check(held, &tally);
    CHECK_INT(tally.corrupt + tally.zero, ==, 0);
    return tally.fault ? -ENOMEM : 0;
}

static void test_touch_evicted(void)
{
    Held held;

    make(&held, BYTES);
    each_failure(&held, evict, request_touch, still_there);
}

static int request_mark_and_back(Held *held)
{
    bool retained;
    int ret = bo_madvise(env.gpu, &held->bo, VIRTGPU_MADV_DONTNEED, &retained);

    if (ret == 0) {
        ret = bo_madvise(env.gpu, &held->bo, VIRTGPU_MADV_WILLNEED, &retained);
        CHECK(retained);
    }
    return ret;
}

/* To take advice takes no memory. */
static void test_madvise(void)
{
    Held held;

    make(&held, BYTES);
    CHECK_INT(each_failure(&held, NULL, request_mark_and_back, still_there),
              ==, 0);
}

static int shrinker = -1;

/* What is read depends on where the file is at: have it at the beginning. */
static void open_shrinker(void)
{
    if (shrinker >= 0) {
        close(shrinker);
    }
    shrinker = open(DEBUGFS "virtio-gpu-shrink", O_RDWR | O_CLOEXEC);
    CHECK_INT(shrinker, >=, 0);
}

static int request_shrink(Held *held)
{
    char answer[32] = "";

    CHECK_INT(write(shrinker, "100000", 6), ==, 6);
    CHECK(read(shrinker, answer, sizeof(answer) - 1) > 0);
    CHECK_INT(atoi(answer), ==, held->bo.bytes / PAGE_BYTES);
    return 0;
}

static void fill_and_mark(Held *held)
{
    mark_and_purge(held);
    held_fill(held, held->generation);
    CHECK_INT(bo_upload(env.gpu, &held->bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &held->bo), ==, 0);
    mark(held);
    open_shrinker();
}

static void not_retained(Held *held, int ret)
{
    CHECK_INT(ret, ==, 0);
    CHECK(!ask_back(held));
    check_zero(held);
}

static void fault_back(Held *held)
{
    check_intact(held);
    open_shrinker();
}

/* Reclaim gets at the memory even if it gets none. */
static void test_evict(void)
{
    Held held;

    make(&held, BYTES);
    CHECK_INT(each_failure(&held, fault_back, request_shrink, still_there), ==,
              0);
}

static void test_purge(void)
{
    Held held;

    make(&held, BYTES);
    CHECK_INT(each_failure(&held, fill_and_mark, request_shrink,
                           not_retained), ==, 0);
}

static int exported = -1;

static int request_export(Held *held)
{
    struct drm_prime_handle prime = {
        .handle = held->bo.handle, .flags = O_RDWR | O_CLOEXEC,
    };
    int ret = drm_request(env.gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);

    exported = ret == 0 ? prime.fd : -1;
    return ret;
}

static void make_anew(Held *held)
{
    make(held, BYTES);
    shrink_all();
}

static void close_exported(Held *held, int ret)
{
    still_there(held, ret);
    if (ret == 0) {
        close(exported);
    }
    drop(held);
}

static void test_export(void)
{
    Held held;

    CHECK_INT(each_failure(&held, make_anew, request_export, close_exported),
              >, 0);
}

static uint32_t framebuffer;

static int request_framebuffer(Held *held)
{
    struct drm_mode_fb_cmd2 fb = {
        .width = WIDTH, .height = HEIGHT, .pixel_format = DRM_FORMAT_XRGB8888,
        .handles = { held->bo.handle }, .pitches = { 4 * WIDTH },
    };
    int ret = drm_request(env.gpu, DRM_IOCTL_MODE_ADDFB2, &fb);

    framebuffer = fb.fb_id;
    return ret;
}

static void make_texture_anew(Held *held)
{
    make_from(env.gpu, held, 1, BYTES, BO_TEXTURE);
    shrink_all();
}

static void remove_framebuffer(Held *held, int ret)
{
    still_there(held, ret);
    if (ret == 0) {
        CHECK_INT(drm_request(env.gpu, DRM_IOCTL_MODE_RMFB, &framebuffer), ==,
                  0);
    }
    drop(held);
}

static void test_framebuffer(void)
{
    Held held;

    close(env.gpu);
    env.gpu = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
    CHECK_INT(env.gpu, >=, 0);
    CHECK_INT(each_failure(&held, make_texture_anew, request_framebuffer,
                           remove_framebuffer), >, 0);
}

const TestCase tests_inject[] = {
    { "inject/create", test_create, NEEDS_DEBUG },
    { "inject/upload", test_upload, NEEDS_DEBUG },
    { "inject/upload-evicted", test_upload_evicted, NEEDS_DEBUG },
    { "inject/upload-purged", test_upload_purged, NEEDS_DEBUG },
    { "inject/download-evicted", test_download_evicted,
      NEEDS_DEBUG | NEEDS_3D },
    { "inject/submit-evicted", test_submit_evicted, NEEDS_DEBUG | NEEDS_3D },
    { "inject/touch-evicted", test_touch_evicted, NEEDS_DEBUG },
    { "inject/madvise", test_madvise, NEEDS_DEBUG },
    { "inject/evict", test_evict, NEEDS_DEBUG },
    { "inject/purge", test_purge, NEEDS_DEBUG },
    { "inject/export", test_export, NEEDS_DEBUG },
    { "inject/framebuffer", test_framebuffer, NEEDS_DEBUG },
    { NULL, NULL, 0 },
};
