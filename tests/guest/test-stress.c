/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reclaim concurrent with every other operation.
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "process.h"
#include "soak.h"
#include "submit.h"
#include "test.h"

#define BYTES (64 * KIB)
#define PAGES (BYTES / PAGE_BYTES)

#define SOAK_SECONDS 15

static atomic_bool enough;

static void *shrink_loop(void *arg)
{
    unsigned long pages = (uintptr_t)arg;

    while (!enough) {
        shrink(pages);
        usleep(500);
    }
    return NULL;
}

/* Run @body while other threads reclaim. */
static void under_reclaim(void (*body)(void))
{
    pthread_t some, all;

    enough = false;
    CHECK_INT(pthread_create(&some, NULL, shrink_loop, (void *)PAGES), ==,
              0);
    CHECK_INT(pthread_create(&all, NULL, shrink_loop, (void *)100000ul),
              ==, 0);
    body();
    enough = true;
    pthread_join(some, NULL);
    pthread_join(all, NULL);
}

static void body_create_and_free(void)
{
    TestBo tbo;
    int i;

    for (i = 0; i < rounds(200); i++) {
        make(&tbo, BYTES);
        release(&tbo);
    }
}

static void body_mapping(void)
{
    TestBo *tbo = make_many(8, BYTES);
    int i;

    for (i = 0; i < rounds(400); i++) {
        check_intact(&tbo[i % 8]);
        test_bo_rewrite(&tbo[i % 8], i);
    }
    release_many(tbo, 8);
}

static void body_transfer(void)
{
    TestBo *tbo = make_many(8, BYTES);
    int i;

    for (i = 0; i < rounds(200); i++) {
        test_bo_rewrite(&tbo[i % 8], i);
        CHECK_INT(bo_upload(env.gpu, &tbo[i % 8].bo), ==, 0);
        check_host(&tbo[(i + 3) % 8]);
        check_intact(&tbo[i % 8]);
    }
    release_many(tbo, 8);
}

static void body_submit(void)
{
    enum { COUNT = 8 };
    const TestBo *all[COUNT];
    TestBo tbo[COUNT];
    int i;

    for (i = 0; i < COUNT; i++) {
        make_from(env.gpu, &tbo[i], i, BYTES, BO_TEXTURE);
        all[i] = &tbo[i];
    }
    for (i = 0; i < rounds(100); i++) {
        CHECK_INT(submit_nothing(env.gpu, all, COUNT), ==, 0);
        CHECK_INT(submit_copy(env.gpu, all[i % COUNT], all[i % COUNT ^ 1]), ==,
                  0);
        tbo[i % COUNT ^ 1].index = tbo[i % COUNT].index;
        /* Make the guest's pages equal to the host's. */
        CHECK_INT(bo_download(env.gpu, &tbo[i % COUNT ^ 1].bo), ==, 0);
        CHECK_INT(bo_wait(env.gpu, &tbo[i % COUNT ^ 1].bo), ==, 0);
        check_intact(&tbo[i % COUNT ^ 1]);
    }
}

static void body_madvise(void)
{
    enum { COUNT = 8 };
    TestBo *tbo = make_many(COUNT, BYTES);
    unsigned purged = 0;
    int i;

    /* Repeat until at least one is purged, or the case times out. */
    for (i = 1; i <= rounds(300) || !purged; i++) {
        TestBo *one = &tbo[i % COUNT];
        bool retained;

        dontneed(one);
        if (i % 3 == 0) {
            usleep(1000);
        }
        retained = willneed(one);
        check_contents(one, retained);
        if (!retained) {
            purged++;
            test_bo_fill(one, i);
            CHECK_INT(bo_upload(env.gpu, &one->bo), ==, 0);
        }
    }
    release_many(tbo, COUNT);
}

/* Count the pages of @tbo; no page is corrupt. */
static void count_pages(const TestBo *tbo, PageCounts *counts)
{
    *counts = (PageCounts) { 0 };
    test_bo_check(tbo, counts);
    CHECK_INT(counts->corrupt + counts->zero, ==, 0);
    CHECK_INT(counts->good + counts->fault, ==, PAGES);
}

