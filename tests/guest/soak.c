/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process.h"
#include "report.h"
#include "soak.h"
#include "test.h"

#define WORKERS         4
#define THREADS         2

/* Fractions of the guest's memory: all buffers, and the largest memory hog. */
#define BUFFERS_PART    5 / 8
#define HOG_PART        3 / 8

#define REPORT_SECONDS  10
#define POLL_US         10000

/* Errors reported in detail; the rest are only counted. */
#define DETAILS         20

/* Bounds that only a hang exceeds. */
#define PHASE_SECONDS   300
#define WAIT_SECONDS  60

/* Periods of the idle timer; 0 is off. */
static const char *const idle_ms[] = { "0", "0", "20", "200", "2000" };

/* Processes other than the workers, each with its own random numbers. */
enum { VICTIM = WORKERS, HOG, RECLAIMER, STREAMS };

/* Resources of the device, or objects of the driver, by state. */
typedef struct Totals {
    unsigned long long resident, evicted, purged;
    unsigned long long backing_bytes;
} Totals;

/* A driver before the soak. */
typedef struct Before {
    Totals totals;
    unsigned long long bytes;
} Before;

typedef struct Soak {
    SoakState *state;
    uint64_t seed;
    unsigned drivers[SOAK_DRIVERS];     /* those that are loaded */
    unsigned driver_count;
    size_t memory;
    pid_t workers[WORKERS];
    pid_t others[STREAMS];
} Soak;

uint32_t soak_random(uint64_t *seed, uint32_t limit)
{
    /* xorshift64 */
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (*seed >> 32) % limit;
}

uint64_t soak_stream(uint64_t seed, unsigned number)
{
    return (seed + number) * 0x9e3779b97f4a7c15ull | 1;
}

void soak_error(SoakState *state, const char *format, ...)
{
    char text[200];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    if (state->counts.errors++ < DETAILS) {
        report("# soak: %s", text);
    }
}

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + ts.tv_nsec / 1e9;
}

bool soak_select_driver(unsigned number)
{
    static bool virtio_is_3d;

    if (!env.is_vgem) {
        virtio_is_3d = env.is_3d;
    }
    if (!bo_select_driver(number == SOAK_VGEM ? &bo_driver_vgem
                                              : &bo_driver_virtio)) {
        return false;
    }
    env.is_vgem = number == SOAK_VGEM;
    env.is_3d = !env.is_vgem && virtio_is_3d;
    return true;
}

/* The driver of worker @number. */
static unsigned driver_of(const Soak *soak, unsigned number)
{
    return soak->drivers[number % soak->driver_count];
}

/* Memory hogs of random size and duration. */
static void memory_hogs(const Soak *soak)
{
    uint64_t seed = soak_stream(soak->seed, HOG * THREADS);
    unsigned most = soak->memory / MIB * HOG_PART;

    while (soak->state->phase == SOAK_WORK) {
        unsigned mib = 1 + soak_random(&seed, most);
        int ret = memory_hog_run(mib, soak_random(&seed, 1000));

        if (ret != 0) {
            soak_error(soak->state, "a memory hog of %u MiB: %s %d", mib,
                       ret > 0 ? "signal" : "status", ret);
        }
        soak->state->counts.hogs++;
        usleep(soak_random(&seed, 1500) * 1000);
    }
}

/* Reclaim without memory pressure. */
static void reclaimer(const Soak *soak)
{
    uint64_t seed = soak_stream(soak->seed, RECLAIMER * THREADS);

    while (soak->state->phase == SOAK_WORK) {
        unsigned choice = soak_random(&seed, 20);

        if (choice == 0) {
            drop_caches();
        } else if (choice == 1) {
            choice = soak_random(&seed, sizeof(idle_ms) / sizeof(*idle_ms));
            CHECK(write_file(IDLE_MS, idle_ms[choice]));
        } else {
            CHECK(soak_select_driver(driver_of(soak, choice)));
            shrink(1 + soak_random(&seed, 2000));
        }
        usleep(soak_random(&seed, 500) * 1000);
    }
    CHECK(write_file(IDLE_MS, "0"));
}

static pid_t start(void (*run)(const Soak *soak), const Soak *soak)
{
    pid_t pid = fork();

    CHECK_INT(pid, >=, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run(soak);
        _exit(EXIT_SUCCESS);
    }
    return pid;
}

static pid_t start_worker(const Soak *soak, unsigned number, unsigned driver,
                          uint64_t seed, size_t bytes)
{
    pid_t pid = fork();

    CHECK_INT(pid, >=, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        process_protect(0);
        soak_work(soak->state, number, driver, seed, THREADS, bytes,
                  number == VICTIM);
    }
    return pid;
}

