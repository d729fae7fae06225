/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device that does not answer: what reclaim has begun stays begun for as long
 * as a case wants, so that what races with it comes exactly then.
 */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "stall.h"
#include "submit.h"
#include "test.h"

#define BYTES (256 * KIB)
#define PAGES (BYTES / PAGE_BYTES)

/* So long that who does not wait has answered; none that waits ever does. */
#define WAITS_MS 100

/* Somebody who wants something, in a process of its own. */
typedef struct Other {
    int pid;
    int answer;
} Other;

static Other start_other(int (*request)(const Held *held), const Held *held)
{
    int line[2];
    Other other;

    CHECK_INT(pipe2(line, O_CLOEXEC), ==, 0);
    other.pid = fork();
    CHECK_INT(other.pid, >=, 0);
    if (other.pid == 0) {
        int result = request(held);

        _exit(write(line[1], &result, sizeof(result)) != sizeof(result));
    }
    close(line[1]);
    other.answer = line[0];
    return other;
}

static void check_waits(const Other *other)
{
    struct pollfd fd = { .fd = other->answer, .events = POLLIN };

    CHECK_INT(poll(&fd, 1, WAITS_MS), ==, 0);
}

static int answer_to(const Other *other)
{
    int result;

    CHECK_INT(read(other->answer, &result, sizeof(result)), ==,
              sizeof(result));
    CHECK_INT(wait_for(other->pid), ==, 0);
    return result;
}

static int want_back(const Held *held)
{
    bool retained;
    int ret = bo_madvise(env.gpu, &held->bo, VIRTGPU_MADV_WILLNEED, &retained);

    return ret < 0 ? ret : retained;
}

static int want_upload(const Held *held)
{
    return bo_upload(env.gpu, &held->bo);
}

static int want_export(const Held *held)
{
    struct drm_prime_handle prime = {
        .handle = held->bo.handle, .flags = O_CLOEXEC,
    };

    return drm_request(env.gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);
}

static int want_submit(const Held *held)
{
    return submit_nothing(env.gpu, &held, 1);
}

/* Reclaim has begun with the buffer and the device does not answer. */
static void begin_with(Held *held, bool marked)
{
    long long timeouts = stat_of("timeouts");

    make(held, BYTES);
    if (marked) {
        mark(held);
    }
    stall();
    CHECK_INT(shrink(PAGES), ==, 0);
    CHECK_INT(stat_of("timeouts"), ==, timeouts + 1);
}

/* Whoever asks during a purge is answered after it. */
static void test_willneed_in_purge(void)
{
    Other other;
    Held held;

    begin_with(&held, true);
    other = start_other(want_back, &held);
    check_waits(&other);
    stall_end();
    CHECK_INT(answer_to(&other), ==, 0);
    check_zero(&held);
    CHECK_INT(stat_of("purged_bytes"), ==, 0);
}

static void test_willneed_in_evict(void)
{
    Other other;
    Held held;

    begin_with(&held, false);
    other = start_other(want_back, &held);
    check_waits(&other);
    stall_end();
    CHECK_INT(answer_to(&other), ==, 1);
    CHECK_INT(stat_of("evicted_bytes"), ==, 0);
    check_intact(&held);
    check_host(&held);
}

/* To mark it once more changes nothing: the purge stands. */
static void test_remarked_in_purge(void)
{
    Held held;

    begin_with(&held, true);
    mark(&held);
    stall_end();
    CHECK(!ask_back(&held));
    check_zero(&held);
}

/* Marked when its eviction has begun: evicted, then purged. */
static void test_marked_in_evict(void)
{
    Held held;

    begin_with(&held, false);
    mark(&held);
    stall_end();
    shrink_all();
    CHECK(!ask_back(&held));
    check_zero(&held);
}

static void test_marked_and_wanted_in_evict(void)
{
    Other other;
    Held held;

    begin_with(&held, false);
    mark(&held);
    other = start_other(want_back, &held);
    check_waits(&other);
    stall_end();
    CHECK_INT(answer_to(&other), ==, 1);
    shrink_all();
    check_intact(&held);
    check_host(&held);
}

