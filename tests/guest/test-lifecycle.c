/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files, devices and modules that disappear during reclaim. The later cases
 * remove the device: they run last.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/sync_file.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <drm.h>
#include <drm_mode.h>
#include <drm/virtgpu_drm.h>

#include "screen.h"
#include "stall.h"
#include "submit.h"
#include "test.h"
#include "trace.h"

#define BYTES (256 * KIB)
#define PAGES (BYTES / PAGE_BYTES)

static void mix(unsigned count)
{
    TestBo *tbo = make_many(count, BYTES);
    unsigned i;

    for (i = 0; i < count; i += 3) {
        dontneed(&tbo[i]);
    }
    shrink_all();
    for (i = 0; i < count; i += 2) {
        bool retained;

        bo_madvise(env.gpu, &tbo[i].bo, 0, &retained);
        check_contents(&tbo[i], retained);
    }
    for (i = 1; i < count; i += 4) {
        dontneed(&tbo[i]);
    }
}

/* Nothing is freed explicitly: process exit has to do it. */
static void test_exit(void)
{
    mix(20);
}

static void test_close(void)
{
    mix(20);
    close(env.gpu);
    while (shrink(100000) == 0) {       /* resident through mappings */
        usleep(10000);
    }
}

static void test_exit_while_queued(void)
{
    TestBo *tbo = make_many(20, BYTES);
    int i;

    shrink_all();
    for (i = 0; i < 20; i++) {
        CHECK_INT(bo_upload(env.gpu, &tbo[i].bo), ==, 0);
        dontneed(&tbo[i]);
    }
}

static void test_drop_caches(void)
{
    TestBo *tbo = make_many(8, BYTES);
    int i;

    for (i = 0; i < 4; i++) {
        dontneed(&tbo[i]);
    }
    /* A scan is skipped for a second after a late response. */
    do {
        drop_caches();
    } while (stat_of("dontneed_bytes"));
    for (i = 0; i < 8; i++) {
        bool retained = willneed(&tbo[i]);

        CHECK_INT(retained, ==, i >= 4);
        check_contents(&tbo[i], retained);
    }
    release_many(tbo, 8);
}

void driver_unbind(void)
{
    CHECK_INT(system("cd /sys/bus/virtio/drivers/virtio_gpu && "
                     "basename virtio*[0-9] >unbind"), ==, 0);
}

/* A buffer in each state. */
typedef struct States {
    TestBo needed, marked, exported, unpopulated;
    TestBo evicted, evicted_and_marked;
    TestBo purged, wanted_back;
} States;

static void make_states(States *states)
{
    struct drm_prime_handle prime = { .flags = O_CLOEXEC };

    make(&states->evicted, BYTES);
    make(&states->evicted_and_marked, BYTES);
    make(&states->purged, BYTES);
    make(&states->wanted_back, BYTES);
    dontneed(&states->purged);
    dontneed(&states->wanted_back);
    shrink_all();
    dontneed(&states->evicted_and_marked);
    CHECK(!willneed(&states->wanted_back));

    make(&states->needed, BYTES);
    make(&states->marked, BYTES);
    dontneed(&states->marked);
    make(&states->exported, BYTES);
    prime.handle = states->exported.bo.handle;
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), ==,
              0);
    states->unpopulated = (TestBo) { 0 };
    CHECK_INT(bo_create(env.gpu, BO_TEXTURE, BYTES, &states->unpopulated.bo),
              ==, 0);
    CHECK_INT(stat_of("dontneed_bytes"), ==, 2 * BYTES);
    CHECK_INT(stat_of("evicted_bytes"), ==, BYTES);
    CHECK_INT(stat_of("purged_bytes"), ==, BYTES);
    CHECK_INT(stat_of("unpopulated_bytes"), ==, 2 * BYTES);
}

/* Check the contents of each through its mapping. */
static void check_states(const States *states)
{
    check_intact(&states->needed);
    check_intact(&states->marked);
    check_intact(&states->evicted);
    check_intact(&states->evicted_and_marked);
    check_sigbus(&states->purged);
    check_zero(&states->wanted_back);
    check_zero(&states->unpopulated);
    check_intact(&states->exported);
}

static void test_unbind_in_use(void)
{
    States states;
    bool retained;

    make_states(&states);
    driver_unbind();
    CHECK_INT(bo_upload(env.gpu, &states.needed.bo), ==, -ENODEV);
    CHECK_INT(bo_madvise(env.gpu, &states.needed.bo, 1, &retained), ==,
              -ENODEV);
    /*
     * The shrinker is unregistered; mappings stay valid. Pages that are
     * allocated or swapped in are not mapped for a device that is gone.
     */
    drop_caches();
    trace_start(TRACE_DMA);
    check_states(&states);
    trace_stop(TRACE_DMA);
    CHECK_INT(traced(TRACE_DMA, "map"), ==, 0);
}