/* Workers that are killed in the middle of any operation. */
static void victims(const Soak *soak)
{
    uint64_t seed = soak_stream(soak->seed, VICTIM * THREADS);

    while (soak->state->phase == SOAK_WORK) {
        pid_t pid = start_worker(soak, VICTIM,
                                 driver_of(soak, soak_random(&seed, WORKERS)),
                                 seed, soak->memory * BUFFERS_PART / WORKERS / 4);

        usleep(500000 + soak_random(&seed, 3000) * 1000);
        kill(pid, SIGKILL);
        CHECK_INT(wait_for(pid), ==, SIGKILL);
        soak->state->counts.killed++;
    }
}

static void report_counts(const char *event, double seconds, const Soak *soak)
{
    const SoakCounts *c = &soak->state->counts;
    long long evictions[SOAK_DRIVERS] = { 0 }, refaults = 0;
    unsigned i;

    for (i = 0; i < soak->driver_count; i++) {
        CHECK(soak_select_driver(soak->drivers[i]));
        evictions[soak->drivers[i]] = stat_of("evictions");
        refaults += stat_of("refaults");
    }
    report("%s seconds=%.0f operations=%lu created=%lu freed=%lu uploads=%lu "
           "downloads=%lu copies=%lu unbacked=%lu maps=%lu exports=%lu "
           "attached=%lu marked=%lu retained=%lu purged=%lu hogs=%lu "
           "killed=%lu denied=%lu good_pages=%lu corrupt_pages=%lu errors=%lu "
           "evictions=%lld vgem_evictions=%lld refaults=%lld", event, seconds,
           c->operations, c->created, c->freed, c->uploads, c->downloads,
           c->copies, c->unbacked, c->maps, c->exports, c->attached, c->marked,
           c->retained, c->purged, c->hogs, c->killed, c->denied,
           c->good_pages, c->corrupt, c->errors, evictions[SOAK_VIRTIO],
           evictions[SOAK_VGEM], refaults);
}

/* Wait until all workers have finished the phase; fail if one has died. */
static void await_workers(const Soak *soak)
{
    double end = now() + PHASE_SECONDS;
    unsigned i;

    while (soak->state->arrived < WORKERS) {
        for (i = 0; i < WORKERS; i++) {
            CHECK_INT(waitpid(soak->workers[i], NULL, WNOHANG), ==, 0);
        }
        CHECK(now() < end);
        usleep(POLL_US);
    }
    soak->state->arrived = 0;
}

/* The device's totals; false if it has none. */
static bool query_device(Totals *totals)
{
    char response[128];

    report_and_read("books", response, sizeof(response));
    return sscanf(response, "%llu %llu %llu %llu", &totals->resident,
                  &totals->evicted, &totals->purged,
                  &totals->backing_bytes) == 4;
}

static void query_driver(Totals *totals)
{
    totals->resident = stat_of("willneed_objects") + stat_of("pinned_objects");
    totals->evicted = stat_of("evicted_objects");
    totals->purged = stat_of("purged_objects");
    totals->backing_bytes = stat_of("resident_bytes");
}

/*
 * Compare the driver's totals with the device's. They are updated at different
 * times when a buffer is freed, so wait until they agree.
 */
static void compare_with_device(SoakState *state, const char *when)
{
    Totals driver = { 0 }, device = { 0 };
    double end = now() + WAIT_SECONDS;

    if (!soak_select_driver(SOAK_VIRTIO)) {
        return;     /* vgem has no device */
    }
    while (now() < end) {
        query_driver(&driver);
        if (!query_device(&device) ||
            !memcmp(&driver, &device, sizeof(driver))) {
            return;
        }
        usleep(POLL_US);
    }
    soak_error(state, "%s the driver has %llu resident, %llu evicted, %llu "
               "purged, %llu bytes, the device %llu, %llu, %llu, %llu", when,
               driver.resident, driver.evicted, driver.purged,
               driver.backing_bytes, device.resident, device.evicted,
               device.purged, device.backing_bytes);
}

/* Buffers are freed once the device has responded: wait for that. */
static void await_bytes(long long bytes)
{
    double end = now() + WAIT_SECONDS;

    while (stat_of("bo_bytes") != bytes && now() < end) {
        usleep(POLL_US);
    }
}

static void expect(SoakState *state, const char *what, unsigned long long left,
                   unsigned long long right)
{
    if (left != right) {
        soak_error(state, "%s: %llu and %llu", what, left, right);
    }
}

/*
 * Compare the totals of the workers and of fdinfo with those of the selected
 * driver, relative to @before.
 */
