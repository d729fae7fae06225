/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allocation failures. Each case repeats an operation, and each time the next
 * of the kernel's allocations for it fails, until there are none left: it must
 * succeed or return an error, and nothing may be lost.
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

#include "stall.h"
#include "submit.h"
#include "test.h"

/* As a framebuffer: 256 pixels to a line. */
#define BYTES  (64 * KIB)
#define WIDTH  256
#define HEIGHT (BYTES / 4 / WIDTH)

/* More allocations than any operation does: a bound for the loop. */
#define MANY 5000

/* The process' countdown to the failing allocation. */
static int countdown = -1;

static void set_countdown(unsigned nth)
{
    char text[16];
    int len = snprintf(text, sizeof(text), "%u", nth);

    CHECK_INT(pwrite(countdown, text, len, 0), ==, len);
}

/* Returns whether an allocation failed. */
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

/* Operations on the buffer under test; return 0 or -errno. */
typedef int Request(TestBo *tbo);

/*
 * Whether the kernel's debugging of DMA is off. It is from its first allocation
 * that fails on.
 */
static bool is_dma_debug_off(void)
{
    FILE *file = fopen("/sys/kernel/debug/dma-api/disabled", "r");
    int answer;

    CHECK(file);
    answer = fgetc(file);
    fclose(file);
    return answer == 'Y';
}

/*
 * Before each attempt @before prepares @tbo, and afterwards @after checks it,
 * given the result. Returns the number of attempts that failed.
 */
static unsigned try_each_failure(TestBo *tbo, void (*before)(TestBo *tbo),
                                 Request *request,
                                 void (*after)(TestBo *tbo, int ret))
{
    unsigned nth, errors = 0;
    bool failed = true;
    int ret;

    for (nth = 1; failed; nth++) {
        CHECK_INT(nth, <, MANY);
        if (before) {
            before(tbo);
        }
        set_countdown(nth);
        ret = request(tbo);
        failed = stop_countdown();
        if (ret != 0) {
            CHECK(failed);
            /* The allocation of a handle, or of an inode, failed. */
            if (ret != -ENOENT && ret != -ENOSPC) {
                CHECK_INT(ret, ==, -ENOMEM);
            }
            errors++;
        }
        after(tbo, ret);
    }
    return errors;
}

/*
 * The same. Without the allocations of the debugging of DMA, a count may pass
 * all that follow them: start again.
 */
static unsigned each_failure(TestBo *tbo, void (*before)(TestBo *tbo),
                             Request *request,
                             void (*after)(TestBo *tbo, int ret))
{
    unsigned errors = 0;
    bool was_off;

    prepare();
    do {
        was_off = is_dma_debug_off();
        errors += try_each_failure(tbo, before, request, after);
    } while (is_dma_debug_off() != was_off);
    return errors;
}

static void evict(TestBo *tbo)
{
    check_intact(tbo);
    shrink_all();
}

static void check_retained(TestBo *tbo, int ret)
{
    check_intact(tbo);
    if (ret == 0) {
        check_host(tbo);
    }
}

static int request_create(TestBo *tbo)
{
    return bo_create(env.gpu, BO_TEXTURE, BYTES, &tbo->bo);
}

static void drop_created(TestBo *tbo, int ret)
{
    if (ret == 0) {
        check_zero(tbo);
        release(tbo);
    }
}

/* Creating includes mapping. */
static void test_create(void)
{
    TestBo tbo = { 0 };

    CHECK_INT(each_failure(&tbo, NULL, request_create, drop_created), >, 0);
}

static int request_upload(TestBo *tbo)
{
    return bo_upload(env.gpu, &tbo->bo);
}

static void test_upload(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    each_failure(&tbo, NULL, request_upload, check_retained);
}

static void test_upload_evicted(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(each_failure(&tbo, evict, request_upload, check_retained), >, 0);
}

static void mark_and_purge(TestBo *tbo)
{
    dontneed(tbo);
    shrink_all();
    CHECK(!willneed(tbo));
    tbo->generation = tbo->rewritten = tbo->generation + 1;
}

static void fill_again(TestBo *tbo, int ret)
{
    if (ret == 0) {
        check_zero(tbo);
    }
    test_bo_fill(tbo, tbo->generation);
    CHECK_INT(bo_upload(env.gpu, &tbo->bo), ==, 0);
    check_host(tbo);
}

/*
 * Both the resource and the pages are created again. A resource that is created
 * by an attempt that fails later is attached to its context by the next one.
 */
static void test_upload_purged(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(each_failure(&tbo, mark_and_purge, request_upload, fill_again),
              >, 0);
}

static int request_download(TestBo *tbo)
{
    int ret = bo_download(env.gpu, &tbo->bo);

    return ret < 0 ? ret : bo_wait(env.gpu, &tbo->bo);
}