/* The pages are there until the device has let go of them. */
static void test_touched_in_purge(void)
{
    Held held;

    begin_with(&held, true);
    check_intact(&held);
    stall_end();
    shrink_all();
    check_faults(&held);
    CHECK(!ask_back(&held));
    check_zero(&held);
}

static void test_written_in_evict(void)
{
    Held held;

    begin_with(&held, false);
    held_fill(&held, 3);
    stall_end();
    shrink_all();
    CHECK_INT(stat_of("evicted_bytes"), ==, BYTES);
    check_intact(&held);
}

static void check_use_in_purge(int (*request)(const Held *held))
{
    Other other;
    Held held;

    begin_with(&held, true);
    other = start_other(request, &held);
    check_waits(&other);
    stall_end();
    CHECK_INT(answer_to(&other), ==, -ENODATA);
    CHECK(!ask_back(&held));
    CHECK_INT(request(&held), ==, 0);
    check_zero(&held);
}

static void test_uploaded_in_purge(void)
{
    check_use_in_purge(want_upload);
}

static void test_exported_in_purge(void)
{
    check_use_in_purge(want_export);
}

static void test_submitted_in_purge(void)
{
    check_use_in_purge(want_submit);
}

static void test_uploaded_in_evict(void)
{
    Other other;
    Held held;

    begin_with(&held, false);
    held_rewrite(&held, 1);
    other = start_other(want_upload, &held);
    check_waits(&other);
    stall_end();
    CHECK_INT(answer_to(&other), ==, 0);
    CHECK_INT(stat_of("evicted_bytes"), ==, 0);
    check_intact(&held);
    check_host(&held);
}

static void test_freed_in_purge(void)
{
    Held held;

    begin_with(&held, true);
    drop(&held);
    stall_end();
}

static void test_freed_in_evict(void)
{
    Held held;

    begin_with(&held, false);
    drop(&held);
    stall_end();
}

static void test_closed_in_purge(void)
{
    Held held;

    begin_with(&held, true);
    close(env.gpu);
    stall_end();
    shrink_all();
    check_faults(&held);
}

/* Nobody has to wait for a device to be ended. */
static void test_killed_while_waiting(void)
{
    Other other;
    Held held;

    begin_with(&held, false);
    other = start_other(want_upload, &held);
    check_waits(&other);
    kill(other.pid, SIGKILL);
    CHECK_INT(WTERMSIG(wait_for(other.pid)), ==, SIGKILL);
    stall_end();
    check_upload(&held);
}

static int want_pages(const Held *held)
{
    check_intact(held);
    return 0;
}

/* Who waits in a page fault, for one who waits for the device, can be, too. */
static void test_killed_in_fault(void)
{
    Other user, toucher;
    Held held, again;

    begin_with(&held, false);
    again = held;
    again.bo.map = map_anew(&held, BYTES, PROT_READ, MAP_SHARED);
    CHECK(again.bo.map != MAP_FAILED);
    user = start_other(want_upload, &held);
    check_waits(&user);
    toucher = start_other(want_pages, &again);
    check_waits(&toucher);
    kill(toucher.pid, SIGKILL);
    CHECK_INT(WTERMSIG(wait_for(toucher.pid)), ==, SIGKILL);
    stall_end();
    CHECK_INT(answer_to(&user), ==, 0);
    check_intact(&again);
    check_host(&held);
}

/* The pages stay, the scan ends, and all is well when the device is. */
static void test_pages_stay(void)
{
    long long resident, timeouts;
    Held held, marked;

    make(&held, BYTES);
    make(&marked, BYTES);
    mark(&marked);
    resident = stat_of("resident_bytes");
    timeouts = stat_of("timeouts");
    stall();
    CHECK_INT(shrink(2 * PAGES), ==, 0);
    drop_caches();
    CHECK_INT(stat_of("timeouts"), >=, timeouts + 2);
    CHECK_INT(stat_of("resident_bytes"), ==, resident);
    check_intact(&held);
    check_intact(&marked);
    stall_end();
    shrink_all();
    CHECK(!ask_back(&marked));
    check_intact(&held);
    check_host(&held);
}

