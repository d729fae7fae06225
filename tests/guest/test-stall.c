/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device that does not respond: a reclaim operation stays pending for as
 * long as a case wants, so that races with it are deterministic.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "process.h"
#include "stall.h"
#include "submit.h"
#include "test.h"

#define BYTES (256 * KIB)
#define PAGES (BYTES / PAGE_BYTES)

/*
 * Long enough for a task that does not block to return; one that blocks never
 * does.
 */
#define WAITS_MS 100

/* A bound that only a hang exceeds. */
#define MAPPED_MS 60000

/* Longer than a task tries to reclaim before the OOM killer is called. */
#define LATE_MS 3000

/* Longer than the driver waits for any other response; and a minute. */
#define AWAY_MS       12000
#define AWAY_DEBUG_MS 60000

/* A task that runs one request, in a process of its own. */
typedef struct Task {
    int pid;
    int result_fd;
} Task;

static Task start_task(int (*request)(const TestBo *tbo), const TestBo *tbo)
{
    int line[2];
    Task task;

    CHECK_INT(pipe2(line, O_CLOEXEC), ==, 0);
    task.pid = fork();
    CHECK_INT(task.pid, >=, 0);
    if (task.pid == 0) {
        int result = request(tbo);

        _exit(write(line[1], &result, sizeof(result)) != sizeof(result));
    }
    close(line[1]);
    task.result_fd = line[0];
    return task;
}

/* It blocks, and goes on to block. */
static void check_blocked_in(const Task *task, int number)
{
    struct pollfd fd = { .fd = task->result_fd, .events = POLLIN };

    while (!is_blocked(task->pid, number)) {
        CHECK_INT(poll(&fd, 1, 1), ==, 0);
    }
    CHECK_INT(poll(&fd, 1, WAITS_MS), ==, 0);
}

static void check_blocked(const Task *task)
{
    check_blocked_in(task, SYS_ioctl);
}

static int result_of(const Task *task)
{
    int result;

    CHECK_INT(read(task->result_fd, &result, sizeof(result)), ==,
              sizeof(result));
    CHECK_INT(wait_for(task->pid), ==, 0);
    return result;
}

static int request_willneed(const TestBo *tbo)
{
    bool retained;
    int ret = bo_madvise(env.gpu, &tbo->bo, VIRTGPU_MADV_WILLNEED, &retained);

    return ret < 0 ? ret : retained;
}

static int request_upload(const TestBo *tbo)
{
    return bo_upload(env.gpu, &tbo->bo);
}

static int request_export(const TestBo *tbo)
{
    struct drm_prime_handle prime = {
        .handle = tbo->bo.handle, .flags = O_CLOEXEC,
    };

    return drm_request(env.gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);
}

static int request_submit(const TestBo *tbo)
{
    return submit_nothing(env.gpu, &tbo, 1);
}

/* Start a reclaim operation that the stalled device does not complete. */
static void begin_operation(TestBo *tbo, bool marked)
{
    long long timeouts = stat_of("timeouts");

    make(tbo, BYTES);
    if (marked) {
        dontneed(tbo);
    }
    stall();
    CHECK_INT(shrink(PAGES), ==, 0);
    CHECK_INT(stat_of("timeouts"), ==, timeouts + 1);
}

/* WILLNEED during a purge returns after it. */
static void test_willneed_in_purge(void)
{
    Task task;
    TestBo tbo;

    begin_operation(&tbo, true);
    task = start_task(request_willneed, &tbo);
    check_blocked(&task);
    stall_end();
    CHECK_INT(result_of(&task), ==, 0);
    check_zero(&tbo);
    CHECK_INT(stat_of("purged_bytes"), ==, 0);
}

static void test_willneed_in_evict(void)
{
    Task task;
    TestBo tbo;

    begin_operation(&tbo, false);
    task = start_task(request_willneed, &tbo);
    check_blocked(&task);
    stall_end();
    CHECK_INT(result_of(&task), ==, 1);
    CHECK_INT(stat_of("evicted_bytes"), ==, 0);
    check_intact(&tbo);
    check_host(&tbo);
}

/* A second DONTNEED does not cancel the purge. */
static void test_dontneed_in_purge(void)
{
    TestBo tbo;

    begin_operation(&tbo, true);
    dontneed(&tbo);
    stall_end();
    CHECK(!willneed(&tbo));
    check_zero(&tbo);
}

/* DONTNEED while an eviction is pending: evicted, then purged. */
static void test_dontneed_in_evict(void)
{
    TestBo tbo;

    begin_operation(&tbo, false);
    dontneed(&tbo);
    stall_end();
    shrink_all();
    CHECK(!willneed(&tbo));
    check_zero(&tbo);
}

