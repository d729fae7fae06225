/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "process.h"
#include "report.h"
#include "soak.h"
#include "stall.h"
#include "test.h"

/* Bounds that only a hang exceeds. */
#define CASE_SECONDS    300
#define DEBUG_SLOWER    4
#define WAIT_MS         60000
#define STEP_MS         10
/*
 * The host takes a guest that is silent for several times that for one that
 * hangs. By the clock: a step can take ten times its time in a busy guest.
 */
#define ALIVE_SECONDS   30

/* Memory that limit_memory() leaves, and how much of it is in use; bytes. */
#define LIMITED_MEMORY  (24 * MIB)
#define LIMITED_IN_USE  (8 * MIB)

/* Attempts to swap what is charged to a memory cgroup. */
#define SWAP_ROUNDS     20

#define EXIT_SKIP 77

/* Each group, and what all of its cases need. */
static const struct {
    const TestCase *cases;
    unsigned needs;
} groups[] = {
    { tests_madvise, 0 }, { tests_create, 0 }, { tests_memcg, 0 },
    { tests_on_demand, NEEDS_VIRTIO }, { tests_idle, 0 }, { tests_purge, 0 },
    { tests_evict, 0 }, { tests_mapping, 0 }, { tests_export, 0 },
    { tests_display, NEEDS_VIRTIO }, { tests_report, 0 },
    { tests_queue, NEEDS_VIRTIO }, { tests_host, NEEDS_VIRTIO },
    { tests_stall, NEEDS_VIRTIO }, { tests_blob, NEEDS_VIRTIO },
    { tests_config, NEEDS_VIRTIO }, { tests_stress, 0 }, { tests_inject, NEEDS_VIRTIO },
    { tests_lifecycle, NEEDS_VIRTIO }, { tests_vgem, NEEDS_VGEM },
    { tests_kernel, 0 },
};

TestEnv env;

/* Why a case was skipped; shared by its process and the runner. */
static char *reason;

void test_fail(const char *file, int line, const char *format, ...)
{
    const char *base = strrchr(file, '/');
    char text[400];
    va_list ap;

    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    report("# %s:%d: %s", base ? base + 1 : file, line, text);
    _exit(EXIT_FAILURE);
}

void test_skip(const char *why)
{
    strncpy(reason, why, PAGE_BYTES - 1);
    _exit(EXIT_SKIP);
}

bool write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok;

    if (fd < 0) {
        return false;
    }
    ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    return close(fd) == 0 && ok;
}

long long number_in(const char *path, const char *name)
{
    FILE *file = fopen(path, "r");
    long long value, found = -1;
    char line[128], key[64];

    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, " %63[^: \t]%*[: \t]%lld", key, &value) == 2 &&
            !strcmp(key, name)) {
            found = value;
        }
    }
    if (file) {
        fclose(file);
    }
    return found;
}

long long stat_of(const char *name)
{
    char path[64];

    bo_debugfs_path("reclaim", path, sizeof(path));
    return number_in(path, name);
}

long long stat_in(const char *dir, const char *name)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/virtio-gpu-reclaim", dir);
    return number_in(path, name);
}

long long shrink(unsigned long pages)
{
    long long got = -1;
    char path[64];
    FILE *file;

    bo_debugfs_path("shrink", path, sizeof(path));
    file = fopen(path, "r+");
    CHECK(file);
    CHECK(fprintf(file, "%lu\n", pages) > 0);
    CHECK(fflush(file) == 0);
    rewind(file);
    CHECK(fscanf(file, "%lld", &got) == 1);
    fclose(file);
    return got;
}

void check_shrink(unsigned long pages, long long expected)
{
    long long timeouts = stat_of("timeouts");
    long long reclaimed = shrink(pages);

    if (reclaimed < expected && stat_of("timeouts") > timeouts) {
        test_skip("the device took more than a second to respond");
    }
    CHECK_INT(reclaimed, ==, expected);
}