/* The result of a fence's command: 1, or -errno; 0 if it is not complete. */
static int fence_status(int fence)
{
    struct sync_file_info info = { 0 };

    CHECK_INT(drm_request(fence, SYNC_IOC_FILE_INFO, &info), ==, 0);
    return info.status;
}

/* The device is reset while requests of reclaim are queued. */
static void test_unbind_stalled(void)
{
    TestBo evicted, purged, used;
    int fence = -1;

    make(&evicted, BYTES);
    make(&purged, BYTES);
    make(&used, BYTES);
    dontneed(&purged);
    stall();
    if (env.is_3d) {
        fence = submit_with_fence(env.gpu, &used);
        CHECK_INT(fence, >=, 0);
        CHECK_INT(fence_status(fence), ==, 0);
    }
    CHECK_INT(shrink(2 * PAGES), ==, 0);
    driver_unbind();
    if (env.is_3d) {
        CHECK_INT(fence_status(fence), ==, -ENODEV);
    }
    drop_caches();
    /* The requests did not complete: no page is released. */
    check_intact(&evicted);
    check_intact(&purged);
}

/* A task that waits for room in the queue does not hold up the reset. */
static void test_unbind_full(void)
{
    long long queued, before = -1;
    TestBo tbo;
    int pid;

    make(&tbo, BYTES);
    stall();
    pid = fork();
    if (pid == 0) {
        int ret;

        do {
            ret = bo_upload(env.gpu, &tbo.bo);
        } while (ret == 0);
        _exit(ret != -ENODEV);
    }
    /* The queue is full when it grows no more. */
    while ((queued = stat_of("queued")) != before ||
           !is_blocked(pid, SYS_ioctl)) {
        before = queued;
        usleep(10000);
    }
    driver_unbind();
    CHECK_INT(wait_for(pid), ==, 0);
    check_intact(&tbo);
}

void driver_bind(const char *device)
{
    char command[128];

    snprintf(command, sizeof(command),
             "echo %s >/sys/bus/virtio/drivers/virtio_gpu/bind", device);
    CHECK_INT(system(command), ==, 0);
}

void driver_get_device(char *name, size_t size)
{
    FILE *file = popen("cd /sys/bus/virtio/drivers/virtio_gpu && "
                       "basename virtio*[0-9]", "r");

    CHECK(file && fgets(name, size, file));
    name[strcspn(name, "\n")] = '\0';
    CHECK_INT(pclose(file), ==, 0);
}

/* Says on @ready that it is about to. */
static void upload_until_unbound(int ready)
{
    TestBo tbo;
    int ret;

    env.gpu = gpu_open();
    CHECK_INT(env.gpu, >=, 0);
    make(&tbo, BYTES);
    CHECK_INT(write(ready, "", 1), ==, 1);
    do {
        ret = bo_upload(env.gpu, &tbo.bo);
    } while (ret == 0);
    CHECK_INT(ret, ==, -ENODEV);
    check_intact(&tbo);
}

/* Responses go on to arrive until the device is reset. */
static void test_unbind_busy(void)
{
    char device[32], byte;
    int i, line[2];

    driver_get_device(device, sizeof(device));
    CHECK_INT(pipe(line), ==, 0);
    for (i = 0; i < rounds(24); i++) {
        int pid = fork();

        if (pid == 0) {
            upload_until_unbound(line[1]);
            _exit(EXIT_SUCCESS);
        }
        /* The console's commands are queued as well. */
        CHECK_INT(read(line[0], &byte, 1), ==, 1);
        while (stat_of("queued") < 4) {
            usleep(1000);
        }
        driver_unbind();
        CHECK_INT(wait_for(pid), ==, 0);
        driver_bind(device);
    }
}

/*
 * How often interrupt @name has come to processor 1, or -1 if there is none; sets
 * its number.
 */
static int interrupts_of(const char *name, int *number)
{
    FILE *file = fopen("/proc/interrupts", "r");
    char line[256];
    int count;

    CHECK(file);
    while (fgets(line, sizeof(line), file)) {
        if (strstr(line, name) &&
            sscanf(line, "%d: %*u %d", number, &count) == 2) {
            fclose(file);
            return count;
        }
    }
    fclose(file);
    return -1;
}

/* Returns false if the interrupt is not there any more. */
static bool await_interrupt(const char *name, int before)
{
    int number, now;

    while ((now = interrupts_of(name, &number)) >= 0 && now == before) {
        usleep(1000);
    }
    return now >= 0;
}

static void run_on(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    CHECK_INT(sched_setaffinity(0, sizeof(set), &set), ==, 0);
}