static void test_dontneed_willneed_in_evict(void)
{
    Task task;
    TestBo tbo;

    begin_operation(&tbo, false);
    dontneed(&tbo);
    task = start_task(request_willneed, &tbo);
    check_blocked(&task);
    stall_end();
    CHECK_INT(result_of(&task), ==, 1);
    shrink_all();
    check_intact(&tbo);
    check_host(&tbo);
}

/* The pages stay until the device has released them. */
static void test_access_in_purge(void)
{
    TestBo tbo;

    begin_operation(&tbo, true);
    check_intact(&tbo);
    stall_end();
    shrink_all();
    check_sigbus(&tbo);
    CHECK(!willneed(&tbo));
    check_zero(&tbo);
}

static void test_write_in_evict(void)
{
    TestBo tbo;

    begin_operation(&tbo, false);
    test_bo_fill(&tbo, 3);
    stall_end();
    shrink_all();
    CHECK_INT(stat_of("evicted_bytes"), ==, BYTES);
    check_intact(&tbo);
}

static void check_use_in_purge(int (*request)(const TestBo *tbo))
{
    Task task;
    TestBo tbo;

    begin_operation(&tbo, true);
    task = start_task(request, &tbo);
    check_blocked(&task);
    stall_end();
    CHECK_INT(result_of(&task), ==, -ENODATA);
    CHECK(!willneed(&tbo));
    CHECK_INT(request(&tbo), ==, 0);
    check_zero(&tbo);
}

static void test_upload_in_purge_enodata(void)
{
    check_use_in_purge(request_upload);
}

static void test_export_in_purge_enodata(void)
{
    check_use_in_purge(request_export);
}

/* An export that waits for the device does not hold up those of others. */
static void test_export_elsewhere(void)
{
    TestBo tbo, other;
    Task task;

    make(&other, BYTES);
    begin_operation(&tbo, true);
    task = start_task(request_export, &tbo);
    check_blocked(&task);
    CHECK_INT(request_export(&other), ==, 0);
    check_blocked(&task);
    stall_end();
    CHECK_INT(result_of(&task), ==, -ENODATA);
}

static void test_submit_in_purge_enodata(void)
{
    check_use_in_purge(request_submit);
}

static void test_upload_in_evict(void)
{
    Task task;
    TestBo tbo;

    begin_operation(&tbo, false);
    test_bo_rewrite(&tbo, 1);
    task = start_task(request_upload, &tbo);
    check_blocked(&task);
    stall_end();
    CHECK_INT(result_of(&task), ==, 0);
    CHECK_INT(stat_of("evicted_bytes"), ==, 0);
    check_intact(&tbo);
    check_host(&tbo);
}

static void test_free_in_purge(void)
{
    TestBo tbo;

    begin_operation(&tbo, true);
    release(&tbo);
    stall_end();
}

static void test_free_in_evict(void)
{
    TestBo tbo;

    begin_operation(&tbo, false);
    release(&tbo);
    stall_end();
}

static void test_close_in_purge(void)
{
    TestBo tbo;

    begin_operation(&tbo, true);
    close(env.gpu);
    stall_end();
    shrink_all();
    check_sigbus(&tbo);
}

/* A task that waits for the device can be killed. */
static void test_kill_while_waiting(void)
{
    Task task;
    TestBo tbo;

    begin_operation(&tbo, false);
    task = start_task(request_upload, &tbo);
    check_blocked(&task);
    kill(task.pid, SIGKILL);
    CHECK_INT(WTERMSIG(wait_for(task.pid)), ==, SIGKILL);
    stall_end();
    check_upload(&tbo);
}

static int request_pages(const TestBo *tbo)
{
    check_intact(tbo);
    return 0;
}

/*
 * So can a task in a page fault that waits for one that waits for the device.
 */
static void test_kill_in_fault(void)
{
    Task user, toucher;
    TestBo tbo, again;

    begin_operation(&tbo, false);
    again = tbo;
    again.bo.map = map_anew(&tbo, BYTES, PROT_READ, MAP_SHARED);
    CHECK(again.bo.map != MAP_FAILED);
    user = start_task(request_upload, &tbo);
    check_blocked(&user);
    toucher = start_task(request_pages, &again);
    check_blocked_in(&toucher, IN_PAGE_FAULT);
    kill(toucher.pid, SIGKILL);
    CHECK_INT(WTERMSIG(wait_for(toucher.pid)), ==, SIGKILL);
    stall_end();
    CHECK_INT(result_of(&user), ==, 0);
    check_intact(&again);
    check_host(&tbo);
}

