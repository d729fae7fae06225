/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands and kicks of reclaim and of use. Every kick is a VM exit.
 */

#include <stdlib.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>

#include "submit.h"
#include "test.h"
#include "trace.h"

#define BYTES (64 * KIB)
#define PAGES (BYTES / PAGE_BYTES)

/* Objects in one request: DRM_GEM_SHMEM_RECLAIM_MAX_OBJECTS. */
#define BATCH 64

static void check_queued(unsigned commands, unsigned kicks)
{
    trace_stop(TRACE_QUEUE);
    CHECK_INT(traced(TRACE_QUEUE, "command"), ==, commands);
    CHECK_INT(traced(TRACE_QUEUE, "kick"), ==, kicks);
}

/* Reclaim @count buffers and no others. */
static void shrink_buffers(unsigned count)
{
    trace_start(TRACE_QUEUE);
    check_shrink(count * PAGES, count * PAGES);
}

static void test_evict(void)
{
    enum { COUNT = 40 };
    TestBo *tbo = make_many(COUNT, BYTES);

    shrink_buffers(COUNT);
    check_queued(COUNT, 1);
    release_many(tbo, COUNT);
}

static void test_purge(void)
{
    enum { COUNT = 40 };
    TestBo *tbo = make_many(COUNT, BYTES);
    int i;

    for (i = 0; i < COUNT; i++) {
        dontneed(&tbo[i]);
    }
    shrink_buffers(COUNT);
    check_queued(env.has_feature ? 1 : COUNT, 1);
    release_many(tbo, COUNT);
}

static void test_purge_requests(void)
{
    enum { COUNT = 2 * BATCH + 10 };
    TestBo *tbo = make_many(COUNT, BYTES);
    int i;

    for (i = 0; i < COUNT; i++) {
        dontneed(&tbo[i]);
    }
    shrink_buffers(COUNT);
    check_queued(3, 3);
    release_many(tbo, COUNT);
}

/* One kick and one wait to reattach all, one kick for the submission. */
static void test_reattach(void)
{
    enum { COUNT = 16 };
    TestBo *tbo = make_many(COUNT, BYTES);
    const TestBo *all[COUNT];
    int i;

    for (i = 0; i < COUNT; i++) {
        all[i] = &tbo[i];
    }
    shrink_all();
    trace_start(TRACE_QUEUE);
    CHECK_INT(submit_nothing(env.gpu, all, COUNT), ==, 0);
    check_queued(COUNT + 1, 2);
    CHECK_INT(bo_wait(env.gpu, &tbo[0].bo), ==, 0);

    trace_start(TRACE_QUEUE);
    CHECK_INT(submit_nothing(env.gpu, all, COUNT), ==, 0);
    check_queued(1, 1);
    release_many(tbo, COUNT);
}

/* New buffers are attached without a wait. */
static void test_attach(void)
{
    enum { COUNT = 8 };
    const TestBo *all[COUNT];
    TestBo tbo[COUNT] = { 0 };
    int i;

    for (i = 0; i < COUNT; i++) {
        all[i] = &tbo[i];
        CHECK_INT(bo_create(env.gpu, BO_TEXTURE, BYTES, &tbo[i].bo), ==, 0);
    }
    trace_start(TRACE_QUEUE);
    CHECK_INT(submit_nothing(env.gpu, all, COUNT), ==, 0);
    check_queued(COUNT + 1, 1);
}

const TestCase tests_queue[] = {
    { "queue/evict", test_evict, 0 },
    { "queue/purge", test_purge, 0 },
    { "queue/purge-requests", test_purge_requests, NEEDS_FEATURE },
    { "queue/attach", test_attach, NEEDS_3D },
    { "queue/reattach", test_reattach, NEEDS_3D },
    { NULL, NULL, 0 },
};
