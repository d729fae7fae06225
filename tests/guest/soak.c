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

#define WORKERS         3
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

/* Processes other than the workers, each with its own random numbers. */
enum { VICTIM = WORKERS, HOG, RECLAIMER, STREAMS };

/* Resources of the device, or objects of the driver, by state. */
typedef struct Totals {
    unsigned long long resident, evicted, purged;
    unsigned long long backing_bytes;
} Totals;

typedef struct Soak {
    SoakState *state;
    uint64_t seed;
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
        if (soak_random(&seed, 10) == 0) {
            drop_caches();
        } else {
            shrink(1 + soak_random(&seed, 2000));
        }
        usleep(soak_random(&seed, 500) * 1000);
    }
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

static pid_t start_worker(const Soak *soak, unsigned number, uint64_t seed,
                          size_t bytes)
{
    pid_t pid = fork();

    CHECK_INT(pid, >=, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        process_protect(0);
        soak_work(soak->state, number, seed, THREADS, bytes,
                  number == VICTIM);
    }
    return pid;
}

/* Workers that are killed in the middle of any operation. */
static void victims(const Soak *soak)
{
    uint64_t seed = soak_stream(soak->seed, VICTIM * THREADS);

    while (soak->state->phase == SOAK_WORK) {
        pid_t pid = start_worker(soak, VICTIM, seed,
                                 soak->memory * BUFFERS_PART / WORKERS / 4);

        usleep(500000 + soak_random(&seed, 3000) * 1000);
        kill(pid, SIGKILL);
        CHECK_INT(wait_for(pid), ==, SIGKILL);
        soak->state->counts.killed++;
    }
}

static void report_counts(const char *event, double seconds,
                          const SoakState *state)
{
    const SoakCounts *c = &state->counts;

    report("%s seconds=%.0f operations=%lu created=%lu freed=%lu uploads=%lu "
           "downloads=%lu copies=%lu maps=%lu exports=%lu marked=%lu "
           "retained=%lu purged=%lu hogs=%lu killed=%lu denied=%lu "
           "good_pages=%lu corrupt_pages=%lu errors=%lu evictions=%lld "
           "refaults=%lld", event, seconds,
           c->operations, c->created, c->freed, c->uploads, c->downloads,
           c->copies, c->maps, c->exports, c->marked, c->retained, c->purged,
           c->hogs, c->killed, c->denied, c->good_pages, c->corrupt, c->errors,
           stat_of("evictions"), stat_of("refaults"));
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
 * Compare the totals of the workers and of fdinfo with the driver's, relative
 * to @before.
 */
static void compare_with_workers(SoakState *state, const Totals *before,
                                 unsigned long long bytes_before)
{
    const SoakTotals *b = &state->totals;
    Totals driver;

    query_driver(&driver);
    expect(state, "resident", b->resident, driver.resident - before->resident);
    expect(state, "evicted", b->evicted, driver.evicted - before->evicted);
    expect(state, "purged", b->purged, driver.purged - before->purged);
    expect(state, "resident bytes", b->resident_bytes,
           driver.backing_bytes - before->backing_bytes);
    expect(state, "evicted bytes", b->evicted_bytes, stat_of("evicted_bytes"));
    expect(state, "purged bytes", b->purged_bytes, stat_of("purged_bytes"));
    expect(state, "bytes", b->resident_bytes + b->evicted_bytes +
           b->purged_bytes, stat_of("bo_bytes") - bytes_before);
    expect(state, "resident in fdinfo", b->resident_bytes, b->fdinfo_resident);
    expect(state, "evicted in fdinfo", b->evicted_bytes, b->fdinfo_evicted);
    expect(state, "total in fdinfo", b->fdinfo_total, b->resident_bytes +
           b->evicted_bytes + b->purged_bytes);
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
        soak->workers[i] = start_worker(soak, i, soak->seed, bytes);
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
            report_counts("soak", now() - begin, soak->state);
            next += REPORT_SECONDS;
        }
    }
}

bool soak_run(unsigned seconds, uint64_t seed)
{
    unsigned long long bytes_before = stat_of("bo_bytes");
    Soak soak = { .seed = seed };
    struct sysinfo info;
    double begin = now();
    SoakState *state;
    Totals before;
    unsigned i;

    state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(state != MAP_FAILED);
    soak.state = state;
    CHECK_INT(sysinfo(&info), ==, 0);
    soak.memory = info.totalram * info.mem_unit;
    query_driver(&before);
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
    shrink_all();
    set_phase(&soak, SOAK_USE);
    await_workers(&soak);
    await_bytes(bytes_before + state->totals.resident_bytes +
                state->totals.evicted_bytes + state->totals.purged_bytes);
    compare_with_workers(state, &before, bytes_before);
    compare_with_device(state, "with all buffers");
    set_phase(&soak, SOAK_END);
    for (i = 0; i < WORKERS; i++) {
        if (wait_for(soak.workers[i]) != 0) {
            soak_error(state, "worker %u died", i);
        }
    }
    await_bytes(bytes_before);
    compare_with_device(state, "after");
    expect(state, "bytes after", stat_of("bo_bytes"), bytes_before);
    report_counts("soaked", now() - begin, state);
    return state->counts.errors == 0 && state->counts.corrupt == 0 &&
           state->counts.operations > 0;
}