static void test_download_evicted(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(each_failure(&tbo, evict, request_download, check_retained),
              >, 0);
}

static int request_submit(TestBo *tbo)
{
    const TestBo *both[] = { tbo };

    return submit_nothing(env.gpu, both, 1);
}

static void test_submit_evicted(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(each_failure(&tbo, evict, request_submit, check_retained), >, 0);
}

/* Returns -ENOMEM if an access faulted. */
static int request_touch(TestBo *tbo)
{
    PageCounts counts = { 0 };

    test_bo_check(tbo, &counts);
    CHECK_INT(counts.corrupt + counts.zero, ==, 0);
    return counts.fault ? -ENOMEM : 0;
}

static void test_access_evicted(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    each_failure(&tbo, evict, request_touch, check_retained);
}

static int request_mark_and_back(TestBo *tbo)
{
    bool retained;
    int ret = bo_madvise(env.gpu, &tbo->bo, VIRTGPU_MADV_DONTNEED, &retained);

    if (ret == 0) {
        ret = bo_madvise(env.gpu, &tbo->bo, VIRTGPU_MADV_WILLNEED, &retained);
        CHECK(retained);
    }
    return ret;
}

/* MADVISE does not allocate. */
static void test_madvise(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(each_failure(&tbo, NULL, request_mark_and_back, check_retained),
              ==, 0);
}

static int shrinker = -1;

/* Open it anew, so that the position is at the beginning. */
static void open_shrinker(void)
{
    char path[64];

    if (shrinker >= 0) {
        close(shrinker);
    }
    bo_debugfs_path("shrink", path, sizeof(path));
    shrinker = open(path, O_RDWR | O_CLOEXEC);
    CHECK_INT(shrinker, >=, 0);
}

static int request_shrink(TestBo *tbo)
{
    char response[32] = "";

    CHECK_INT(write(shrinker, "100000", 6), ==, 6);
    CHECK(read(shrinker, response, sizeof(response) - 1) > 0);
    CHECK_INT(atoi(response), ==, tbo->bo.bytes / PAGE_BYTES);
    return 0;
}

static void fill_and_mark(TestBo *tbo)
{
    mark_and_purge(tbo);
    test_bo_fill(tbo, tbo->generation);
    CHECK_INT(bo_upload(env.gpu, &tbo->bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo->bo), ==, 0);
    dontneed(tbo);
    open_shrinker();
}

static void not_retained(TestBo *tbo, int ret)
{
    CHECK_INT(ret, ==, 0);
    CHECK(!willneed(tbo));
    check_zero(tbo);
}

static void fault_back(TestBo *tbo)
{
    check_intact(tbo);
    open_shrinker();
}

/* Reclaim succeeds without allocating. */
static void test_evict(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(each_failure(&tbo, fault_back, request_shrink, check_retained),
              ==, 0);
}

static void test_purge(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(each_failure(&tbo, fill_and_mark, request_shrink,
                           not_retained), ==, 0);
}

/* What became of the buffers so far. */
static unsigned retained_count, purged_count;

static void dontneed_created(TestBo *tbo, int ret)
{
    bool retained;

    if (ret < 0) {
        return;
    }
    test_bo_fill(tbo, 1);
    CHECK_INT(bo_upload(env.gpu, &tbo->bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo->bo), ==, 0);
    dontneed(tbo);
    shrink_all();
    retained = willneed(tbo);
    check_contents(tbo, retained);
    if (retained) {
        CHECK_INT(madvise_as(env.gpu, tbo, VIRTGPU_MADV_DONTNEED), ==,
                  -EOPNOTSUPP);
    }
    retained_count += retained;
    purged_count += !retained;
    release(tbo);
}

/*
 * Without the feature a buffer cannot be purged if there was no memory to save
 * its parameters: it is evicted instead, even if DONTNEED.
 */
static void test_purge_unsupported(void)
{
    TestBo tbo = { 0 };

    if (env.has_feature) {
        test_skip("needs a device without VIRTIO_GPU_F_RECLAIM");
    }
    each_failure(&tbo, NULL, request_create, dontneed_created);
    CHECK_INT(retained_count, >, 0);
    CHECK_INT(purged_count, >, 0);
}

static int exported = -1;

static int request_export(TestBo *tbo)
{
    struct drm_prime_handle prime = {
        .handle = tbo->bo.handle, .flags = O_RDWR | O_CLOEXEC,
    };
    int ret = drm_request(env.gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);

    exported = ret == 0 ? prime.fd : -1;
    return ret;
}

static void make_anew(TestBo *tbo)
{
    make(tbo, BYTES);
    shrink_all();
}

static void close_exported(TestBo *tbo, int ret)
{
    check_retained(tbo, ret);
    if (ret == 0) {
        close(exported);
    }
    release(tbo);
}

static void test_export(void)
{
    TestBo tbo;

    CHECK_INT(each_failure(&tbo, make_anew, request_export, close_exported),
              >, 0);
}