/*
 * While DONTNEED: intact until the purge, SIGBUS from then on. Repeat until it
 * is purged, or the case times out.
 */
static void body_access_while_dontneed(void)
{
    PageCounts before, after;
    TestBo tbo;
    int i;

    for (i = 0; i < rounds(100); i++) {
        make(&tbo, BYTES);
        dontneed(&tbo);
        count_pages(&tbo, &after);
        do {
            before = after;
            count_pages(&tbo, &after);
            CHECK(!before.fault || after.fault == PAGES);
        } while (!before.fault);
        release(&tbo);
    }
}

static void body_export(void)
{
    TestBo tbo;
    int i;

    for (i = 0; i < rounds(100); i++) {
        struct drm_prime_handle prime = { .flags = O_CLOEXEC };

        make(&tbo, BYTES);
        prime.handle = tbo.bo.handle;
        CHECK_INT(drm_request(env.gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime),
                  ==, 0);
        check_intact(&tbo);
        close(prime.fd);
        release(&tbo);
    }
}

static void body_map_and_unmap(void)
{
    TestBo tbo;
    int i;

    make(&tbo, BYTES);
    for (i = 0; i < rounds(300); i++) {
        CHECK_INT(munmap(tbo.bo.map, BYTES), ==, 0);
        CHECK_INT(bo_map(env.gpu, &tbo.bo), ==, 0);
        check_intact(&tbo);
    }
    release(&tbo);
}

static void body_open_and_close(void)
{
    TestBo tbo;
    int i;

    for (i = 0; i < rounds(50); i++) {
        int gpu = gpu_open();

        CHECK_INT(gpu, >=, 0);
        make_from(gpu, &tbo, i, BYTES, BO_TEXTURE);
        close(gpu);
        check_intact(&tbo);
        munmap(tbo.bo.map, BYTES);
    }
}

static void body_statistics(void)
{
    TestBo tbo;
    int i;

    make(&tbo, BYTES);
    for (i = 0; i < rounds(200); i++) {
        CHECK_INT(stat_of("bo_bytes"), >, 0);
        check_intact(&tbo);
    }
}

static void *run_body(void *arg)
{
    void (*body)(void) = *(void (**)(void))arg;

    body();
    return NULL;
}

/* All at once, each in a process with a file of its own. */
static void body_all(void)
{
    static void (*const bodies[])(void) = {
        body_mapping, body_transfer, body_madvise, body_create_and_free,
        body_map_and_unmap, body_open_and_close,
    };
    enum { COUNT = sizeof(bodies) / sizeof(bodies[0]) };
    int pids[COUNT], i;

    for (i = 0; i < COUNT; i++) {
        pids[i] = fork();
        CHECK_INT(pids[i], >=, 0);
        if (pids[i] == 0) {
            env.gpu = gpu_open();
            CHECK_INT(env.gpu, >=, 0);
            run_body((void *)&bodies[i]);
            _exit(0);
        }
    }
    for (i = 0; i < COUNT; i++) {
        CHECK_INT(wait_for(pids[i]), ==, 0);
    }
}