/* Requests are reserved: when all are under way there is just no more. */
static void test_all_batches(void)
{
    enum { COUNT = 6 };
    Held *held = make_many(COUNT, BYTES);
    int i;

    stall();
    for (i = 0; i < COUNT; i++) {
        CHECK_INT(shrink(PAGES), ==, 0);
    }
    stall_end();
    shrink_all();
    CHECK_INT(stat_of("evicted_bytes"), ==, COUNT * BYTES);
    for (i = 0; i < COUNT; i++) {
        check_intact(&held[i]);
    }
    drop_many(held, COUNT);
}

/* A fence that does not signal: its buffer is not even asked for. */
static void test_busy(void)
{
    long long timeouts = stat_of("timeouts");
    Held held;

    make(&held, BYTES);
    held_rewrite(&held, 1);
    stall();
    CHECK_INT(bo_upload(env.gpu, &held.bo), ==, 0);
    mark(&held);
    CHECK_INT(shrink(PAGES), ==, 0);
    drop_caches();
    CHECK_INT(stat_of("timeouts"), ==, timeouts);
    CHECK_INT(stat_of("dontneed_bytes"), ==, BYTES);
    stall_end();
    CHECK_INT(bo_wait(env.gpu, &held.bo), ==, 0);
    CHECK(ask_back(&held));
    check_intact(&held);
    check_host(&held);
}

/* The memory manager finds memory elsewhere, and nobody is killed. */
static void test_hog(void)
{
    enum { EACH = 1024 * KIB };
    unsigned count = count_for(40, EACH), i;
    Held *held = make_many(count, EACH);

    mark(&held[0]);
    stall();
    check_app(60);
    CHECK_INT(stat_of("evicted_bytes"), ==, 0);
    stall_end();
    shrink_all();
    CHECK(!ask_back(&held[0]));
    for (i = 1; i < count; i++) {
        check_intact(&held[i]);
    }
    drop_many(held, count);
}

/* What is wanted of a device that does not answer ends with an error. */
static void test_reattach(void)
{
    Held held;

    make(&held, BYTES);
    shrink_all();
    stall();
    CHECK_INT(bo_upload(env.gpu, &held.bo), ==, -ETIMEDOUT);
    stall_end();
    check_upload(&held);
}

const TestCase tests_stall[] = {
    { "stall/willneed-in-purge", test_willneed_in_purge, 0 },
    { "stall/willneed-in-evict", test_willneed_in_evict, 0 },
    { "stall/remarked-in-purge", test_remarked_in_purge, 0 },
    { "stall/marked-in-evict", test_marked_in_evict, 0 },
    { "stall/marked-and-wanted-in-evict", test_marked_and_wanted_in_evict, 0 },
    { "stall/touched-in-purge", test_touched_in_purge, 0 },
    { "stall/written-in-evict", test_written_in_evict, 0 },
    { "stall/uploaded-in-purge", test_uploaded_in_purge, 0 },
    { "stall/exported-in-purge", test_exported_in_purge, 0 },
    { "stall/submitted-in-purge", test_submitted_in_purge, NEEDS_3D },
    { "stall/uploaded-in-evict", test_uploaded_in_evict, 0 },
    { "stall/freed-in-purge", test_freed_in_purge, 0 },
    { "stall/freed-in-evict", test_freed_in_evict, 0 },
    { "stall/closed-in-purge", test_closed_in_purge, 0 },
    { "stall/killed-while-waiting", test_killed_while_waiting, 0 },
    { "stall/killed-in-fault", test_killed_in_fault, 0 },
    { "stall/pages-stay", test_pages_stay, 0 },
    { "stall/all-batches", test_all_batches, 0 },
    { "stall/busy", test_busy, NEEDS_3D },
    { "stall/hog", test_hog, NEEDS_3D | NEEDS_SWAP },
    { "stall/reattach", test_reattach, NEEDS_3D | NEEDS_FEATURE },
    { NULL, NULL, 0 },
};
