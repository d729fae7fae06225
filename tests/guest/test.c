/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "process.h"
#include "report.h"
#include "soak.h"
#include "stall.h"
#include "test.h"

/* Bounds that only a case that hangs meets. */
#define CASE_SECONDS    90
#define DEBUG_SLOWER    4
#define SETTLE_MS       3000
#define STEP_MS         10

/* What make_scarce() leaves, in bytes, and how much of that is not free. */
#define SCARCE          (16 * MIB)
#define SCARCE_IN_USE   (8 * MIB)

#define EXIT_SKIP 77

static const TestCase *const groups[] = {
    tests_madvise, tests_purge, tests_evict, tests_mapping, tests_shared,
    tests_display, tests_report, tests_queue, tests_host, tests_stall,
    tests_blob, tests_stress, tests_inject, tests_lifecycle, tests_kernel,
};

TestEnv env;

/* Why a case was skipped, told by its process to the one that started it. */
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

int drm_request(int fd, unsigned long request, void *arg)
{
    int ret;

    do {
        ret = ioctl(fd, request, arg);
    } while (ret < 0 && (errno == EINTR || errno == EAGAIN));
    return ret < 0 ? -errno : 0;
}

long long stat_of(const char *name)
{
    FILE *file = fopen(DEBUGFS "virtio-gpu-reclaim", "r");
    long long value, found = -1;
    char key[64];

    while (file && fscanf(file, "%63s %lld", key, &value) == 2) {
        if (!strcmp(key, name)) {
            found = value;
        }
    }
    if (file) {
        fclose(file);
    }
    return found;
}

long long shrink(unsigned long pages)
{
    FILE *file = fopen(DEBUGFS "virtio-gpu-shrink", "r+");
    long long got = -1;

    CHECK(file);
    CHECK(fprintf(file, "%lu\n", pages) > 0);
    CHECK(fflush(file) == 0);
    rewind(file);
    CHECK(fscanf(file, "%lld", &got) == 1);
    fclose(file);
    return got;
}

static bool all_shrunk(void)
{
    return stat_of("dontneed_bytes") == 0 &&
           stat_of("resident_bytes") == stat_of("pinned_bytes");
}

void shrink_all(void)
{
    int waited;

    for (waited = 0; waited < SETTLE_MS; waited += STEP_MS) {
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

/* There are no fences for transfers on a 2D device. */
static void wait_for_device(void)
{
    while (stat_of("queued") != 0) {
        usleep(1000);
    }
}

void make_from(int gpu, Held *held, uint32_t index, size_t bytes, BoKind kind)
{
    *held = (Held) { .index = index };
    CHECK_INT(bo_create(gpu, kind, bytes, &held->bo), ==, 0);
    held_fill(held, 0);
    CHECK_INT(bo_upload(gpu, &held->bo), ==, 0);
    CHECK_INT(bo_wait(gpu, &held->bo), ==, 0);
    if (!env.is_3d) {
        wait_for_device();
    }
}

static BoKind kind_for(uint32_t index)
{
    return env.is_3d && index % 2 ? BO_BUFFER : BO_TEXTURE;
}

void make(Held *held, size_t bytes)
{
    static uint32_t next;

    make_from(env.gpu, held, next, bytes, kind_for(next));
    next++;
}

void *map_anew(const Held *held, size_t bytes, int protection, int flags)
{
    struct drm_virtgpu_map map = { .handle = held->bo.handle };

    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_VIRTGPU_MAP, &map), ==, 0);
    return mmap(NULL, bytes, protection, flags, env.gpu, map.offset);
}

void drop(Held *held)
{
    struct drm_gem_close close = { .handle = held->bo.handle };

    CHECK_INT(munmap(held->bo.map, held->bo.bytes), ==, 0);
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_GEM_CLOSE, &close), ==, 0);
}

Held *make_many(unsigned count, size_t bytes)
{
    Held *held = calloc(count, sizeof(*held));
    unsigned i;

    CHECK(held);
    for (i = 0; i < count; i++) {
        make(&held[i], bytes);
    }
    return held;
}

