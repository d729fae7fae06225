/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each kind of memory is held by a process of its own, the holder. A program
 * that needs memory, the consumer, is another one.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "bench.h"
#include "process.h"
#include "report.h"
#include "test.h"
#include "testbo.h"
#include "trace.h"

/* What is held in the question evict, and how much of it is to leave. */
#define EVICT_HELD_MIB 96
#define EVICT_MIB      64
#define EVICT_ROUNDS   5

/* Percents of the capacity that are held and verified. */
#define CAPACITY_PERCENT 95
#define CAPACITY_ROUNDS  2

/* The consumer is larger than what is free beside what is held. */
#define LATENCY_HELD_MIB 1024
#define LATENCY_MIB      512
#define LATENCY_ROUNDS   3

#define PURGE_MIB 1024
#define POLL_US   1000

typedef enum Kind { ANON, BOS, CACHE } Kind;

static const char *const kinds[] = { "anonymous", "bo", "cache" };

/* What a holder is asked. */
typedef enum Request {
    FILL,       /* with a pattern; BOs are uploaded */
    MARK,       /* BOs as DONTNEED */
    TOUCH,      /* a byte of each page, through the mapping */
    TRANSFER,   /* each BO to the host */
    VERIFY,     /* every byte; the response is the number of wrong pages */
    CLOSE,      /* each BO, and wait for the device */
} Request;

typedef struct Holder {
    pid_t pid;
    int line;
} Holder;

/* In the holder. */
typedef struct Held {
    Kind kind;
    int gpu;
    size_t each, count;         /* objects, and bytes of each */
    TestBo *tbo;
    char *anon;
} Held;

/* Shared with the processes whose progress is of interest. */
typedef struct Progress {
    uint64_t bytes, us, worst_us, swapped;
} Progress;

static uint64_t now_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * 1000000ull + ts.tv_nsec / 1000;
}

static void check(bool right, const char *what)
{
    if (!right) {
        report("error what=%s error=%s", what, strerrorname_np(errno));
        exit(EXIT_FAILURE);
    }
}

static uint64_t vmstat(const char *name)
{
    return number_in("/proc/vmstat", name);
}

static size_t available_mib(void)
{
    return meminfo_of("MemAvailable") / MIB;
}

/* What is not in memory of what @pid holds in @kind; @shmem was in memory. */
static uint64_t bytes_gone(Kind kind, pid_t pid, uint64_t shmem)
{
    char path[32];

    if (kind == BOS) {
        uint64_t now = meminfo_of("Shmem");

        return now < shmem ? shmem - now : 0;
    }
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    return number_in(path, "VmSwap") * 1024;
}

static Progress *progress_new(void)
{
    Progress *progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    check(progress != MAP_FAILED, "mmap");
    return progress;
}

static void *anon_new(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    check(memory != MAP_FAILED, "mmap");
    return memory;
}

/* Holders */

static PageId anon_page(size_t page)
{
    return (PageId) { 0, page, 0 };
}

static bool fill_bo(Held *held, size_t i)
{
    TestBo *tbo = &held->tbo[i];

    tbo->index = i;
    if (bo_create(held->gpu, BO_BUFFER, held->each, &tbo->bo) < 0) {
        return false;
    }
    test_bo_fill(tbo, 0);
    return bo_upload(held->gpu, &tbo->bo) == 0 &&
           bo_wait(held->gpu, &tbo->bo) == 0;
}

/* The cache is that of the disk for swap, which is not read otherwise. */
static bool fill_cache(Held *held)
{
    static char buffer[64 * 1024];
    size_t done;

    if (held->gpu < 0) {
        held->gpu = open("/dev/vda", O_RDONLY | O_CLOEXEC);
        check(held->gpu >= 0, "/dev/vda");
    }
    for (done = 0; done < held->each; done += sizeof(buffer)) {
        if (read(held->gpu, buffer, sizeof(buffer)) != sizeof(buffer)) {
            return false;
        }
    }
    return true;
}

static bool fill_one(Held *held, size_t i)
{
    size_t page, pages = held->each / PAGE_BYTES;

    if (held->kind == BOS) {
        return fill_bo(held, i);
    }
    if (held->kind == CACHE) {
        return fill_cache(held);
    }
    for (page = i * pages; page < (i + 1) * pages; page++) {
        pattern_fill(held->anon + page * PAGE_BYTES, anon_page(page));
    }
    return true;
}

