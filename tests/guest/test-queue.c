/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What reclaim and use cost on the queue to the device: how many commands, and
 * how often the device is told that there are some. Every kick is an exit of
 * the virtual machine and a wait for the answer.
 */

#include <stdlib.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>

#include "submit.h"
#include "test.h"
#include "trace.h"

#define BYTES (64 * KIB)
#define PAGES (BYTES / PAGE_BYTES)

/* Objects in one batch, DRM_GEM_SHMEM_RECLAIM_BATCH. */
#define BATCH 64

static void check_queued(unsigned commands, unsigned kicks)
{
    trace_stop(TRACE_QUEUE);
    CHECK_INT(traced(TRACE_QUEUE, "command"), ==, commands);
    CHECK_INT(traced(TRACE_QUEUE, "kick"), ==, kicks);
}

/* Reclaim the pages of @count buffers and no others. */
static void shrink_exactly(unsigned count)
{
    trace_start(TRACE_QUEUE);
    CHECK_INT(shrink(count * PAGES), ==, count * PAGES);
}

static void test_evict(void)
{
    enum { COUNT = 40 };
    Held *held = make_many(COUNT, BYTES);

    shrink_exactly(COUNT);
    check_queued(COUNT, 1);
    drop_many(held, COUNT);
}

static void test_purge(void)
{
    enum { COUNT = 40 };
    Held *held = make_many(COUNT, BYTES);
    int i;

    for (i = 0; i < COUNT; i++) {
        mark(&held[i]);
    }
    shrink_exactly(COUNT);
    check_queued(env.has_feature ? 1 : COUNT, 1);
    drop_many(held, COUNT);
}

static void test_purge_batches(void)
{
    enum { COUNT = 2 * BATCH + 10 };
    Held *held = make_many(COUNT, BYTES);
    int i;

    for (i = 0; i < COUNT; i++) {
        mark(&held[i]);
    }
    shrink_exactly(COUNT);
    check_queued(3, 3);
    drop_many(held, COUNT);
}

/* One kick and one wait for all that come back, one kick for what uses them. */
static void test_reattach(void)
{
    enum { COUNT = 16 };
    Held *held = make_many(COUNT, BYTES);
    const Held *all[COUNT];
    int i;

    for (i = 0; i < COUNT; i++) {
        all[i] = &held[i];
    }
    shrink_all();
    trace_start(TRACE_QUEUE);
    CHECK_INT(submit_nothing(env.gpu, all, COUNT), ==, 0);
    check_queued(COUNT + 1, 2);
    CHECK_INT(bo_wait(env.gpu, &held[0].bo), ==, 0);

    trace_start(TRACE_QUEUE);
    CHECK_INT(submit_nothing(env.gpu, all, COUNT), ==, 0);
    check_queued(1, 1);
    drop_many(held, COUNT);
}

/* What is new is attached by the way: nobody waits for that. */
static void test_attach(void)
{
    enum { COUNT = 8 };
    const Held *all[COUNT];
    Held held[COUNT] = { 0 };
    int i;

    for (i = 0; i < COUNT; i++) {
        all[i] = &held[i];
        CHECK_INT(bo_create(env.gpu, BO_TEXTURE, BYTES, &held[i].bo), ==, 0);
    }
    trace_start(TRACE_QUEUE);
    CHECK_INT(submit_nothing(env.gpu, all, COUNT), ==, 0);
    check_queued(COUNT + 1, 1);
}

const TestCase tests_queue[] = {
    { "queue/evict", test_evict, 0 },
    { "queue/purge", test_purge, 0 },
    { "queue/purge-batches", test_purge_batches, NEEDS_FEATURE },
    { "queue/attach", test_attach, NEEDS_3D },
    { "queue/reattach", test_reattach, NEEDS_3D },
    { NULL, NULL, 0 },
};