void drop_many(Held *held, unsigned count)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        drop(&held[i]);
    }
    free(held);
}

int advise_as(int gpu, const Held *held, uint32_t madv)
{
    bool retained;

    return bo_madvise(gpu, &held->bo, madv, &retained);
}

void mark(const Held *held)
{
    bool retained;

    CHECK_INT(bo_madvise(env.gpu, &held->bo, VIRTGPU_MADV_DONTNEED, &retained),
              ==, 0);
}

bool ask_back(const Held *held)
{
    bool retained;

    CHECK_INT(bo_madvise(env.gpu, &held->bo, VIRTGPU_MADV_WILLNEED, &retained),
              ==, 0);
    return retained;
}

static unsigned long pages_of(const Held *held)
{
    return held->bo.bytes / PAGE_BYTES;
}

void check_intact(const Held *held)
{
    Tally tally = { 0 };

    held_check(held, &tally);
    CHECK_INT(tally.good, ==, pages_of(held));
}

void check_host(const Held *held)
{
    Tally tally = { 0 };

    if (!env.is_3d) {
        return;     /* there is no reading back on a 2D device */
    }
    /* It overwrites the pages: they must be uploaded by then. */
    CHECK_INT(bo_wait(env.gpu, &held->bo), ==, 0);
    CHECK_INT(held_check_host(held, env.gpu, &tally), ==, 0);
    CHECK_INT(tally.good, ==, pages_of(held));
}

void check_upload(const Held *held)
{
    CHECK_INT(bo_upload(env.gpu, &held->bo), ==, 0);
    check_intact(held);
    check_host(held);
}

void check_zero(const Held *held)
{
    Tally tally = { 0 };

    held_check(held, &tally);
    CHECK_INT(tally.zero, ==, pages_of(held));
}

void check_faults(const Held *held)
{
    Tally tally = { 0 };

    held_check(held, &tally);
    CHECK_INT(tally.fault, ==, pages_of(held));
}

void check_truth(const Held *held, bool retained)
{
    if (retained) {
        check_intact(held);
        check_host(held);
    } else {
        check_zero(held);
    }
}

int rounds(int count)
{
    return env.is_debug ? (count + DEBUG_SLOWER - 1) / DEBUG_SLOWER : count;
}

long long meminfo_of(const char *name)
{
    FILE *file = fopen("/proc/meminfo", "r");
    long long kib, found = -1;
    char line[128], key[64];

    CHECK(file);
    while (fgets(line, sizeof(line), file)) {
        if (sscanf(line, "%63[^:]: %lld", key, &kib) == 2 &&
            !strcmp(key, name)) {
            found = kib * KIB;
        }
    }
    fclose(file);
    return found;
}

void make_scarce(void)
{
    size_t have = meminfo_of("MemFree") + SCARCE_IN_USE;

    if (env.is_debug && have > SCARCE) {
        CHECK(mmap(NULL, have - SCARCE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) !=
              MAP_FAILED);
        env.memory = SCARCE;
    }
}

unsigned count_for(unsigned percent, size_t bytes)
{
    return env.memory / bytes * percent / 100;
}

