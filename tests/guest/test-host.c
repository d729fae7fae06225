/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host that has no memory for what comes back: whoever wants it is told, and
 * gets it when there is room.
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

/* Fewer than the device's limit has room for. */
#define FILLERS_MAX 128

static Held fillers[FILLERS_MAX];
static unsigned filler_count;

/* What the device may still take before it refuses; the case needs a limit. */
static long long host_room(void)
{
    unsigned long long used, limit;
    char answer[64];

    report_and_read("hostmem", answer, sizeof(answer));
    CHECK_INT(sscanf(answer, "%llu %llu", &used, &limit), ==, 2);
    if (limit == 0) {
        test_skip("needs a device with a limit of memory");
    }
    return limit - used;
}

/* A purged buffer that was asked back, and no room for it on the host. */
static void make_without_room(Held *held)
{
    host_room();
    make_from(env.gpu, held, 1, BYTES, BO_TEXTURE);
    mark(held);
    shrink_all();
    CHECK(!ask_back(held));
    while (host_room() > BYTES) {
        CHECK_INT(filler_count, <, FILLERS_MAX);
        CHECK_INT(bo_create(env.gpu, BO_TEXTURE, FILLER,
                            &fillers[filler_count++].bo), ==, 0);
        /* What is asked next was asked of the device before. */
        CHECK_INT(bo_wait(env.gpu, &fillers[filler_count - 1].bo), ==, 0);
    }
}

static void make_room(void)
{
    while (filler_count) {
        drop(&fillers[--filler_count]);
    }
    /* What is dropped is freed a moment later. */
    while (host_room() <= BYTES) {
        usleep(1000);
    }
}

static void test_upload(void)
{
    Held held;

    make_without_room(&held);
    held_fill(&held, 1);
    CHECK_INT(bo_upload(env.gpu, &held.bo), ==, -ENOMEM);
    CHECK_INT(bo_upload(env.gpu, &held.bo), ==, -ENOMEM);
    make_room();
    check_upload(&held);
}

/* The others of the same command buffer are as good as before. */
static void test_submit(void)
{
    Held refused, good;
    const Held *both[] = { &good, &refused };

    make_from(env.gpu, &good, 2, FILLER, BO_TEXTURE);
    make_without_room(&refused);
    CHECK_INT(submit_nothing(env.gpu, both, 2), ==, -ENOMEM);
    CHECK_INT(submit_nothing(env.gpu, both, 1), ==, 0);
    check_intact(&good);
    check_host(&good);
    make_room();
    CHECK_INT(submit_nothing(env.gpu, both, 2), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &refused.bo), ==, 0);
    check_zero(&refused);
    check_host(&good);
}

/* It is purged and evicted as others are, and freed. */
static void test_reclaim(void)
{
    Held held;

    make_without_room(&held);
    held_fill(&held, 1);
    CHECK_INT(bo_upload(env.gpu, &held.bo), ==, -ENOMEM);
    shrink_all();
    check_intact(&held);
    CHECK_INT(bo_upload(env.gpu, &held.bo), ==, -ENOMEM);
    mark(&held);
    shrink_all();
    CHECK(!ask_back(&held));
    check_zero(&held);
    drop(&held);
    make_room();
}

const TestCase tests_host[] = {
    { "host/upload", test_upload, NEEDS_FEATURE },
    { "host/submit", test_submit, NEEDS_3D | NEEDS_FEATURE },
    { "host/reclaim", test_reclaim, NEEDS_FEATURE },
    { NULL, NULL, 0 },
};
