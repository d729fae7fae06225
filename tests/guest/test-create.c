/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Buffers without pages take no memory: neither from others, nor do they count
 * as memory to reclaim.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>

#include "test.h"

#define MIB_BYTES ((size_t)1024 * KIB)
/* Devices without the feature do not shrink larger ones. */
#define EACH_BYTES (32 * MIB_BYTES)
#define BYTES (256 * KIB)

/* A bound that only a hang exceeds. */
#define KILLED_MS 60000

/*
 * Create a buffer of @bytes in the guest, and of next to none on the host.
 * Returns 0, or -errno.
 */
static int create_untouched(int gpu, size_t bytes, uint32_t *handle)
{
    struct drm_virtgpu_resource_create create = {
        .target = 2,        /* a 2D texture */
        .format = 1,        /* B8G8R8A8_UNORM */
        .bind = 1 << 3,     /* a sampler view */
        .width = 1, .height = 1, .depth = 1, .array_size = 1,
        .size = bytes,
    };
    int ret;

    if (env.is_vgem) {
        Bo bo;

        ret = bo_create_unmapped(gpu, BO_TEXTURE, bytes, &bo);
        *handle = bo.handle;
        return ret;
    }
    if (env.is_3d) {        /* textures have no pages: see on-demand/ */
        create.target = 0;  /* a buffer */
        create.format = 64; /* R8_UNORM */
        create.bind = 1 << 4;   /* vertices */
    }

    ret = drm_request(gpu, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &create);
    *handle = create.bo_handle;
    return ret;
}

static size_t memory_and_swap(void)
{
    return meminfo_of("MemTotal") + meminfo_of("SwapTotal");
}

/* Create more of them than there is memory, unless that fails. */
static void fill_untouched(int gpu, bool marked)
{
    size_t total = memory_and_swap() + EACH_BYTES, made;
    TestBo tbo = { 0 };

    for (made = 0; made < total; made += EACH_BYTES) {
        int ret = create_untouched(gpu, EACH_BYTES, &tbo.bo.handle);

        if (ret == -ENOMEM) {
            return;
        }
        CHECK_INT(ret, ==, 0);
        if (marked) {
            dontneed(&tbo);
        }
    }
}

/* The same with what is left for small ones. */
static void fill_untouched_small(int gpu)
{
    uint32_t handle;
    size_t made;

    for (made = 0; made < 2 * EACH_BYTES &&
                   create_untouched(gpu, BYTES, &handle) == 0; made += BYTES) {
        continue;
    }
}

/* One client's untouched buffers do not fail those of another. */
static void test_beside_untouched(void)
{
    int other = gpu_open();
    TestBo tbo;

    fill_untouched(other, false);
    fill_untouched_small(other);
    make(&tbo, BYTES);
    check_upload(&tbo);
}

/* Untouched buffers that are DONTNEED are not memory to reclaim. */
static void test_unpopulated_is_not_purgeable(void)
{
    long long dontneed_bytes = stat_of("dontneed_bytes");
    uint32_t handle;

    fill_untouched(env.gpu, true);
    CHECK_INT(stat_of("dontneed_bytes"), ==, dontneed_bytes);
    CHECK_INT(create_untouched(env.gpu, memory_and_swap(), &handle), ==,
              -ENOMEM);
}

/* It becomes purgeable with its first use. */
static void test_populated_is_purgeable(void)
{
    TestBo tbo = { .index = 1 };

    CHECK_INT(bo_create(env.gpu, BO_TEXTURE, BYTES, &tbo.bo), ==, 0);
    dontneed(&tbo);
    CHECK_INT(stat_of("dontneed_bytes"), ==, 0);
    test_bo_fill(&tbo, 1);
    CHECK_INT(stat_of("dontneed_bytes"), ==, BYTES);
    shrink_all();
    CHECK(!willneed(&tbo));
    check_zero(&tbo);
}

/*
 * A task that gets no memory for a buffer can be killed, also while a system
 * call accesses it. Otherwise the system call fails, after some tries.
 */
static void test_kill_without_memory(void)
{
    int pid, line[2], status, waited, ended = 0;
    TestBo tbo = { 0 };
    void *map;

    CHECK_INT(create_untouched(env.gpu, EACH_BYTES, &tbo.bo.handle), ==, 0);
    map = map_anew(&tbo, PAGE_BYTES, PROT_READ, MAP_SHARED);
    CHECK(map != MAP_FAILED);
    CHECK_INT(pipe(line), ==, 0);
    pid = fork();
    if (pid == 0) {
        struct iovec part = { .iov_base = map, .iov_len = 1 };

        limit_own_memory(4);
        do {
            CHECK(writev(line[1], &part, 1) < 0);
        } while (errno == EFAULT);
        _exit(EXIT_FAILURE);
    }
    while (!is_blocked(pid, SYS_writev)) {
        usleep(1000);
    }
    kill(pid, SIGKILL);
    for (waited = 0; waited < KILLED_MS && !ended; waited += 10) {
        ended = waitpid(pid, &status, WNOHANG);
        usleep(10000);
    }
    CHECK_INT(ended, ==, pid);
    CHECK_INT(WTERMSIG(status), ==, SIGKILL);
}

const TestCase tests_create[] = {
    { "create/beside-untouched", test_beside_untouched, 0 },
    { "create/unpopulated-is-not-purgeable",
      test_unpopulated_is_not_purgeable, NEEDS_FEATURE },
    { "create/populated-is-purgeable", test_populated_is_purgeable, 0 },
    { "create/kill-without-memory", test_kill_without_memory, 0 },
    { NULL, NULL, 0 },
};