static void on_signal(int number)
{
    (void)number;
}

/* An access by the kernel: a fault in it is no return to user space. */
static int request_write(const TestBo *tbo)
{
    struct sigaction action = { .sa_handler = on_signal };
    int line[2];

    CHECK_INT(sigaction(SIGUSR1, &action, NULL), ==, 0);
    CHECK_INT(pipe(line), ==, 0);
    return write(line[1], tbo->bo.map, 16);
}

/* A writer that waits for a user that waits for the device. */
static void begin_write(TestBo *tbo, Task *user, Task *writer)
{
    TestBo again;

    begin_operation(tbo, false);
    again = *tbo;
    again.bo.map = map_anew(tbo, BYTES, PROT_READ, MAP_SHARED);
    CHECK(again.bo.map != MAP_FAILED);
    *user = start_task(request_upload, tbo);
    check_blocked(user);
    *writer = start_task(request_write, &again);
    check_blocked_in(writer, SYS_write);
}

/* A signal does not make it retry the fault over and over: it sleeps on. */
static void test_signal_in_write(void)
{
    Task user, writer;
    TestBo tbo;

    begin_write(&tbo, &user, &writer);
    kill(writer.pid, SIGUSR1);
    /* A task that is being woken still looks blocked. */
    usleep(1000 * WAITS_MS);
    check_blocked_in(&writer, SYS_write);
    check_blocked(&user);
    stall_end();
    CHECK_INT(result_of(&user), ==, 0);
    CHECK_INT(result_of(&writer), ==, 16);
    check_host(&tbo);
}

/* It can be killed while the other one still waits. */
static void test_kill_in_write(void)
{
    Task user, writer;
    TestBo tbo;

    begin_write(&tbo, &user, &writer);
    kill(writer.pid, SIGKILL);
    CHECK_INT(WTERMSIG(wait_for(writer.pid)), ==, SIGKILL);
    check_blocked(&user);
    stall_end();
    CHECK_INT(result_of(&user), ==, 0);
    check_host(&tbo);
}

/* The pages stay, the scan returns, and all recovers with the device. */
static void test_pages_stay_resident(void)
{
    long long resident, timeouts;
    TestBo tbo, marked;

    make(&tbo, BYTES);
    make(&marked, BYTES);
    dontneed(&marked);
    resident = stat_of("resident_bytes");
    timeouts = stat_of("timeouts");
    stall();
    CHECK_INT(shrink(2 * PAGES), ==, 0);
    drop_caches();
    CHECK_INT(stat_of("timeouts"), >=, timeouts + 2);
    CHECK_INT(stat_of("resident_bytes"), ==, resident);
    check_intact(&tbo);
    check_intact(&marked);
    stall_end();
    shrink_all();
    CHECK(!willneed(&marked));
    check_intact(&tbo);
    check_host(&tbo);
}

/* The device responds when the scan has given up: no other one is needed. */
static void test_late_purge(void)
{
    TestBo tbo;

    begin_operation(&tbo, true);
    stall_end();
    wait_for_stat("purged_bytes", BYTES);
    check_sigbus(&tbo);
    CHECK(!willneed(&tbo));
    check_zero(&tbo);
}

static void test_late_evict(void)
{
    TestBo tbo;

    begin_operation(&tbo, false);
    stall_end();
    wait_for_stat("evicted_bytes", BYTES);
    check_intact(&tbo);
    check_host(&tbo);
}

/* Requests are preallocated: with all in flight, a scan reclaims nothing. */
static void test_all_requests(void)
{
    enum { COUNT = 6 };
    TestBo *tbo = make_many(COUNT, BYTES);
    int i;

    stall();
    for (i = 0; i < COUNT; i++) {
        CHECK_INT(shrink(PAGES), ==, 0);
    }
    stall_end();
    shrink_all();
    CHECK_INT(stat_of("evicted_bytes"), ==, COUNT * BYTES);
    for (i = 0; i < COUNT; i++) {
        check_intact(&tbo[i]);
    }
    release_many(tbo, COUNT);
}

/* A buffer whose fence does not signal is not even requested. */
static int request_shrink(const TestBo *tbo)
{
    return shrink(tbo->bo.bytes / PAGE_BYTES);
}

/*
 * More tasks in reclaim than there are requests: each reclaims a buffer. On a
 * busy machine the device takes more than the second that a scan waits for it:
 * only such a scan returns without one.
 */