static void compare_with_workers(SoakState *state, const SoakTotals *b,
                                 const Before *before)
{
    const Totals *old = &before->totals;
    unsigned long long all = b->resident_bytes + b->evicted_bytes +
                             b->purged_bytes;
    Totals driver;

    await_bytes(before->bytes + all);
    query_driver(&driver);
    expect(state, "resident", b->resident, driver.resident - old->resident);
    expect(state, "evicted", b->evicted, driver.evicted - old->evicted);
    expect(state, "purged", b->purged, driver.purged - old->purged);
    expect(state, "resident bytes", b->resident_bytes,
           driver.backing_bytes - old->backing_bytes);
    expect(state, "evicted bytes", b->evicted_bytes, stat_of("evicted_bytes"));
    expect(state, "purged bytes", b->purged_bytes, stat_of("purged_bytes"));
    expect(state, "bytes", all, stat_of("bo_bytes") - before->bytes);
    if (!env.is_vgem) {
        expect(state, "resident in fdinfo", b->resident_bytes,
               b->fdinfo_resident);
        expect(state, "evicted in fdinfo", b->evicted_bytes,
               b->fdinfo_evicted);
        expect(state, "total in fdinfo", b->fdinfo_total, all);
    }
}

static void set_phase(const Soak *soak, SoakPhase phase)
{
    static const char *const names[] = {
        "working", "marking", "using", "ending",
    };

    soak->state->phase = phase;
    report("soak_phase %s", names[phase]);
}

static void start_all(Soak *soak)
{
    size_t bytes = soak->memory * BUFFERS_PART / WORKERS;
    unsigned i;

    for (i = 0; i < WORKERS; i++) {
        soak->workers[i] = start_worker(soak, i, driver_of(soak, i),
                                        soak->seed, bytes);
    }
    soak->others[VICTIM] = start(victims, soak);
    soak->others[HOG] = start(memory_hogs, soak);
    soak->others[RECLAIMER] = start(reclaimer, soak);
}

static void work_for(const Soak *soak, unsigned seconds)
{
    double begin = now(), next = begin + REPORT_SECONDS;

    while (now() < begin + seconds) {
        usleep(100000);
        if (now() >= next) {
            report_counts("soak", now() - begin, soak);
            next += REPORT_SECONDS;
        }
    }
}

/* Find the drivers, and store their totals. */
static void find_drivers(Soak *soak, Before *before)
{
    unsigned i;

    for (i = 0; i < SOAK_DRIVERS; i++) {
        if (soak_select_driver(i)) {
            soak->drivers[soak->driver_count++] = i;
            query_driver(&before[i].totals);
            before[i].bytes = stat_of("bo_bytes");
        }
    }
    CHECK_INT(soak->driver_count, >, 0);
}

/* All drivers are in the state that the workers left. */
static void compare_all(const Soak *soak, const Before *before)
{
    unsigned i;

    for (i = 0; i < soak->driver_count; i++) {
        unsigned driver = soak->drivers[i];

        CHECK(soak_select_driver(driver));
        compare_with_workers(soak->state, &soak->state->totals[driver],
                             &before[driver]);
    }
}

static void shrink_all_drivers(const Soak *soak)
{
    unsigned i;

    for (i = 0; i < soak->driver_count; i++) {
        CHECK(soak_select_driver(soak->drivers[i]));
        shrink_all();
    }
}

/* All is freed. */
static void expect_nothing_left(const Soak *soak, const Before *before)
{
    unsigned i;

    for (i = 0; i < soak->driver_count; i++) {
        unsigned driver = soak->drivers[i];

        CHECK(soak_select_driver(driver));
        await_bytes(before[driver].bytes);
        expect(soak->state, "bytes after", stat_of("bo_bytes"),
               before[driver].bytes);
    }
}

bool soak_run(unsigned seconds, uint64_t seed)
{
    Before before[SOAK_DRIVERS] = { 0 };
    Soak soak = { .seed = seed };
    struct sysinfo info;
    double begin = now();
    SoakState *state;
    unsigned i;

    state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(state != MAP_FAILED);
    soak.state = state;
    CHECK_INT(sysinfo(&info), ==, 0);
    soak.memory = info.totalram * info.mem_unit;
    find_drivers(&soak, before);
    compare_with_device(state, "before");

    start_all(&soak);
    work_for(&soak, seconds);
    set_phase(&soak, SOAK_DONTNEED);
    for (i = VICTIM; i < STREAMS; i++) {
        if (wait_for(soak.others[i]) != 0) {
            soak_error(state, "process %u died", i);
        }
    }
    await_workers(&soak);
    shrink_all_drivers(&soak);
    set_phase(&soak, SOAK_USE);
    await_workers(&soak);
    compare_all(&soak, before);
    compare_with_device(state, "with all buffers");
    set_phase(&soak, SOAK_END);
    for (i = 0; i < WORKERS; i++) {
        if (wait_for(soak.workers[i]) != 0) {
            soak_error(state, "worker %u died", i);
        }
    }
    expect_nothing_left(&soak, before);
    compare_with_device(state, "after");
    report_counts("soaked", now() - begin, &soak);
    return state->counts.errors == 0 && state->counts.corrupt == 0 &&
           state->counts.operations > 0;
}
