/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host short of memory: it asks for what is DONTNEED. Without memory for a
 * purged buffer users get -ENOMEM, and succeed when there is some.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

/* What the device wants back: bytes of its memory in all, 0 for no target. */
static void set_target(long long bytes)
{
    char request[64], response[64];

    snprintf(request, sizeof(request), "hostmem_target %lld", bytes);
    report_and_read(request, response, sizeof(response));
    CHECK(strcmp(response, "ok") == 0);
}

static void wait_for_requests(long long requests)
{
    int waited;

    for (waited = 0; waited < FREED_MS &&
                     stat_of("device_requests") < requests; waited += 10) {
        usleep(10000);
    }
    CHECK_INT(stat_of("device_requests"), >=, requests);
}

#define EACH (1024 * KIB)

/*
 * The device asks for memory: what is DONTNEED is purged, least recently marked
 * first and no more than the device wants, and nothing is evicted.
 */
static void test_target(void)
{
    enum { COUNT = 12, MARKED = 8, WANTED = 4 };
    long long evictions = stat_of("evictions");
    long long purges = stat_of("purges");
    long long requests = stat_of("device_requests");
    TestBo *tbo = make_many(COUNT, EACH);
    unsigned long long used, limit;
    char response[64];
    int i;

    for (i = 0; i < MARKED; i++) {
        dontneed(&tbo[i]);
    }
    report_and_read("hostmem", response, sizeof(response));
    CHECK_INT(sscanf(response, "%llu %llu", &used, &limit), ==, 2);
    set_target(used - WANTED * EACH + EACH / 2);
    wait_for_stat("purges", purges + WANTED);
    /* There is enough now. */
    set_target(0);
    CHECK_INT(stat_of("device_requests"), >, requests);
    CHECK_INT(stat_of("device_wanted_bytes"), >, (WANTED - 1) * EACH);
    CHECK_INT(stat_of("purges"), ==, purges + WANTED);
    CHECK_INT(stat_of("evictions"), ==, evictions);
    CHECK_INT(stat_of("evicted_bytes"), ==, 0);
    for (i = 0; i < MARKED; i++) {
        bool retained = willneed(&tbo[i]);

        CHECK_INT(retained, ==, i >= WANTED);
        check_contents(&tbo[i], retained);
    }
    for (; i < COUNT; i++) {
        check_intact(&tbo[i]);
        check_host(&tbo[i]);
    }
    release_many(tbo, COUNT);
}

/* Textures without guest pages are purged for the sake of the host's memory. */
static void test_target_unbacked(void)
{
    long long purges = stat_of("purges");
    TestBo tbo = { 0 };

    CHECK_INT(bo_create_unmapped(env.gpu, BO_TEXTURE, EACH, &tbo.bo), ==, 0);
    CHECK_INT(stat_of("unbacked_bytes"), >=, EACH);
    dontneed(&tbo);
    set_target(1);
    wait_for_stat("purges", purges + 1);
    set_target(0);
    CHECK(!willneed(&tbo));
}

/* With nothing to give the device keeps asking, and all else goes on. */
static void test_target_nothing(void)
{
    long long requests = stat_of("device_requests");
    long long evictions = stat_of("evictions");
    long long purges = stat_of("purges");
    TestBo tbo;

    make(&tbo, EACH);
    set_target(1);
    wait_for_requests(requests + 2);
    test_bo_fill(&tbo, 1);
    check_upload(&tbo);
    set_target(0);
    CHECK_INT(stat_of("purges"), ==, purges);
    CHECK_INT(stat_of("evictions"), ==, evictions);
    CHECK_INT(stat_of("resident_bytes"), >=, EACH);
}

const TestCase tests_host[] = {
    { "host/target", test_target, NEEDS_FEATURE },
    { "host/target-unbacked", test_target_unbacked, NEEDS_3D | NEEDS_FEATURE },
    { "host/target-nothing", test_target_nothing, NEEDS_FEATURE },

    { "host/upload-enomem", test_upload_enomem, NEEDS_FEATURE },
    { "host/submit-enomem", test_submit_enomem, NEEDS_3D | NEEDS_FEATURE },
    { "host/reclaim-after-enomem", test_reclaim_after_enomem, NEEDS_FEATURE },
    { "host/create-refused", test_create_refused, 0 },
    { NULL, NULL, 0 },
};