static void test_many_scans(void)
{
    enum { SCANS = 16, COUNT = 4 * SCANS };
    TestBo *tbo = make_many(COUNT, BYTES);
    long long timeouts = stat_of("timeouts");
    int i, reclaimed, none = 0, other = 0;
    Task tasks[SCANS];

    for (i = 0; i < COUNT; i++) {
        dontneed(&tbo[i]);
    }
    stall();
    for (i = 0; i < SCANS; i++) {
        tasks[i] = start_task(request_shrink, &tbo[i]);
    }
    for (i = 0; i < SCANS; i++) {
        while (!is_blocked(tasks[i].pid, SYS_write) &&
               stat_of("timeouts") == timeouts) {
            usleep(1000);
        }
    }
    stall_end();
    for (i = 0; i < SCANS; i++) {
        reclaimed = result_of(&tasks[i]);
        none += reclaimed == 0;
        other += reclaimed != PAGES;
    }
    timeouts = stat_of("timeouts") - timeouts;
    CHECK_INT(none, <=, timeouts);
    if (timeouts == 0) {
        CHECK_INT(other, ==, 0);
    }
    release_many(tbo, COUNT);
}

/* What a fault waits for does not hold up other threads of the process. */
static void *map_and_unmap(void *done)
{
    void *map = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED | MAP_ANONYMOUS,
                     -1, 0);

    CHECK(map != MAP_FAILED);
    CHECK_INT(munmap(map, PAGE_BYTES), ==, 0);
    atomic_store((atomic_bool *)done, true);
    return NULL;
}

static void *access_it(void *tbo)
{
    check_intact(tbo);
    return NULL;
}

static void test_mmap_lock(void)
{
    pthread_t reader, mapper;
    atomic_bool done = false;
    int waited;
    TestBo tbo;
    Task task;

    make(&tbo, BYTES);
    shrink_all();
    stall();
    /* It holds the reservation lock and waits for the device. */
    task = start_task(request_upload, &tbo);
    check_blocked(&task);
    /* Nor does mmap() of the same buffer wait. */
    CHECK(map_anew(&tbo, BYTES, PROT_READ, MAP_SHARED) != MAP_FAILED);
    CHECK_INT(pthread_create(&reader, NULL, access_it, &tbo), ==, 0);
    usleep(WAITS_MS * 1000);
    CHECK_INT(pthread_create(&mapper, NULL, map_and_unmap, &done), ==, 0);
    for (waited = 0; waited < MAPPED_MS && !atomic_load(&done); waited += 10) {
        usleep(10000);
    }
    CHECK(atomic_load(&done));
    stall_end();
    CHECK_INT(pthread_join(mapper, NULL), ==, 0);
    CHECK_INT(pthread_join(reader, NULL), ==, 0);
    CHECK_INT(result_of(&task), ==, 0);
    check_host(&tbo);
}

static void test_busy_is_skipped(void)
{
    long long timeouts = stat_of("timeouts");
    TestBo tbo;

    make(&tbo, BYTES);
    test_bo_rewrite(&tbo, 1);
    stall();
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, 0);
    dontneed(&tbo);
    CHECK_INT(shrink(PAGES), ==, 0);
    drop_caches();
    CHECK_INT(stat_of("timeouts"), ==, timeouts);
    CHECK_INT(stat_of("dontneed_bytes"), ==, BYTES);
    stall_end();
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    CHECK(willneed(&tbo));
    check_intact(&tbo);
    check_host(&tbo);
}

/*
 * The memory manager reclaims task memory, and the OOM killer does not run.
 */
static void test_memory_hog(void)
{
    enum { EACH = 1024 * KIB };
    unsigned count = count_for(40, EACH), i;
    TestBo *tbo = make_many(count, EACH);

    dontneed(&tbo[0]);
    stall();
    check_memory_hog(60);
    CHECK_INT(stat_of("evicted_bytes"), ==, 0);
    stall_end();
    shrink_all();
    CHECK(!willneed(&tbo[0]));
    for (i = 1; i < count; i++) {
        check_intact(&tbo[i]);
    }
    release_many(tbo, count);
}

/* In memory shared by all processes. */
typedef struct Late {
    atomic_bool pressed;
    unsigned mib, left_mib;
} Late;

static void start_waiting(void *late)
{
    ((Late *)late)->pressed = true;
}

/* A memory hog; it has almost all that is free when the time begins. */
static pid_t start_hog(Late *late)
{
    pid_t pid = fork();

    CHECK_INT(pid, >=, 0);
    if (pid == 0) {
        process_protect(0);
        memory_hog_main(&(MemoryHog) {
            .mib = late->mib, .locked = true, .left_mib = late->left_mib,
            .pause = start_waiting, .arg = late,
        });
    }
    return pid;
}