static void fill(Held *held)
{
    size_t i;

    for (i = 0; i < held->count; i++) {
        check(fill_one(held, i), "fill");
        if ((i + 1) * held->each % (64 * MIB) == 0) {
            report("benching filled_mib=%zu", (i + 1) * held->each / MIB);
        }
    }
}

static void mark(Held *held)
{
    bool retained;
    size_t i;

    for (i = 0; i < held->count; i++) {
        check(bo_madvise(held->gpu, &held->tbo[i].bo, VIRTGPU_MADV_DONTNEED,
                         &retained) == 0, "madvise");
    }
}

static void touch(Held *held)
{
    size_t i, at;

    for (i = 0; i < held->count; i++) {
        /* Volatile, so that it is read. */
        volatile char *memory = held->kind == BOS ?
                                (char *)held->tbo[i].bo.map :
                                held->anon + i * held->each;

        for (at = 0; at < held->each; at += PAGE_BYTES) {
            memory[at];
        }
    }
}

static void transfer(Held *held)
{
    size_t i;

    for (i = 0; i < held->count; i++) {
        check(bo_upload(held->gpu, &held->tbo[i].bo) == 0 &&
              bo_wait(held->gpu, &held->tbo[i].bo) == 0, "upload");
    }
}

static uint64_t verify(Held *held)
{
    size_t pages = held->count * held->each / PAGE_BYTES;
    PageCounts counts = { 0 };
    uint64_t wrong = 0;
    size_t i;

    if (held->kind == ANON) {
        for (i = 0; i < pages; i++) {
            wrong += pattern_check(held->anon + i * PAGE_BYTES,
                                   anon_page(i)) != PAGE_GOOD;
        }
        return wrong;
    }
    for (i = 0; i < held->count; i++) {
        test_bo_check(&held->tbo[i], &counts);
    }
    return pages - counts.good;
}

/* The kernel frees the pages of an object some time after the object. */
static void close_all(Held *held)
{
    long long shmem = meminfo_of("Shmem");
    long long bytes = held->count * held->each;
    size_t i;

    for (i = 0; i < held->count; i++) {
        munmap(held->tbo[i].bo.map, held->each);
        check(gem_close(held->gpu, held->tbo[i].bo.handle) == 0, "close");
    }
    /* Commands are processed in order: when this is there, all are gone. */
    held->count = 1;
    fill(held);
    while (meminfo_of("Shmem") > shmem - bytes * 15 / 16) {
        usleep(POLL_US);
    }
}

static uint64_t carry_out(Held *held, Request request)
{
    uint64_t start = now_us();

    switch (request) {
    case FILL:
        fill(held);
        break;
    case MARK:
        mark(held);
        break;
    case TOUCH:
        touch(held);
        break;
    case TRANSFER:
        transfer(held);
        break;
    case VERIFY:
        return verify(held);
    case CLOSE:
        close_all(held);
        break;
    }
    return now_us() - start;
}

static void held_init(Held *held, Kind kind, size_t each, size_t count)
{
    *held = (Held) { .kind = kind, .gpu = -1, .each = each, .count = count };
    if (kind == BOS) {
        held->tbo = calloc(count, sizeof(*held->tbo));
        held->gpu = gpu_open();
        check(held->tbo && held->gpu >= 0, "open");
        test_bo_catch_faults();
    } else if (kind == ANON) {
        held->anon = anon_new(each * count);
    }
}

static uint64_t ask(const Holder *holder, Request request)
{
    uint64_t value;

    check(write(holder->line, &request, sizeof(request)) == sizeof(request) &&
          read(holder->line, &value, sizeof(value)) == sizeof(value),
          "holder");
    return value;
}

