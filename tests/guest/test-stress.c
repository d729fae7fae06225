/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reclaim against everything else at the same time.
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

static void *shrink_on_and_on(void *arg)
{
    unsigned long pages = (uintptr_t)arg;

    while (!enough) {
        shrink(pages);
        usleep(500);
    }
    return NULL;
}

/* Run @body in the foreground while others reclaim. */
static void under_reclaim(void (*body)(void))
{
    pthread_t some, all;

    enough = false;
    CHECK_INT(pthread_create(&some, NULL, shrink_on_and_on, (void *)PAGES), ==,
              0);
    CHECK_INT(pthread_create(&all, NULL, shrink_on_and_on, (void *)100000ul),
              ==, 0);
    body();
    enough = true;
    pthread_join(some, NULL);
    pthread_join(all, NULL);
}

static void body_create_and_free(void)
{
    Held held;
    int i;

    for (i = 0; i < rounds(200); i++) {
        make(&held, BYTES);
        drop(&held);
    }
}

static void body_mapping(void)
{
    Held *held = make_many(8, BYTES);
    int i;

    for (i = 0; i < rounds(400); i++) {
        check_intact(&held[i % 8]);
        held_rewrite(&held[i % 8], i);
    }
    drop_many(held, 8);
}

static void body_transfer(void)
{
    Held *held = make_many(8, BYTES);
    int i;

    for (i = 0; i < rounds(200); i++) {
        held_rewrite(&held[i % 8], i);
        CHECK_INT(bo_upload(env.gpu, &held[i % 8].bo), ==, 0);
        check_host(&held[(i + 3) % 8]);
        check_intact(&held[i % 8]);
    }
    drop_many(held, 8);
}

static void body_submit(void)
{
    enum { COUNT = 8 };
    const Held *all[COUNT];
    Held held[COUNT];
    int i;

    for (i = 0; i < COUNT; i++) {
        make_from(env.gpu, &held[i], i, BYTES, BO_TEXTURE);
        all[i] = &held[i];
    }
    for (i = 0; i < rounds(100); i++) {
        CHECK_INT(submit_nothing(env.gpu, all, COUNT), ==, 0);
        CHECK_INT(submit_copy(env.gpu, all[i % COUNT], all[i % COUNT ^ 1]), ==,
                  0);
        held[i % COUNT ^ 1].index = held[i % COUNT].index;
        /* Bring the guest's pages in line with the host's. */
        CHECK_INT(bo_download(env.gpu, &held[i % COUNT ^ 1].bo), ==, 0);
        CHECK_INT(bo_wait(env.gpu, &held[i % COUNT ^ 1].bo), ==, 0);
        check_intact(&held[i % COUNT ^ 1]);
    }
}

static void body_madvise(void)
{
    enum { COUNT = 8 };
    Held *held = make_many(COUNT, BYTES);
    unsigned purged = 0;
    int i;

    /* At least one is purged, or this ends with the time of the case. */
    for (i = 1; i <= rounds(300) || !purged; i++) {
        Held *one = &held[i % COUNT];
        bool retained;

        mark(one);
        if (i % 3 == 0) {
            usleep(1000);
        }
        retained = ask_back(one);
        check_truth(one, retained);
        if (!retained) {
            purged++;
            held_fill(one, i);
            CHECK_INT(bo_upload(env.gpu, &one->bo), ==, 0);
        }
    }
    drop_many(held, COUNT);
}

/* Count in @tally what a look at the pages of @held finds: no page is wrong. */
static void look(const Held *held, Tally *tally)
{
    *tally = (Tally) { 0 };
    held_check(held, tally);
    CHECK_INT(tally->corrupt + tally->zero, ==, 0);
    CHECK_INT(tally->good + tally->fault, ==, PAGES);
}

/*
 * Marked all the while: bytes, until the purge, and faults from then on. The
 * purge comes: who waits in vain for it ends with the time of the case.
 */
static void body_access_while_marked(void)
{
    Tally before, after;
    Held held;
    int i;

    for (i = 0; i < rounds(100); i++) {
        make(&held, BYTES);
        mark(&held);
        look(&held, &after);
        do {
            before = after;
            look(&held, &after);
            CHECK(!before.fault || after.fault == PAGES);
        } while (!before.fault);
        drop(&held);
    }
}

static void body_export(void)
{
    Held held;
    int i;

    for (i = 0; i < rounds(100); i++) {
        struct drm_prime_handle prime = { .flags = O_CLOEXEC };

        make(&held, BYTES);
        prime.handle = held.bo.handle;
        CHECK_INT(drm_request(env.gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime),
                  ==, 0);
        check_intact(&held);
        close(prime.fd);
        drop(&held);
    }
}

static void body_map_and_unmap(void)
{
    struct drm_virtgpu_map map = { 0 };
    Held held;
    int i;

    make(&held, BYTES);
    map.handle = held.bo.handle;
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_VIRTGPU_MAP, &map), ==, 0);
    for (i = 0; i < rounds(300); i++) {
        CHECK_INT(munmap(held.bo.map, BYTES), ==, 0);
        held.bo.map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                           env.gpu, map.offset);
        CHECK(held.bo.map != MAP_FAILED);
        check_intact(&held);
    }
    drop(&held);
}