/*
 * Nobody is killed while a device is late that is about to release memory: all
 * that the hog needs is in buffers that are DONTNEED.
 */
static void test_oom(void)
{
    enum { EACH = 1024 * KIB };
    Late *late = mmap(NULL, sizeof(*late), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    long long timeouts = stat_of("timeouts");
    pid_t hog, helper;
    unsigned count, i;
    TestBo *tbo;

    CHECK(late != MAP_FAILED);
    helper = stall_end_later(&late->pressed, LATE_MS);
    limit_memory();
    count = count_for(60, EACH);
    tbo = make_many(count, EACH);
    for (i = 0; i < count; i++) {
        dontneed(&tbo[i]);
    }
    stall();
    late->mib = count_for(50, MIB);
    late->left_mib = count_for(25, MIB);
    hog = start_hog(late);
    CHECK_INT(wait_for(hog), ==, 0);
    CHECK_INT(wait_for(helper), ==, 0);
    if (stat_of("timeouts") == timeouts) {
        test_skip("no memory was needed while the device was late");
    }
    release_many(tbo, count);
}

/*
 * A device that is away for a while, such as that of a stopped virtual machine
 * monitor, costs waiting and no error: users of a buffer that has to be
 * reattached, and of one with a pending operation.
 */
static void test_away(void)
{
    TestBo evicted, pending;
    struct pollfd fds[2];
    Task tasks[2];

    make(&evicted, BYTES);
    shrink_all();
    begin_operation(&pending, false);
    tasks[0] = start_task(request_upload, &evicted);
    tasks[1] = start_task(request_upload, &pending);
    fds[0] = (struct pollfd) { .fd = tasks[0].result_fd, .events = POLLIN };
    fds[1] = (struct pollfd) { .fd = tasks[1].result_fd, .events = POLLIN };
    CHECK_INT(poll(fds, 2, env.is_debug ? AWAY_DEBUG_MS : AWAY_MS), ==, 0);
    stall_end();
    CHECK_INT(result_of(&tasks[0]), ==, 0);
    CHECK_INT(result_of(&tasks[1]), ==, 0);
    check_intact(&evicted);
    check_host(&evicted);
    check_intact(&pending);
    check_host(&pending);
}

const TestCase tests_stall[] = {
    { "stall/willneed-in-purge", test_willneed_in_purge, 0 },
    { "stall/willneed-in-evict", test_willneed_in_evict, 0 },
    { "stall/dontneed-in-purge", test_dontneed_in_purge, 0 },
    { "stall/dontneed-in-evict", test_dontneed_in_evict, 0 },
    { "stall/dontneed-willneed-in-evict", test_dontneed_willneed_in_evict, 0 },
    { "stall/access-in-purge", test_access_in_purge, 0 },
    { "stall/write-in-evict", test_write_in_evict, 0 },
    { "stall/upload-in-purge-enodata", test_upload_in_purge_enodata, 0 },
    { "stall/export-in-purge-enodata", test_export_in_purge_enodata, 0 },
    { "stall/export-elsewhere", test_export_elsewhere, 0 },
    { "stall/submit-in-purge-enodata", test_submit_in_purge_enodata,
      NEEDS_3D },
    { "stall/upload-in-evict", test_upload_in_evict, 0 },
    { "stall/free-in-purge", test_free_in_purge, 0 },
    { "stall/free-in-evict", test_free_in_evict, 0 },
    { "stall/close-in-purge", test_close_in_purge, 0 },
    { "stall/kill-while-waiting", test_kill_while_waiting, 0 },
    { "stall/kill-in-fault", test_kill_in_fault, 0 },
    { "stall/signal-in-write", test_signal_in_write, 0 },
    { "stall/kill-in-write", test_kill_in_write, 0 },
    { "stall/pages-stay-resident", test_pages_stay_resident, 0 },
    { "stall/late-purge", test_late_purge, 0 },
    { "stall/late-evict", test_late_evict, 0 },
    { "stall/all-requests", test_all_requests, 0 },
    { "stall/many-scans", test_many_scans, 0 },
    { "stall/mmap-lock", test_mmap_lock, NEEDS_3D },
    { "stall/busy-is-skipped", test_busy_is_skipped, NEEDS_3D },
    { "stall/memory-hog", test_memory_hog, NEEDS_3D | NEEDS_SWAP },
    { "stall/oom", test_oom, NEEDS_ROOM },
    { "stall/away", test_away, 0 },
    { NULL, NULL, 0 },
};