void wait_for_stat(const char *name, long long value)
{
    int waited;

    for (waited = 0; waited < WAIT_MS && stat_of(name) != value;
         waited += STEP_MS) {
        usleep(STEP_MS * 1000);
    }
    if (stat_of(name) != value) {
        test_fail(__FILE__, __LINE__, "%s is %lld, not %lld", name,
                  stat_of(name), value);
    }
}

static bool all_shrunk(void)
{
    return stat_of("dontneed_bytes") == 0 &&
           stat_of("resident_bytes") == stat_of("pinned_bytes");
}

void shrink_all(void)
{
    int waited;

    for (waited = 0; waited < WAIT_MS; waited += STEP_MS) {
        shrink(1u << 20);
        if (all_shrunk()) {
            return;
        }
        usleep(STEP_MS * 1000);
    }
    test_fail(__FILE__, __LINE__, "%lld bytes are still marked, "
              "%lld resident, %lld pinned", stat_of("dontneed_bytes"),
              stat_of("resident_bytes"), stat_of("pinned_bytes"));
}

void drop_caches(void)
{
    int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

    CHECK(fd >= 0);
    CHECK_INT(write(fd, "2", 1), ==, 1);
    close(fd);
}

/* Transfers have no fences on a 2D device; vgem has none. */
static void wait_for_device(void)
{
    while (stat_of("queued") > 0) {
        usleep(1000);
    }
}

void make_from(int gpu, TestBo *tbo, uint32_t index, size_t bytes, BoKind kind)
{
    *tbo = (TestBo) { .index = index };
    CHECK_INT(bo_create(gpu, kind, bytes, &tbo->bo), ==, 0);
    test_bo_fill(tbo, 0);
    CHECK_INT(bo_upload(gpu, &tbo->bo), ==, 0);
    CHECK_INT(bo_wait(gpu, &tbo->bo), ==, 0);
    if (!env.is_3d) {
        wait_for_device();
    }
}

static BoKind kind_for(uint32_t index)
{
    return env.is_3d && index % 2 ? BO_BUFFER : BO_TEXTURE;
}

void make(TestBo *tbo, size_t bytes)
{
    static uint32_t next;

    make_from(env.gpu, tbo, next, bytes, kind_for(next));
    next++;
}

void *map_anew(const TestBo *tbo, size_t bytes, int protection, int flags)
{
    return bo_map_anew(env.gpu, &tbo->bo, bytes, protection, flags);
}

void release(TestBo *tbo)
{
    CHECK_INT(munmap(tbo->bo.map, tbo->bo.bytes), ==, 0);
    CHECK_INT(gem_close(env.gpu, tbo->bo.handle), ==, 0);
}

TestBo *make_many(unsigned count, size_t bytes)
{
    TestBo *tbo = calloc(count, sizeof(*tbo));
    unsigned i;

    CHECK(tbo);
    for (i = 0; i < count; i++) {
        make(&tbo[i], bytes);
    }
    return tbo;
}

void release_many(TestBo *tbo, unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        release(&tbo[i]);
    }
    free(tbo);
}

int madvise_as(int gpu, const TestBo *tbo, uint32_t madv)
{
    bool retained;

    return bo_madvise(gpu, &tbo->bo, madv, &retained);
}

void dontneed(const TestBo *tbo)
{
    bool retained;

    CHECK_INT(bo_madvise(env.gpu, &tbo->bo, VIRTGPU_MADV_DONTNEED, &retained),
              ==, 0);
}

bool willneed(const TestBo *tbo)
{
    bool retained;

    CHECK_INT(bo_madvise(env.gpu, &tbo->bo, VIRTGPU_MADV_WILLNEED, &retained),
              ==, 0);
    return retained;
}

static unsigned long pages_of(const TestBo *tbo)
{
    return tbo->bo.bytes / PAGE_BYTES;
}

void check_intact(const TestBo *tbo)
{
    PageCounts counts = { 0 };

    test_bo_check(tbo, &counts);
    CHECK_INT(counts.good, ==, pages_of(tbo));
}