/* A cursor of the first display. */
static void show_cursor(int card)
{
    enum { SIDE = 64 };
    struct drm_mode_create_dumb create = {
        .width = SIDE, .height = SIDE, .bpp = 32,
    };
    struct drm_mode_cursor cursor = {
        .flags = DRM_MODE_CURSOR_BO | DRM_MODE_CURSOR_MOVE,
        .crtc_id = screen_of(card).crtc, .width = SIDE, .height = SIDE,
    };

    CHECK_INT(drm_request(card, DRM_IOCTL_MODE_CREATE_DUMB, &create), ==, 0);
    cursor.handle = create.handle;
    CHECK_INT(drm_request(card, DRM_IOCTL_MODE_CURSOR, &cursor), ==, 0);
}

static void move_cursor(int card, int x)
{
    struct drm_mode_cursor cursor = {
        .flags = DRM_MODE_CURSOR_MOVE, .crtc_id = screen_of(card).crtc,
        .x = x,
    };

    CHECK_INT(drm_request(card, DRM_IOCTL_MODE_CURSOR, &cursor), ==, 0);
}

/*
 * Have all interrupts of the GPU come to processor 1, and this process run on
 * the other one. A change takes effect after the next interrupt.
 */
static void move_interrupts(int card, const TestBo *tbo)
{
    static const char *const names[] = { "-control", "-cursor" };
    int before[2], i, number, x = 0;
    char path[64];

    for (i = 0; i < 2; i++) {
        before[i] = interrupts_of(names[i], &number);
        if (before[i] < 0) {
            driver_unbind();
            test_skip("needs an interrupt for each queue");
        }
        snprintf(path, sizeof(path), "/proc/irq/%d/smp_affinity", number);
        CHECK(write_file(path, "2"));
    }
    run_on(0);
    while (interrupts_of(names[0], &number) == before[0] ||
           interrupts_of(names[1], &number) == before[1]) {
        move_cursor(card, x++ % 64);
        CHECK_INT(bo_upload(env.gpu, &tbo->bo), ==, 0);
        CHECK_INT(bo_wait(env.gpu, &tbo->bo), ==, 0);
        usleep(10000);
    }
}

/*
 * Keep processor 1 from all but interrupts until *@end; returns the task. (Linux
 * 6.12 leaves other tasks 50 ms of each second nevertheless.)
 */
static int occupy_processor(volatile bool *begun, volatile bool *end)
{
    struct sched_param priority = { .sched_priority = 1 };
    int pid;

    CHECK(write_file("/proc/sys/kernel/sched_rt_runtime_us", "-1"));
    pid = fork();
    if (pid == 0) {
        run_on(1);
        CHECK_INT(sched_setscheduler(0, SCHED_FIFO, &priority), ==, 0);
        *begun = true;
        while (!*end) {
        }
        _exit(EXIT_SUCCESS);
    }
    while (!*begun) {
        usleep(1000);
    }
    return pid;
}

/* Whether a task waits in the kernel's function @name. */
static bool waits_in(int pid, const char *name)
{
    char path[64], line[256];
    bool found = false;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stack", pid);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof(line), file)) {
        found |= strstr(line, name) != NULL;
    }
    if (file) {
        fclose(file);
    }
    return found;
}

/*
 * Responses arrive when unbinding has waited for those before them, and before
 * the reset. It waits in between for the work item of the cursor's queue, which
 * does not come to its turn until they have arrived. In any case the driver is
 * unbound then: the next case unloads it.
 */
static void test_unbind_late(void)
{
    volatile bool *flags = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int card = gpu_open_card(), before, number, occupier, pid;
    unsigned count = env.is_3d ? 100 : 40;
    char device[32];
    bool is_late;
    TestBo tbo;

    CHECK(flags != MAP_FAILED && card >= 0);
    driver_get_device(device, sizeof(device));
    make(&tbo, BYTES);
    show_cursor(card);
    move_interrupts(card, &tbo);

    occupier = occupy_processor(&flags[0], &flags[1]);
    before = interrupts_of("-cursor", &number);
    move_cursor(card, 100);
    CHECK(await_interrupt("-cursor", before));
    stall();
    while (count-- > 0) {
        CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, 0);
    }
    pid = fork();
    if (pid == 0) {
        _exit(!write_file("/sys/bus/virtio/drivers/virtio_gpu/unbind", device));
    }
    while (!waits_in(pid, "virtio_gpu_deinit") || !waits_in(pid, "flush_work")) {
        if (waitpid(pid, NULL, WNOHANG) == pid) {
            test_skip("the kernel did not hold up a work item");
        }
        usleep(1000);
    }
    before = interrupts_of("-control", &number);
    stall_end();
    is_late = await_interrupt("-control", before);
    flags[1] = true;
    CHECK_INT(wait_for(occupier), ==, 0);
    CHECK_INT(wait_for(pid), ==, 0);
    if (!is_late) {
        test_skip("the kernel did not hold up a work item");
    }
    check_intact(&tbo);
}