void check_app(unsigned percent)
{
    CHECK_INT(app_run(count_for(percent, MIB), 0), ==, 0);
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

static bool env_init(void)
{
    struct drm_virtgpu_getparam get = { .param = VIRTGPU_PARAM_3D_FEATURES };
    const char *kernel = getenv("kernel");
    int value = 0;

    env.gpu = gpu_open();
    get.value = (uintptr_t)&value;
    if (env.gpu < 0 ||
        drm_request(env.gpu, DRM_IOCTL_VIRTGPU_GETPARAM, &get) < 0) {
        return false;
    }
    env.is_3d = value;
    get.param = VIRTGPU_PARAM_RECLAIM;
    if (drm_request(env.gpu, DRM_IOCTL_VIRTGPU_GETPARAM, &get) < 0) {
        return false;
    }
    env.has_feature = value & VIRTGPU_RECLAIM_DEVICE;
    env.has_swap = env_has_swap();
    get.param = VIRTGPU_PARAM_RESOURCE_BLOB;
    value = 0;
    drm_request(env.gpu, DRM_IOCTL_VIRTGPU_GETPARAM, &get);
    env.has_blob = value;
    /* There are no files to speak of: what is not free is not to be had. */
    env.memory = meminfo_of("MemFree");
    env.is_debug = kernel && !strcmp(kernel, "debug");
    close(env.gpu);
    return true;
}

static const char *lacks(const TestCase *test)
{
    if ((test->needs & NEEDS_3D) && !env.is_3d) {
        return "needs 3D";
    }
    if ((test->needs & NEEDS_FEATURE) && !env.has_feature) {
        return "needs a device that can purge";
    }
    if ((test->needs & NEEDS_SWAP) && !env.has_swap) {
        return "needs swap";
    }
    if ((test->needs & NEEDS_BLOB) && !env.has_blob) {
        return "needs blobs";
    }
    return NULL;
}

static void run_child(const TestCase *test)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "test");
    setpgid(0, 0);
    process_protect(0);
    held_catch_faults();
    if (!(test->needs & NEEDS_NO_GPU)) {
        env.gpu = gpu_open();
        CHECK_INT(env.gpu, >=, 0);
    }
    test->run();
    _exit(EXIT_SUCCESS);
}

/* Returns the status as of waitpid(), or -1 if the case hangs. */
static int await_child(pid_t pid)
{
    long most = CASE_SECONDS * 1000 * (env.is_debug ? DEBUG_SLOWER : 1);
    long waited;
    int status;

    for (waited = 0; waited < most; waited += STEP_MS) {
        if (waitpid(pid, &status, WNOHANG) == pid) {
            return status;
        }
        usleep(STEP_MS * 1000);
    }
    return -1;
}

/* What the case had is gone: its buffers are freed, some a moment later. */
static bool is_clean(long long bytes)
{
    int waited;

    for (waited = 0; waited < SETTLE_MS; waited += STEP_MS) {
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
    const char *lack = lacks(test);
    long long bytes = stat_of("bo_bytes");
    int status;
    pid_t pid;

    if (lack) {
        report("ok - %s # SKIP %s", test->name, lack);
        return true;
    }
    memset(reason, 0, PAGE_BYTES);
    pid = fork();
    if (pid == 0) {
        run_child(test);
    }
    if (pid < 0) {
        return false;
    }
    status = await_child(pid);
    stall_end();
    kill(-pid, SIGKILL);        /* and whatever it left behind */
    if (status == -1) {
        report("# it hangs");
    } else if (WIFSIGNALED(status)) {
        report("# ended by signal %d", WTERMSIG(status));
    } else if (WEXITSTATUS(status) == EXIT_SKIP) {
        report("ok - %s # SKIP %s", test->name, reason);
        return true;
    }
    if (status == 0 && !(test->needs & LEAVES_OTHER) && !is_clean(bytes)) {
        status = -1;
    }
    report("%s - %s", status == 0 ? "ok" : "not ok", test->name);
    return true;
}

static bool chosen(const TestCase *test, const char *prefix)
{
    /* What a kernel cannot do is not a test of it that is skipped. */
    return !strncmp(test->name, prefix, strlen(prefix)) &&
           (env.is_debug || !(test->needs & NEEDS_DEBUG));
}

bool tests_soak(unsigned seconds, unsigned seed)
{
    if (!env_init()) {
        return false;
    }
    process_protect(1);
    return soak_run(seconds, seed);
}

bool tests_run(const char *prefix)
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
        for (test = groups[i]; test->name; test++) {
            count += chosen(test, prefix);
        }
    }
    report("# %zu MiB of memory", env.memory / MIB);
    report("1..%u", count);
    for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        for (test = groups[i]; test->name; test++) {
            if (chosen(test, prefix) && !run_case(test)) {
                return false;
            }
        }
    }
    return true;
}