static uint32_t framebuffer;

static int request_framebuffer(TestBo *tbo)
{
    struct drm_mode_fb_cmd2 fb = {
        .width = WIDTH, .height = HEIGHT, .pixel_format = DRM_FORMAT_XRGB8888,
        .handles = { tbo->bo.handle }, .pitches = { 4 * WIDTH },
    };
    int ret = drm_request(env.gpu, DRM_IOCTL_MODE_ADDFB2, &fb);

    framebuffer = fb.fb_id;
    return ret;
}

static void make_texture_anew(TestBo *tbo)
{
    make_from(env.gpu, tbo, 1, BYTES, BO_TEXTURE);
    shrink_all();
}

static void remove_framebuffer(TestBo *tbo, int ret)
{
    check_retained(tbo, ret);
    if (ret == 0) {
        CHECK_INT(drm_request(env.gpu, DRM_IOCTL_MODE_RMFB, &framebuffer), ==,
                  0);
    }
    release(tbo);
}

static void test_framebuffer(void)
{
    TestBo tbo;

    close(env.gpu);
    env.gpu = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
    CHECK_INT(env.gpu, >=, 0);
    CHECK_INT(each_failure(&tbo, make_texture_anew, request_framebuffer,
                           remove_framebuffer), >, 0);
}

#define FAIL_PAGE_ALLOC "/sys/kernel/debug/fail_page_alloc/"

/*
 * Failures of allocations of four pages and more. The first is that of a
 * contiguous copy of the commands, and some may be those of new slabs, for which
 * the kernel then takes fewer pages: more than there can be of these.
 */
#define LARGE_FAILURES 32

/*
 * Have the next allocations fail for which this process needs four pages or
 * more; on the debug kernel, a slab of small objects can need two. Pages of
 * user space never fail.
 */
static void fail_large(unsigned times)
{
    char command[256];

    snprintf(command, sizeof(command),
             "cd " FAIL_PAGE_ALLOC " && echo 0 >verbose && "
             "echo N >ignore-gfp-wait && echo Y >ignore-gfp-highmem && "
             "echo 2 >min-order && echo Y >task-filter && echo %u >times && "
             "echo %u >probability", times, times ? 100 : 0);
    CHECK_INT(system(command), ==, 0);
    CHECK(write_file("/proc/self/make-it-fail", times ? "1" : "0"));
}

/* How many of the failures are left. */
static int failures_left(void)
{
    int times = -1;
    FILE *file = fopen(FAIL_PAGE_ALLOC "times", "r");

    CHECK(file && fscanf(file, "%d", &times) == 1);
    fclose(file);
    return times;
}

/*
 * Without memory for its indirect descriptor, and room for its parts in the ring of
 * the queue, a command is queued later. Each has 512 pages. They must not be
 * contiguous, so the kernel's first attempt to allocate them fails as well. The
 * rings of some devices have room for those of one command, and a device that is
 * stalled keeps them. It would not answer the eviction of an object either, which
 * a submission waits for: that one is kept busy.
 */
static void test_submit_large(void)
{
    enum { WORDS = 2 << 18, COMMANDS = 4 };
    TestBo tbo;
    int i;

    make(&tbo, BYTES);
    stall();
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, 0);
    fail_large(LARGE_FAILURES);
    for (i = 0; i < COMMANDS && failures_left() > 0; i++) {
        CHECK_INT(submit_many_nothing(env.gpu, &tbo, WORDS), ==, 0);
    }
    CHECK_INT(failures_left(), ==, 0);
    fail_large(0);
    stall_end();
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    check_intact(&tbo);
}

const TestCase tests_inject[] = {
    { "inject/create", test_create, NEEDS_DEBUG },
    { "inject/upload", test_upload, NEEDS_DEBUG },
    { "inject/upload-evicted", test_upload_evicted, NEEDS_DEBUG },
    { "inject/upload-purged", test_upload_purged, NEEDS_DEBUG },
    { "inject/download-evicted", test_download_evicted,
      NEEDS_DEBUG | NEEDS_3D },
    { "inject/submit-evicted", test_submit_evicted, NEEDS_DEBUG | NEEDS_3D },
    { "inject/access-evicted", test_access_evicted, NEEDS_DEBUG },
    { "inject/madvise", test_madvise, NEEDS_DEBUG },
    { "inject/evict", test_evict, NEEDS_DEBUG },
    { "inject/purge", test_purge, NEEDS_DEBUG },
    { "inject/purge-unsupported", test_purge_unsupported, NEEDS_DEBUG },
    { "inject/export", test_export, NEEDS_DEBUG },
    { "inject/framebuffer", test_framebuffer, NEEDS_DEBUG },
    { "inject/submit-large", test_submit_large, NEEDS_DEBUG | NEEDS_3D },
    { NULL, NULL, 0 },
};