void check_host(const TestBo *tbo)
{
    PageCounts counts = { 0 };

    if (!env.is_3d) {
        return;     /* no reading back on a 2D device */
    }
    /* Overwrites the pages: they must be uploaded by then. */
    CHECK_INT(bo_wait(env.gpu, &tbo->bo), ==, 0);
    CHECK_INT(test_bo_check_host(tbo, env.gpu, &counts), ==, 0);
    CHECK_INT(counts.good, ==, pages_of(tbo));
}

void check_upload(const TestBo *tbo)
{
    CHECK_INT(bo_upload(env.gpu, &tbo->bo), ==, 0);
    check_intact(tbo);
    check_host(tbo);
}

void check_zero(const TestBo *tbo)
{
    PageCounts counts = { 0 };

    test_bo_check(tbo, &counts);
    CHECK_INT(counts.zero, ==, pages_of(tbo));
}

void check_sigbus(const TestBo *tbo)
{
    PageCounts counts = { 0 };

    test_bo_check(tbo, &counts);
    CHECK_INT(counts.fault, ==, pages_of(tbo));
}

void check_contents(const TestBo *tbo, bool retained)
{
    if (retained) {
        check_intact(tbo);
        check_host(tbo);
    } else {
        check_zero(tbo);
    }
}

int rounds(int count)
{
    return env.is_debug ? (count + DEBUG_SLOWER - 1) / DEBUG_SLOWER : count;
}

long long meminfo_of(const char *name)
{
    long long kib = number_in("/proc/meminfo", name);

    CHECK_INT(kib, >=, 0);
    return kib * KIB;
}

void limit_memory(void)
{
    size_t have = meminfo_of("MemFree") + LIMITED_IN_USE;

    if (env.is_debug && have > LIMITED_MEMORY) {
        CHECK(mmap(NULL, have - LIMITED_MEMORY, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) !=
              MAP_FAILED);
        env.memory = LIMITED_MEMORY;
    }
}

#define GROUPS "/sys/fs/cgroup"

/* Make a memory cgroup, if there is none with that name, and enter it. */
static void enter_group(const char *name, const char *setup)
{
    char command[256];
    int fd;

    CHECK_INT(system("cd " GROUPS " && "
                     "{ [ -e cgroup.procs ] || mount -t cgroup2 none .; }"),
              ==, 0);
    snprintf(command, sizeof(command),
             "cd " GROUPS " && echo +memory >cgroup.subtree_control && "
             "mkdir -p %s && cd %s && %s", name, name, setup);
    CHECK_INT(system(command), ==, 0);
    snprintf(command, sizeof(command), GROUPS "/%s/cgroup.procs", name);
    fd = open(command, O_WRONLY | O_CLOEXEC);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(write(fd, "0", 1), ==, 1);
    close(fd);
}

void limit_own_memory(unsigned mib)
{
    char setup[128];

    snprintf(setup, sizeof(setup), "echo %uM >memory.max && "
             "{ [ ! -e memory.swap.max ] || echo 0 >memory.swap.max; }", mib);
    enter_group("limited", setup);
}

void charge_own_memory(void)
{
    enter_group("charged", "[ -e memory.reclaim ]");
}

void swap_own_memory(long long shmem)
{
    int fd = open(GROUPS "/charged/memory.reclaim", O_WRONLY | O_CLOEXEC);
    unsigned round;

    CHECK_INT(fd, >=, 0);
    for (round = 0; meminfo_of("Shmem") > shmem; round++) {
        CHECK_INT(round, <, SWAP_ROUNDS);
        /* It fails when there is less. */
        if (pwrite(fd, "1M", 2, 0) < 0) {
            CHECK_INT(errno, ==, EAGAIN);
        }
    }
    close(fd);
}

unsigned count_for(unsigned percent, size_t bytes)
{
    return env.memory / bytes * percent / 100;
}

void check_memory_hog(unsigned percent)
{
    CHECK_INT(memory_hog_run(count_for(percent, MIB), 0), ==, 0);
}