static void test_unload(void)
{
    CHECK_INT(system("rmmod virtio_gpu && rmmod drm_gem_shmem_reclaim"), ==,
              0);
    CHECK(access("/dev/dri/renderD128", F_OK) < 0);
}

void unload_driver(void)
{
    driver_unbind();
    test_unload();
}

static void test_reload(void)
{
    TestBo tbo;

    CHECK_INT(system("insmod /modules/reclaim/drm_gem_shmem_reclaim.ko && "
                     "insmod /modules/reclaim/virtio-gpu.ko"), ==, 0);
    env.gpu = gpu_open();
    CHECK_INT(env.gpu, >=, 0);
    make(&tbo, BYTES);
    shrink_all();
    check_intact(&tbo);
    check_host(&tbo);
    dontneed(&tbo);
    shrink_all();
    CHECK(!willneed(&tbo));
}

/* Suspend up to @stage, and resume at once. */
static void suspend_to(const char *stage)
{
    char command[256];

    snprintf(command, sizeof(command),
             "echo 0 >/sys/module/suspend/parameters/pm_test_delay && "
             "echo %s >/sys/power/pm_test && echo freeze >/sys/power/state",
             stage);
    CHECK_INT(system(command), ==, 0);
}

/* A task that waits for a stuck device does not prevent suspend. */
static void test_suspend_while_stalled(void)
{
    TestBo tbo;
    int pid;

    make(&tbo, BYTES);
    shrink_all();
    stall();
    pid = fork();
    if (pid == 0) {
        _exit(bo_upload(env.gpu, &tbo.bo) != 0);
    }
    while (!is_blocked(pid, SYS_ioctl)) {
        usleep(1000);
    }
    suspend_to("freezer");
    stall_end();
    CHECK_INT(wait_for(pid), ==, 0);
    check_intact(&tbo);
    check_host(&tbo);
}

/*
 * Suspend resets the device, and virtio-gpu does not set up its queues again:
 * no command completes any more. Reclaim stops, and releases nothing.
 */
static void test_suspend(void)
{
    States states;

    make_states(&states);
    suspend_to("devices");
    drop_caches();
    CHECK_INT(shrink(1000), ==, 0);
    check_states(&states);
    driver_unbind();
    check_states(&states);
}

/* With buffers in every state right before. */
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
    { "lifecycle/exit-while-queued", test_exit_while_queued, 0 },
    { "lifecycle/drop-caches", test_drop_caches, NEEDS_SWAP },
    { "lifecycle/suspend-while-stalled", test_suspend_while_stalled, 0 },
    { "lifecycle/unbind-in-use", test_unbind_in_use, CHANGES_DRIVER },
    { "lifecycle/unload", test_unload, CHANGES_DRIVER | NEEDS_NO_GPU },
    { "lifecycle/reload", test_reload, CHANGES_DRIVER | NEEDS_NO_GPU },
    { "lifecycle/unload-after-use", test_unload_after_use,
      CHANGES_DRIVER | NEEDS_NO_GPU },
    { "lifecycle/suspend", test_suspend, CHANGES_DRIVER },
    { "lifecycle/unload-after-suspend", test_unload,
      CHANGES_DRIVER | NEEDS_NO_GPU },
    { "lifecycle/reload-after-suspend", test_reload,
      CHANGES_DRIVER | NEEDS_NO_GPU },
    { "lifecycle/unbind-stalled", test_unbind_stalled, CHANGES_DRIVER },
    { "lifecycle/unload-after-stall", test_unload,
      CHANGES_DRIVER | NEEDS_NO_GPU },
    { "lifecycle/reload-after-stall", test_reload,
      CHANGES_DRIVER | NEEDS_NO_GPU },
    { "lifecycle/unbind-busy", test_unbind_busy,
      CHANGES_DRIVER | NEEDS_NO_GPU },
    { "lifecycle/unbind-late", test_unbind_late,
      CHANGES_DRIVER | NEEDS_DEBUG },
    { "lifecycle/unload-after-busy", test_unload,
      CHANGES_DRIVER | NEEDS_NO_GPU },
    { "lifecycle/reload-after-busy", test_reload,
      CHANGES_DRIVER | NEEDS_NO_GPU },
    { "lifecycle/unbind-full", test_unbind_full, CHANGES_DRIVER },
    { "lifecycle/unload-after-full", test_unload,
      CHANGES_DRIVER | NEEDS_NO_GPU },
    { "lifecycle/reload-after-full", test_reload,
      CHANGES_DRIVER | NEEDS_NO_GPU },
    { NULL, NULL, 0 },
};