static void body_open_and_close(void)
{
    Held held;
    int i;

    for (i = 0; i < rounds(50); i++) {
        int gpu = gpu_open();

        CHECK_INT(gpu, >=, 0);
        make_from(gpu, &held, i, BYTES, BO_TEXTURE);
        close(gpu);
        check_intact(&held);
        munmap(held.bo.map, BYTES);
    }
}

static void body_statistics(void)
{
    Held held;
    int i;

    make(&held, BYTES);
    for (i = 0; i < rounds(200); i++) {
        CHECK_INT(stat_of("bo_bytes"), >, 0);
        check_intact(&held);
    }
}

static void *run_body(void *arg)
{
    void (*body)(void) = *(void (**)(void))arg;

    body();
    return NULL;
}

/* All at once, each with a file of its own, in a process of its own. */
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
UNDER_RECLAIM(access_while_marked)
UNDER_RECLAIM(export)
UNDER_RECLAIM(map_and_unmap)
UNDER_RECLAIM(open_and_close)
UNDER_RECLAIM(statistics)
UNDER_RECLAIM(all)

/*
 * A program that needs memory lives on what nobody needs. Its own pages may be
 * swapped instead: then there is another one.
 */
static void test_marked_is_memory(void)
{
    enum { EACH = 1024 * KIB };
    long long purges = stat_of("purges");
    unsigned count, purged = 0, i;
    Held *held;

    make_scarce();
    count = count_for(70, EACH);
    held = make_many(count, EACH);
    for (i = 0; i < count; i++) {
        mark(&held[i]);
    }
    do {
        check_app(80);
        purged = stat_of("purges") - purges;
    } while (!purged);
    for (i = 0; i < count; i++) {
        bool retained = ask_back(&held[i]);

        purged -= !retained;
        if (retained) {
            check_intact(&held[i]);
        }
    }
    CHECK_INT(purged, ==, 0);
    drop_many(held, count);
}

/*
 * Who asks for ever more is told that there is none, by an error or, if it was
 * promised too much, by a fault; and nobody is killed for it.
 */
static void test_no_more(void)
{
    enum { EACH = 8 << 20 };
    Tally tally = { 0 };
    unsigned made = 0;
    int ret = 0;

    while (ret == 0 && tally.fault == 0) {
        Held held = { .index = made };

        ret = bo_create(env.gpu, BO_TEXTURE, EACH, &held.bo);
        if (ret == 0) {
            held_check(&held, &tally);
            made++;
        }
    }
    CHECK(ret == -ENOMEM || tally.fault > 0);
    CHECK_INT(tally.good + tally.corrupt, ==, 0);
    CHECK_INT(made, >, 4);
}

/* Ended in the middle of faulting pages back. */
static void test_killed_in_fault(void)
{
    enum { COUNT = 8 };
    Held *held = make_many(COUNT, BYTES);
    int i, round, pid;

    for (round = 0; round < rounds(20); round++) {
        shrink(COUNT * PAGES);
        pid = fork();
        if (pid == 0) {
            for (;;) {
                for (i = 0; i < COUNT; i++) {
                    check_intact(&held[i]);
                }
                shrink(COUNT * PAGES);
            }
        }
        usleep(1000 * (round % 7) + 500);
        kill(pid, SIGKILL);
        wait_for(pid);
    }
    for (i = 0; i < COUNT; i++) {
        check_intact(&held[i]);
    }
    drop_many(held, COUNT);
}

/* Ended in the middle of using the GPU, while its buffers are reclaimed. */
static void body_killed(void)
{
    int round, pid;

    for (round = 0; round < rounds(15); round++) {
        pid = fork();
        if (pid == 0) {
            env.gpu = gpu_open();
            for (;;) {
                Held *held = make_many(8, BYTES);

                mark(&held[round % 8]);
                CHECK_INT(bo_upload(env.gpu, &held[(round + 1) % 8].bo), ==,
                          0);
                drop_many(held, 8);
            }
        }
        usleep(20000 + 3000 * (round % 5));
        kill(pid, SIGKILL);
        wait_for(pid);
    }
}

UNDER_RECLAIM(killed)

/* The rest of ./scripts/soak, but not for long. */
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
    { "stress/access-while-marked", test_access_while_marked, 0 },
    { "stress/export", test_export, 0 },
    { "stress/map-and-unmap", test_map_and_unmap, 0 },
    { "stress/open-and-close", test_open_and_close, 0 },
    { "stress/statistics", test_statistics, 0 },
    { "stress/all", test_all, 0 },
    { "stress/marked-is-memory", test_marked_is_memory, NEEDS_3D },
    { "stress/no-more", test_no_more, NEEDS_3D },
    { "stress/killed-in-fault", test_killed_in_fault, 0 },
    { "stress/killed", test_killed, 0 },
    { "stress/soak", test_soak, NEEDS_SWAP | NEEDS_NO_GPU },
    { NULL, NULL, 0 },
};