void press_locked(const char *name, unsigned percent)
{
    long long before = stat_of(name);

    CHECK_INT(memory_hog_run_locked(count_for(percent, MIB), 0), ==, 0);
    CHECK_INT(stat_of(name), >, before);
}

bool is_blocked(int pid, int number)
{
    char path[64], text[64];
    int current;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
    file = fopen(path, "r");
    if (!file) {
        return false;
    }
    if (!fgets(text, sizeof(text), file)) {
        text[0] = '\0';
    }
    fclose(file);
    /* It is "running", or the number of a system call; -1 in a page fault. */
    return sscanf(text, "%d", &current) == 1 && current == number;
}

int wait_for(int pid)
{
    int status;

    CHECK_INT(waitpid(pid, &status, 0), ==, pid);
    return status;
}

static bool env_has_swap(void)
{
    char line[128];
    unsigned lines = 0;
    FILE *file = fopen("/proc/swaps", "r");

    while (file && fgets(line, sizeof(line), file)) {
        lines++;
    }
    if (file) {
        fclose(file);
    }
    return lines > 1;
}

static bool env_init_virtio(void)
{
    struct drm_virtgpu_getparam get = { .param = VIRTGPU_PARAM_3D_FEATURES };
    int gpu = gpu_open(), value = 0;

    get.value = (uintptr_t)&value;
    if (gpu < 0 ||
        drm_request(gpu, DRM_IOCTL_VIRTGPU_GETPARAM, &get) < 0) {
        return false;
    }
    env.is_3d = value;
    get.param = VIRTGPU_PARAM_MADVISE;
    if (drm_request(gpu, DRM_IOCTL_VIRTGPU_GETPARAM, &get) < 0) {
        return false;
    }
    env.has_feature = value & VIRTGPU_MADVISE_DEVICE;
    get.param = VIRTGPU_PARAM_RESOURCE_BLOB;
    value = 0;
    drm_request(gpu, DRM_IOCTL_VIRTGPU_GETPARAM, &get);
    env.has_blob = value;
    env.has_room = env.is_3d;
    env.export_pins = !env.is_3d;
    close(gpu);
    return true;
}

static bool env_init(void)
{
    const char *kernel = getenv("kernel"), *driver = getenv("driver");

    env.is_vgem = driver && !strcmp(driver, "vgem");
    if (env.is_vgem) {
        env.has_feature = env.has_room = true;
    }
    if (!bo_select_driver(env.is_vgem ? &bo_driver_vgem : &bo_driver_virtio) ||
        (!env.is_vgem && !env_init_virtio())) {
        return false;
    }
    env.has_swap = env_has_swap();
    /* There is no page cache to speak of: free memory is all there is. */
    env.memory = meminfo_of("MemFree");
    env.has_movable = system("grep -qx Movable "
                             "/sys/devices/system/memory/memory*/valid_zones "
                             "2>/dev/null") == 0;
    env.is_debug = kernel && !strcmp(kernel, "debug");
    return true;
}

static const char *missing(const TestCase *test)
{
    if ((test->needs & NEEDS_3D) && !env.is_3d) {
        return "needs 3D";
    }
    if ((test->needs & NEEDS_FEATURE) && !env.has_feature) {
        return "needs VIRTIO_GPU_F_RECLAIM";
    }
    if ((test->needs & NEEDS_ROOM) && !env.has_room) {
        return "needs a device without a memory limit";
    }
    if ((test->needs & NEEDS_SWAP) && !env.has_swap) {
        return "needs swap";
    }
    if ((test->needs & NEEDS_BLOB) && !env.has_blob) {
        return "needs blobs";
    }
    if ((test->needs & NEEDS_MOVABLE) && !env.has_movable) {
        return "needs a block of movable memory";
    }
    return NULL;
}

static void run_child(const TestCase *test)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "test");
    setpgid(0, 0);
    process_protect(0);
    test_bo_catch_faults();
    if (!(test->needs & NEEDS_NO_GPU)) {
        env.gpu = gpu_open();
        CHECK_INT(env.gpu, >=, 0);
    }
    test->run();
    _exit(EXIT_SUCCESS);
}