/* Start a holder of @count objects of @each bytes, which fills them. */
static Holder hold(Kind kind, size_t each, size_t count)
{
    int ends[2];
    Holder holder;

    check(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0, "socketpair");
    holder.pid = fork();
    check(holder.pid >= 0, "fork");
    if (holder.pid == 0) {
        Request request;
        uint64_t value;
        Held held;

        close(ends[0]);
        held_init(&held, kind, each, count);
        while (read(ends[1], &request, sizeof(request)) == sizeof(request)) {
            value = carry_out(&held, request);
            check(write(ends[1], &value, sizeof(value)) == sizeof(value),
                  "holder");
        }
        _exit(EXIT_SUCCESS);
    }
    close(ends[1]);
    holder.line = ends[0];
    ask(&holder, FILL);
    return holder;
}

static void let_go(const Holder *holder)
{
    close(holder->line);
    waitpid(holder->pid, NULL, 0);
}

/* Run @body in a process that may be killed, and wait for it. */
static void run_process(void (*body)(Progress *progress, size_t arg),
                        Progress *progress, size_t arg)
{
    pid_t pid = fork();

    check(pid >= 0, "fork");
    if (pid == 0) {
        process_protect(0);
        *progress = (Progress) { 0 };
        body(progress, arg);
        _exit(EXIT_SUCCESS);
    }
    waitpid(pid, NULL, 0);
}

/*
 * Consume @mib: the time from the first page that is swapped out on, the pages
 * swapped out, and the longest that a page took.
 */
static void consume_into(char *memory, Progress *progress, size_t mib)
{
    uint64_t before = vmstat("pswpout"), began = now_us(), from, to;
    size_t i, at;

    from = now_us();
    for (i = 0; i < mib; i++) {
        for (at = 0; at < MIB; at += PAGE_BYTES) {
            memory[i * MIB + at] = 1;
            to = now_us();
            if (to - from > progress->worst_us) {
                progress->worst_us = to - from;
            }
            from = to;
        }
        progress->swapped = vmstat("pswpout") - before;
        if (!progress->swapped) {
            began = now_us();
        }
        from = now_us();
    }
    progress->us = now_us() - began;
}

static void consume(Progress *progress, size_t mib)
{
    consume_into(anon_new(mib * MIB), progress, mib);
}

/* The same, of memory that is not swapped out in place of what is held. */
static void consume_locked(Progress *progress, size_t mib)
{
    char *memory = anon_new(mib * MIB);

    check(mlock2(memory, mib * MIB, MLOCK_ONFAULT) == 0, "mlock2");
    consume_into(memory, progress, mib);
}

/* Questions */

static void report_rate(const char *what, Kind kind, unsigned round,
                        uint64_t bytes, uint64_t us)
{
    report("bench what=%s kind=%s round=%u bytes=%llu us=%llu", what,
           kinds[kind], round, (unsigned long long)bytes,
           (unsigned long long)us);
}

static void evict_round(Kind kind, unsigned round, Request use,
                        const char *back)
{
    Progress *progress = progress_new();
    Holder holder = hold(kind, 1 * MIB, EVICT_HELD_MIB);
    uint64_t shmem = meminfo_of("Shmem"), gone, us;

    run_process(consume_locked, progress, available_mib() + EVICT_MIB);
    gone = bytes_gone(kind, holder.pid, shmem);
    report_rate("evict", kind, round, gone, progress->us);
    us = ask(&holder, use);
    gone -= bytes_gone(kind, holder.pid, shmem);
    report_rate(back, kind, round, gone, us);
    let_go(&holder);
    munmap(progress, sizeof(*progress));
}

static void evict(void)
{
    unsigned round;

    for (round = 0; round < EVICT_ROUNDS; round++) {
        evict_round(BOS, round, TOUCH, "refault");
        evict_round(ANON, round, TOUCH, "refault");
        evict_round(BOS, round, TRANSFER, "retransfer");
    }
}

/* Fill objects of @kind until there is no memory and this is killed. */
static void grow(Progress *progress, size_t kind)
{
    Held held;

    held_init(&held, kind, 4 * MIB, 4096 / 4);
    while (held.count * held.each > progress->bytes &&
           fill_one(&held, progress->bytes / held.each)) {
        progress->bytes += held.each;
    }
}