#define UNDER_RECLAIM(name) \
    static void test_##name(void) \
    { \
        under_reclaim(body_##name); \
    }

UNDER_RECLAIM(create_and_free)
UNDER_RECLAIM(mapping)
UNDER_RECLAIM(transfer)
UNDER_RECLAIM(submit)
UNDER_RECLAIM(madvise)
UNDER_RECLAIM(access_while_dontneed)
UNDER_RECLAIM(export)
UNDER_RECLAIM(map_and_unmap)
UNDER_RECLAIM(open_and_close)
UNDER_RECLAIM(statistics)
UNDER_RECLAIM(all)

/* DONTNEED buffers are memory available to a memory hog. */
static void test_dontneed_is_available(void)
{
    enum { EACH = 1024 * KIB };
    long long purges = stat_of("purges");
    unsigned count, purged = 0, i;
    TestBo *tbo;

    limit_memory();
    count = count_for(70, EACH);
    tbo = make_many(count, EACH);
    for (i = 0; i < count; i++) {
        dontneed(&tbo[i]);
    }
    press_locked("purges", 45);
    purged = stat_of("purges") - purges;
    for (i = 0; i < count; i++) {
        bool retained = willneed(&tbo[i]);

        purged -= !retained;
        if (retained) {
            check_intact(&tbo[i]);
        }
    }
    CHECK_INT(purged, ==, 0);
    release_many(tbo, count);
}

/*
 * A client that keeps creating buffers gets an error or, if memory was
 * overcommitted, SIGBUS; the OOM killer does not run.
 */
static void test_create_until_enomem(void)
{
    enum { EACH = 8 << 20 };
    PageCounts counts = { 0 };
    unsigned made = 0;
    int ret = 0;

    while (ret == 0 && counts.fault == 0) {
        TestBo tbo = { .index = made };

        ret = bo_create(env.gpu, BO_TEXTURE, EACH, &tbo.bo);
        if (ret == 0) {
            test_bo_check(&tbo, &counts);
            made++;
        }
    }
    CHECK(ret == -ENOMEM || counts.fault > 0);
    CHECK_INT(counts.good + counts.corrupt, ==, 0);
    CHECK_INT(made, >, 4);
}

/* Kill a task that faults pages back. */
static void test_kill_in_fault(void)
{
    enum { COUNT = 8 };
    TestBo *tbo = make_many(COUNT, BYTES);
    int i, round, pid;

    for (round = 0; round < rounds(20); round++) {
        shrink(COUNT * PAGES);
        pid = fork();
        if (pid == 0) {
            for (;;) {
                for (i = 0; i < COUNT; i++) {
                    check_intact(&tbo[i]);
                }
                shrink(COUNT * PAGES);
            }
        }
        usleep(1000 * (round % 7) + 500);
        kill(pid, SIGKILL);
        wait_for(pid);
    }
    for (i = 0; i < COUNT; i++) {
        check_intact(&tbo[i]);
    }
    release_many(tbo, COUNT);
}

/* Kill a task that uses the GPU while its buffers are reclaimed. */
static void body_kill(void)
{
    int round, pid;

    for (round = 0; round < rounds(15); round++) {
        pid = fork();
        if (pid == 0) {
            env.gpu = gpu_open();
            for (;;) {
                TestBo *tbo = make_many(8, BYTES);

                dontneed(&tbo[round % 8]);
                CHECK_INT(bo_upload(env.gpu, &tbo[(round + 1) % 8].bo), ==,
                          0);
                release_many(tbo, 8);
            }
        }
        usleep(20000 + 3000 * (round % 5));
        kill(pid, SIGKILL);
        wait_for(pid);
    }
}

UNDER_RECLAIM(kill)

/* A short run of ./scripts/soak. */
static void test_soak(void)
{
    process_protect(1);
    CHECK(soak_run(SOAK_SECONDS, 1));
}

const TestCase tests_stress[] = {
    { "stress/create-and-free", test_create_and_free, 0 },
    { "stress/mapping", test_mapping, 0 },
    { "stress/transfer", test_transfer, 0 },
    { "stress/submit", test_submit, NEEDS_3D },
    { "stress/madvise", test_madvise, 0 },
    { "stress/access-while-dontneed", test_access_while_dontneed, 0 },
    { "stress/export", test_export, 0 },
    { "stress/map-and-unmap", test_map_and_unmap, 0 },
    { "stress/open-and-close", test_open_and_close, 0 },
    { "stress/statistics", test_statistics, 0 },
    { "stress/all", test_all, 0 },
    { "stress/dontneed-is-available", test_dontneed_is_available, NEEDS_ROOM },
    { "stress/create-until-enomem", test_create_until_enomem, NEEDS_ROOM },
    { "stress/kill-in-fault", test_kill_in_fault, 0 },
    { "stress/kill", test_kill, 0 },
    { "stress/soak", test_soak, NEEDS_SWAP | NEEDS_NO_GPU },
    { NULL, NULL, 0 },
};