/* Returns the status as of waitpid(), or -1 if the case hangs. */
static int await_child(const char *name, pid_t pid)
{
    long most = CASE_SECONDS * 1000 * (env.is_debug ? DEBUG_SLOWER : 1);
    time_t reported = time(NULL);
    long waited;
    int status;

    for (waited = STEP_MS; waited < most; waited += STEP_MS) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            return status;
        }
        if (time(NULL) - reported >= ALIVE_SECONDS) {
            report("# %s: running", name);
            reported = time(NULL);
        }
        usleep(STEP_MS * 1000);
    }
    return -1;
}

/* Wait until the buffers of the case are freed, which is asynchronous. */
static bool is_clean(long long bytes)
{
    int waited;

    for (waited = 0; waited < WAIT_MS; waited += STEP_MS) {
        if (stat_of("bo_bytes") == bytes) {
            return true;
        }
        usleep(STEP_MS * 1000);
    }
    report("# there were %lld bytes of buffers before and %lld after", bytes,
           stat_of("bo_bytes"));
    return false;
}

static bool run_case(const TestCase *test)
{
    const char *lack = missing(test);
    long long bytes = stat_of("bo_bytes");
    bool ok, skipped;
    int status;
    pid_t pid;

    if (lack) {
        report("ok - %s # SKIP %s", test->name, lack);
        return true;
    }
    /* There are none while the driver is not loaded. */
    write_file(IDLE_MS, "0");
    write_file(ON_DEMAND, "1");
    memset(reason, 0, PAGE_BYTES);
    pid = fork();
    if (pid == 0) {
        run_child(test);
    }
    if (pid < 0) {
        return false;
    }
    status = await_child(test->name, pid);
    stall_end();
    kill(-pid, SIGKILL);        /* and its children */
    if (status == -1) {
        report("# timed out");
    } else if (WIFSIGNALED(status)) {
        report("# killed by signal %d", WTERMSIG(status));
    }
    skipped = WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP;
    ok = status == 0 || skipped;
    /* Whatever became of the case: the next one compares with what is left. */
    if (!(test->needs & CHANGES_DRIVER) && !is_clean(bytes)) {
        ok = false;
    }
    if (ok && skipped) {
        report("ok - %s # SKIP %s", test->name, reason);
    } else {
        report("%s - %s", ok ? "ok" : "not ok", test->name);
    }
    return true;
}

/* Whether its name begins with one of @prefixes, which commas separate. */
static bool has_prefix(const TestCase *test, const char *prefixes)
{
    size_t len = strcspn(prefixes, ",");

    return !strncmp(test->name, prefixes, len) ||
           (prefixes[len] && has_prefix(test, prefixes + len + 1));
}

/* Cases for another kernel or driver are not listed as skipped. */
static bool selected(const TestCase *test, unsigned needs, const char *prefixes)
{
    needs |= test->needs;
    return has_prefix(test, prefixes) &&
           (env.is_debug || !(needs & NEEDS_DEBUG)) &&
           !(needs & (env.is_vgem ? NEEDS_VIRTIO | NEEDS_3D | NEEDS_BLOB
                                  : NEEDS_VGEM));
}

bool tests_soak(unsigned seconds, unsigned seed)
{
    if (!env_init()) {
        return false;
    }
    process_protect(1);
    return soak_run(seconds, seed);
}

bool tests_run(const char *prefixes)
{
    const TestCase *test;
    unsigned count = 0;
    size_t i;

    reason = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (reason == MAP_FAILED || !env_init()) {
        return false;
    }
    process_protect(1);
    for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        for (test = groups[i].cases; test->name; test++) {
            count += selected(test, groups[i].needs, prefixes);
        }
    }
    report("# %zu MiB of memory", env.memory / MIB);
    report("1..%u", count);
    for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        for (test = groups[i].cases; test->name; test++) {
            if (selected(test, groups[i].needs, prefixes) && !run_case(test)) {
                return false;
            }
        }
    }
    return true;
}