static void capacity(void)
{
    Progress *progress = progress_new();
    unsigned round;
    Holder holder;
    Kind kind;

    for (round = 0; round < CAPACITY_ROUNDS; round++) {
        for (kind = ANON; kind <= BOS; kind++) {
            uint64_t count, wrong;

            run_process(grow, progress, kind);
            count = progress->bytes / MIB * CAPACITY_PERCENT / 100;
            holder = hold(kind, 1 * MIB, count);
            wrong = ask(&holder, VERIFY);
            let_go(&holder);
            report("bench what=capacity kind=%s round=%u bytes=%llu "
                   "verified=%llu wrong_pages=%llu", kinds[kind], round,
                   (unsigned long long)progress->bytes,
                   (unsigned long long)count * MIB,
                   (unsigned long long)wrong);
        }
    }
}

static void latency_round(Kind kind, bool dontneed, const char *name,
                          unsigned round)
{
    Progress *progress = progress_new();
    Holder holder = hold(kind, 1 * MIB, LATENCY_HELD_MIB);

    if (dontneed) {
        ask(&holder, MARK);
    }
    run_process(consume, progress, LATENCY_MIB);
    report("bench what=latency kind=%s round=%u worst_us=%llu", name, round,
           (unsigned long long)progress->worst_us);
    let_go(&holder);
    munmap(progress, sizeof(*progress));
}

static void latency(void)
{
    unsigned round;

    for (round = 0; round < LATENCY_ROUNDS; round++) {
        latency_round(CACHE, false, "cache", round);
        latency_round(BOS, true, "purgeable", round);
        latency_round(BOS, false, "idle", round);
        latency_round(ANON, false, "anonymous", round);
    }
}

/* How often the kernel has come to the function of a probe. */
static uint64_t hits(const char *probe)
{
    return number_in(TRACEFS "kprobe_profile", probe);
}

/*
 * Count commands for the device, and waits of all tasks by their ends: one that
 * polls begins again and again. There are too many for the trace that
 * trace_start() keeps.
 */
static void count_commands(const char *probes)
{
    trace_open();
    check(write_file(TRACEFS "kprobe_events", probes) &&
          write_file(TRACEFS "events/bench/enable", "1"), "kprobes");
}

/* Run the driver's shrinker until it has purged @count objects. */
static void purge_objects(uint64_t count)
{
    uint64_t want = stat_of("purges") + count, start = now_us();

    while ((uint64_t)stat_of("purges") < want) {
        shrink(1000000);
        check(now_us() - start < 600000000ull, "purge");
    }
}

static const size_t sizes[] = { 64 << 10, 1 << 20, 16 << 20 };

static void report_purge(const char *what, size_t size, uint64_t commands,
                         uint64_t waits, uint64_t us)
{
    report("bench what=%s size=%zu objects=%zu commands=%llu waits=%llu "
           "us=%llu", what, size, (size_t)PURGE_MIB * MIB / size,
           (unsigned long long)commands, (unsigned long long)waits,
           (unsigned long long)us);
}

static void purge(void)
{
    size_t i;

    count_commands("p:bench/command virtqueue_add_sgs\n"
                   "p:bench/wait finish_wait\n");
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t count = (size_t)PURGE_MIB * MIB / sizes[i];
        Holder holder = hold(BOS, sizes[i], count);
        uint64_t sent, waits, start;

        ask(&holder, MARK);
        waits = hits("wait");
        sent = hits("command");
        start = now_us();
        purge_objects(count);
        report_purge("purge", sizes[i], hits("command") - sent,
                     hits("wait") - waits, now_us() - start);
        let_go(&holder);
    }
}

static void close_objects(void)
{
    size_t i;

    count_commands("p:bench/command virtqueue_add_sgs\n");
    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t count = (size_t)PURGE_MIB * MIB / sizes[i];
        Holder holder = hold(BOS, sizes[i], count);
        uint64_t sent = hits("command"), us = ask(&holder, CLOSE);

        report_purge("close", sizes[i], hits("command") - sent, count, us);
        let_go(&holder);
    }
}

bool bench_run(const char *question)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } questions[] = {
        { "capacity", capacity },
        { "evict", evict },
        { "latency", latency },
        { "purge", purge },
        { "close", close_objects },
    };
    size_t i;

    for (i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
        if (!strcmp(question, questions[i].name)) {
            process_protect(1);
            questions[i].run();
            report("benched");
            return true;
        }
    }
    return false;
}
