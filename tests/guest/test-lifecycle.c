/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files, devices and modules that go while there is something to reclaim. The
 * later ones take the device away: they are the last tests of a guest.
 */

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>

#include "test.h"

#define BYTES (256 * KIB)

static void mix(unsigned count)
{
    Held *held = make_many(count, BYTES);
    unsigned i;

    for (i = 0; i < count; i += 3) {
        mark(&held[i]);
    }
    shrink_all();
    for (i = 0; i < count; i += 2) {
        bool retained;

        bo_madvise(env.gpu, &held[i].bo, 0, &retained);
        check_truth(&held[i], retained);
    }
    for (i = 1; i < count; i += 4) {
        mark(&held[i]);
    }
}

/* Nothing is cleaned up: the end of the process has to do. */
static void test_exit(void)
{
    mix(20);
}

static void test_close(void)
{
    mix(20);
    close(env.gpu);
    CHECK_INT(shrink(100000), >, 0);     /* what mappings still hold */
}

static void test_queued_at_exit(void)
{
    Held *held = make_many(20, BYTES);
    int i;

    shrink_all();
    for (i = 0; i < 20; i++) {
        CHECK_INT(bo_upload(env.gpu, &held[i].bo), ==, 0);
        mark(&held[i]);
    }
}

static void test_drop_caches(void)
{
    Held *held = make_many(8, BYTES);
    int i;

    for (i = 0; i < 4; i++) {
        mark(&held[i]);
    }
    drop_caches();
    for (i = 0; i < 8; i++) {
        bool retained = ask_back(&held[i]);

        CHECK_INT(retained, ==, i >= 4);
        check_truth(&held[i], retained);
    }
    drop_many(held, 8);
}

static void unbind(void)
{
    CHECK_INT(system("cd /sys/bus/virtio/drivers/virtio_gpu && "
                     "basename virtio*[0-9] >unbind"), ==, 0);
}

static void test_unbind_in_use(void)
{
    Held good, marked, evicted;
    bool retained;

    make(&evicted, BYTES);
    shrink_all();
    make(&good, BYTES);
    make(&marked, BYTES);
    mark(&marked);
    unbind();
    CHECK_INT(bo_upload(env.gpu, &good.bo), ==, -ENODEV);
    CHECK_INT(bo_madvise(env.gpu, &good.bo, 1, &retained), ==, -ENODEV);
    /* The shrinker is gone, what was mapped is not. */
    drop_caches();
    check_intact(&good);
    check_intact(&marked);
    check_intact(&evicted);
}

static void test_unload(void)
{
    CHECK_INT(system("rmmod virtio_gpu && rmmod drm_gem_shmem_reclaim"), ==,
              0);
    CHECK(access("/dev/dri/renderD128", F_OK) < 0);
}

static void test_reload(void)
{
    Held held;

    CHECK_INT(system("insmod /modules/reclaim/drm_gem_shmem_reclaim.ko && "
                     "insmod /modules/reclaim/virtio-gpu.ko"), ==, 0);
    env.gpu = gpu_open();
    CHECK_INT(env.gpu, >=, 0);
    make(&held, BYTES);
    shrink_all();
    check_intact(&held);
    check_host(&held);
    mark(&held);
    shrink_all();
    CHECK(!ask_back(&held));
}

/* With memory in every state a moment before. */
static void test_unload_after_use(void)
{
    int pid = fork();

    if (pid == 0) {
        env.gpu = gpu_open();
        mix(20);
        _exit(0);
    }
    CHECK_INT(wait_for(pid), ==, 0);
    unbind();
    test_unload();
    test_reload();
}

const TestCase tests_lifecycle[] = {
    { "lifecycle/exit", test_exit, 0 },
    { "lifecycle/close", test_close, 0 },
    { "lifecycle/queued-at-exit", test_queued_at_exit, 0 },
    { "lifecycle/drop-caches", test_drop_caches, NEEDS_SWAP },
    { "lifecycle/unbind-in-use", test_unbind_in_use, LEAVES_OTHER },
    { "lifecycle/unload", test_unload, LEAVES_OTHER | NEEDS_NO_GPU },
    { "lifecycle/reload", test_reload, LEAVES_OTHER | NEEDS_NO_GPU },
    { "lifecycle/unload-after-use", test_unload_after_use,
      LEAVES_OTHER | NEEDS_NO_GPU },
    { NULL, NULL, 0 },
};
