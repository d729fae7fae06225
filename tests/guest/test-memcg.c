/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A memory cgroup that reaches its limit, as that of a container: its own
 * DONTNEED buffers are purged before anything fails or is killed, and those of
 * others are left alone.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "test.h"

#define EACH (1024 * KIB)

/* The limit, and what the cases want of it. */
#define LIMIT_MIB  32
#define CACHE_MIB  20
#define PAGES_MIB  24
#define ROUNDS     3

/* Those of somebody without a limit. */
#define OTHERS     4

static TestBo *others;

static void make_others(void)
{
    int i;

    others = make_many(OTHERS, EACH);
    for (i = 0; i < OTHERS; i++) {
        dontneed(&others[i]);
    }
}

static void check_others(void)
{
    int i;

    for (i = 0; i < OTHERS; i++) {
        CHECK(willneed(&others[i]));
        check_intact(&others[i]);
    }
    release_many(others, OTHERS);
}

static TestBo *make_cache(int gpu, unsigned count)
{
    TestBo *tbo = calloc(count, sizeof(*tbo));
    unsigned i;

    CHECK(tbo);
    for (i = 0; i < count; i++) {
        make_from(gpu, &tbo[i], i, EACH, BO_TEXTURE);
        CHECK_INT(madvise_as(gpu, &tbo[i], VIRTGPU_MADV_DONTNEED), ==, 0);
    }
    return tbo;
}

static void run_limited(void (*run)(int gpu))
{
    int pid = fork();

    CHECK_INT(pid, >=, 0);
    if (pid == 0) {
        limit_own_memory(LIMIT_MIB);
        env.gpu = gpu_open();
        CHECK_INT(env.gpu, >=, 0);
        run(env.gpu);
        _exit(EXIT_SUCCESS);
    }
    CHECK_INT(wait_for(pid), ==, 0);
}

/* Memory of the process: it is not killed. */
static void use_pages(int gpu)
{
    long long purges = stat_of("purges");
    char *map;

    make_cache(gpu, CACHE_MIB);
    CHECK_INT(stat_of("purges"), ==, purges);
    map = mmap(NULL, PAGES_MIB * EACH, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(map != MAP_FAILED);
    memset(map, 1, PAGES_MIB * EACH);
    CHECK_INT(stat_of("purges"), >, purges);
}

static void test_pages(void)
{
    make_others();
    run_limited(use_pages);
    check_others();
}

/* Buffers: neither an error nor a signal. */
static void use_buffers(int gpu)
{
    long long purges = stat_of("purges");
    int i;

    for (i = 0; i < ROUNDS; i++) {
        make_cache(gpu, CACHE_MIB);
    }
    CHECK_INT(stat_of("purges"), >, purges);
}

static void test_buffers(void)
{
    make_others();
    run_limited(use_buffers);
    check_others();
}

/* The last buffer is still in use: it is waited for. */
static void use_busy(int gpu)
{
    unsigned i;

    for (i = 0; i < ROUNDS * LIMIT_MIB; i++) {
        TestBo tbo = { .index = i };

        CHECK_INT(bo_create(gpu, BO_TEXTURE, EACH, &tbo.bo), ==, 0);
        test_bo_fill(&tbo, 0);
        CHECK_INT(bo_upload(gpu, &tbo.bo), ==, 0);
        CHECK_INT(madvise_as(gpu, &tbo, VIRTGPU_MADV_DONTNEED), ==, 0);
    }
}

static void test_busy(void)
{
    make_others();
    run_limited(use_busy);
    check_others();
}

const TestCase tests_memcg[] = {
    { "memcg/pages", test_pages, 0 },
    { "memcg/buffers", test_buffers, 0 },
    { "memcg/busy", test_busy, 0 },
    { NULL, NULL, 0 },
};
