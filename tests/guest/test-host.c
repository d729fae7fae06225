/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host without memory for a purged buffer: users get -ENOMEM, and succeed
 * when there is memory.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>

#include "report.h"
#include "submit.h"
#include "test.h"

#define BYTES  (16 * 1024 * KIB)
#define FILLER (4 * 1024 * KIB)

/* A bound that only a hang exceeds. */
#define FREED_MS 60000

/* More than enough to reach the limit. */
#define FILLERS_MAX 128

static TestBo fillers[FILLERS_MAX];
static unsigned filler_count;

/* Bytes left below the device's limit; skips the case without a limit. */
static long long host_room(void)
{
    unsigned long long used, limit;
    char response[64];

    report_and_read("hostmem", response, sizeof(response));
    CHECK_INT(sscanf(response, "%llu %llu", &used, &limit), ==, 2);
    if (limit == 0) {
        test_skip("needs a device with a limit of memory");
    }
    return limit - used;
}

/* Make a purged buffer WILLNEED, with no memory for it on the host. */
static void make_purged_over_limit(TestBo *tbo)
{
    host_room();
    make_from(env.gpu, tbo, 1, BYTES, BO_TEXTURE);
    dontneed(tbo);
    shrink_all();
    CHECK(!willneed(tbo));
    while (host_room() > BYTES) {
        CHECK_INT(filler_count, <, FILLERS_MAX);
        CHECK_INT(bo_create(env.gpu, BO_TEXTURE, FILLER,
                            &fillers[filler_count++].bo), ==, 0);
        /* The total is the device's: the command must be complete. */
        CHECK_INT(bo_wait(env.gpu, &fillers[filler_count - 1].bo), ==, 0);
    }
}

static void free_fillers(void)
{
    while (filler_count) {
        release(&fillers[--filler_count]);
    }
    /* Resources are freed asynchronously. */
    while (host_room() <= BYTES) {
        usleep(1000);
    }
}

static void test_upload_enomem(void)
{
    TestBo tbo;

    make_purged_over_limit(&tbo);
    test_bo_fill(&tbo, 1);
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, -ENOMEM);
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, -ENOMEM);
    free_fillers();
    check_upload(&tbo);
}

/* The other buffers of the submission are not affected. */
static void test_submit_enomem(void)
{
    TestBo failing, good, drawn = { 0 };
    const TestBo *all[] = { &drawn, &good, &failing };

    /* A texture that is never attached does not end the check of others. */
    CHECK_INT(bo_create_unmapped(env.gpu, BO_TEXTURE, PAGE_BYTES, &drawn.bo),
              ==, 0);
    make_from(env.gpu, &good, 2, FILLER, BO_TEXTURE);
    make_purged_over_limit(&failing);
    CHECK_INT(submit_nothing(env.gpu, all, 3), ==, -ENOMEM);
    CHECK_INT(submit_nothing(env.gpu, all, 2), ==, 0);
    check_intact(&good);
    check_host(&good);
    free_fillers();
    CHECK_INT(submit_nothing(env.gpu, all, 3), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &failing.bo), ==, 0);
    check_zero(&failing);
    check_host(&good);
}

/* Such a buffer is evicted, purged and freed like others. */
static void test_reclaim_after_enomem(void)
{
    TestBo tbo;

    make_purged_over_limit(&tbo);
    test_bo_fill(&tbo, 1);
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, -ENOMEM);
    shrink_all();
    check_intact(&tbo);
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, -ENOMEM);
    dontneed(&tbo);
    shrink_all();
    CHECK(!willneed(&tbo));
    check_zero(&tbo);
    release(&tbo);
    free_fillers();
}

/*
 * A purge by RESOURCE_UNREF, after which the host refuses to create the resource
 * again: the buffer is usable as soon as there is memory.
 */
static void test_create_refused(void)
{
    long long room = host_room();
    int ret = -EIO, waited;
    TestBo tbo;

    if (env.has_feature) {
        test_skip("needs a device without VIRTIO_GPU_F_RECLAIM");
    }
    make_from(env.gpu, &tbo, 1, BYTES, BO_TEXTURE);
    dontneed(&tbo);
    shrink_all();
    CHECK(!willneed(&tbo));
    /* The last of these fail on the host. */
    while (filler_count * FILLER <= room) {
        CHECK_INT(filler_count, <, FILLERS_MAX);
        CHECK_INT(bo_create(env.gpu, BO_TEXTURE, FILLER,
                            &fillers[filler_count++].bo), ==, 0);
    }
    test_bo_fill(&tbo, 1);
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, -EIO);
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, -EIO);
    while (filler_count) {
        release(&fillers[--filler_count]);
    }
    /* Resources are freed asynchronously. */
    for (waited = 0; waited < FREED_MS && ret == -EIO; waited += 10) {
        ret = bo_upload(env.gpu, &tbo.bo);
        usleep(10000);
    }
    CHECK_INT(ret, ==, 0);
    check_upload(&tbo);
}

const TestCase tests_host[] = {
    { "host/upload-enomem", test_upload_enomem, NEEDS_FEATURE },
    { "host/submit-enomem", test_submit_enomem, NEEDS_3D | NEEDS_FEATURE },
    { "host/reclaim-after-enomem", test_reclaim_after_enomem, NEEDS_FEATURE },
    { "host/create-refused", test_create_refused, 0 },
    { NULL, NULL, 0 },
};
