/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files, devices and modules that go while there is something to reclaim. The
 * later ones take the device away: they are the last tests of a guest.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>

#include "stall.h"
#include "test.h"

#define BYTES (256 * KIB)
#define PAGES (BYTES / PAGE_BYTES)

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

/* A buffer in each state, and each must be in its own. */
typedef struct States {
    Held needed, marked, exported, empty;
    Held evicted, evicted_and_marked;
    Held purged, wanted_back;
} States;

static void make_states(States *states)
{
    struct drm_prime_handle prime = { .flags = O_CLOEXEC };

    make(&states->evicted, BYTES);
    make(&states->evicted_and_marked, BYTES);
    make(&states->purged, BYTES);
    make(&states->wanted_back, BYTES);
    mark(&states->purged);
    mark(&states->wanted_back);
    shrink_all();
    mark(&states->evicted_and_marked);
    CHECK(!ask_back(&states->wanted_back));

    make(&states->needed, BYTES);
    make(&states->marked, BYTES);
    mark(&states->marked);
    make(&states->exported, BYTES);
    prime.handle = states->exported.bo.handle;
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), ==,
              0);
    states->empty = (Held) { 0 };
    CHECK_INT(bo_create(env.gpu, BO_TEXTURE, BYTES, &states->empty.bo), ==, 0);
    CHECK_INT(stat_of("dontneed_bytes"), ==, 2 * BYTES);
    CHECK_INT(stat_of("evicted_bytes"), ==, BYTES);
    CHECK_INT(stat_of("purged_bytes"), ==, BYTES);
    CHECK_INT(stat_of("empty_bytes"), ==, 2 * BYTES);
}

/* What is in each as far as a mapping goes. */
static void check_states(const States *states)
{
    check_intact(&states->needed);
    check_intact(&states->marked);
    check_intact(&states->evicted);
    check_intact(&states->evicted_and_marked);
    check_faults(&states->purged);
    check_zero(&states->wanted_back);
    check_zero(&states->empty);
    check_intact(&states->exported);
}

static void test_unbind_in_use(void)
{
    States states;
    bool retained;

    make_states(&states);
    unbind();
    CHECK_INT(bo_upload(env.gpu, &states.needed.bo), ==, -ENODEV);
    CHECK_INT(bo_madvise(env.gpu, &states.needed.bo, 1, &retained), ==,
              -ENODEV);
    /* The shrinker is gone, what was mapped is not. */
    drop_caches();
    check_states(&states);
}

/* The device is reset with requests of reclaim on its queue. */
static void test_unbind_stalled(void)
{
    Held evicted, purged;

    make(&evicted, BYTES);
    make(&purged, BYTES);
    mark(&purged);
    stall();
    CHECK_INT(shrink(2 * PAGES), ==, 0);
    unbind();
    drop_caches();
    /* It was not told that it was done: nothing is taken. */
    check_intact(&evicted);
    check_intact(&purged);
}

static void test_unload(void)
{
    CHECK_INT(system("rmmod virtio_gpu && rmmod drm_gem_shmem_reclaim"), ==,
              0);
    CHECK(access("/dev/dri/renderD128", F_OK) < 0);
}

void unload_driver(void)
{
    unbind();
    test_unload();
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

/* Go to sleep as far as @stage, and wake up at once. */
static void sleep_to(const char *stage)
{
    char command[256];

    snprintf(command, sizeof(command),
             "echo 0 >/sys/module/suspend/parameters/pm_test_delay && "
             "echo %s >/sys/power/pm_test && echo freeze >/sys/power/state",
             stage);
    CHECK_INT(system(command), ==, 0);
}

/* Who waits for a device that is stuck does not keep the system awake. */
static void test_sleep_while_stalled(void)
{
    Held held;
    int pid;

    make(&held, BYTES);
    shrink_all();
    stall();
    pid = fork();
    if (pid == 0) {
        _exit(bo_upload(env.gpu, &held.bo) != 0);
    }
    sleep_to("freezer");
    stall_end();
    CHECK_INT(wait_for(pid), ==, 0);
    check_intact(&held);
    check_host(&held);
}

/*
 * The device is reset by sleep, and virtio-gpu does not set up its queues
 * again: nothing answers any more. Reclaim gives up then, and takes nothing.
 */
static void test_sleep(void)
{
    States states;

    make_states(&states);
    sleep_to("devices");
    drop_caches();
    CHECK_INT(shrink(1000), ==, 0);
    check_states(&states);
    unbind();
    check_states(&states);
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
    unload_driver();
    test_reload();
}

const TestCase tests_lifecycle[] = {
    { "lifecycle/exit", test_exit, 0 },
    { "lifecycle/close", test_close, 0 },
    { "lifecycle/queued-at-exit", test_queued_at_exit, 0 },
    { "lifecycle/drop-caches", test_drop_caches, NEEDS_SWAP },
    { "lifecycle/sleep-while-stalled", test_sleep_while_stalled, 0 },
    { "lifecycle/unbind-in-use", test_unbind_in_use, LEAVES_OTHER },
    { "lifecycle/unload", test_unload, LEAVES_OTHER | NEEDS_NO_GPU },
    { "lifecycle/reload", test_reload, LEAVES_OTHER | NEEDS_NO_GPU },
    { "lifecycle/unload-after-use", test_unload_after_use,
      LEAVES_OTHER | NEEDS_NO_GPU },
    { "lifecycle/sleep", test_sleep, LEAVES_OTHER },
    { "lifecycle/unload-after-sleep", test_unload,
      LEAVES_OTHER | NEEDS_NO_GPU },
    { "lifecycle/reload-after-sleep", test_reload,
      LEAVES_OTHER | NEEDS_NO_GPU },
    { "lifecycle/unbind-stalled", test_unbind_stalled, LEAVES_OTHER },
    { "lifecycle/unload-after-stall", test_unload,
      LEAVES_OTHER | NEEDS_NO_GPU },
    { "lifecycle/reload-after-stall", test_reload,
      LEAVES_OTHER | NEEDS_NO_GPU },
    { NULL, NULL, 0 },
};
