/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Parameters, statistics and tracepoints of the driver.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "stall.h"
#include "test.h"
#include "trace.h"

#define BYTES (256 * KIB)
#define PAGES (BYTES / PAGE_BYTES)

static int get_param(uint64_t param, int *value)
{
    struct drm_virtgpu_getparam get = {
        .param = param, .value = (uintptr_t)value,
    };

    return drm_request(env.gpu, DRM_IOCTL_VIRTGPU_GETPARAM, &get);
}

/* The value of @key in fdinfo of the GPU; false if there is none. */
static bool fdinfo_text(const char *key, char *value, size_t size)
{
    char path[64], line[128];
    size_t len = strlen(key);
    bool found = false;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", env.gpu);
    file = fopen(path, "r");
    CHECK(file);
    while (fgets(line, sizeof(line), file)) {
        if (!strncmp(line, key, len) && line[len] == ':') {
            line[strcspn(line, "\n")] = '\0';
            snprintf(value, size, "%s",
                     line + len + 1 + strspn(line + len + 1, "\t "));
            found = true;
        }
    }
    fclose(file);
    return found;
}

/* The same as a number, in bytes if it has a unit; -1 if there is none. */
long long fdinfo_of(const char *key)
{
    char text[128];
    long long value;

    if (!fdinfo_text(key, text, sizeof(text))) {
        return -1;
    }
    CHECK_INT(sscanf(text, "%lld", &value), ==, 1);
    return value * (strstr(text, " KiB") ? KIB : 1);
}

static void test_getparam(void)
{
    int value = -1;

    CHECK_INT(get_param(VIRTGPU_PARAM_MADVISE, &value), ==, 0);
    CHECK(value & VIRTGPU_MADVISE_SUPPORTED);
    CHECK_INT(value & ~(VIRTGPU_MADVISE_SUPPORTED | VIRTGPU_MADVISE_DEVICE), ==,
              0);
    CHECK_INT(get_param(VIRTGPU_PARAM_MADVISE + 1, &value), ==, -EINVAL);
    CHECK_INT(get_param(VIRTGPU_PARAM_MADVISE | 1ull << 32, &value), ==,
              -EINVAL);
}

static void test_fdinfo(void)
{
    enum { COUNT = 4 };
    TestBo *tbo = make_many(COUNT, BYTES);

    CHECK_INT(fdinfo_of("drm-total-memory"), ==, COUNT * BYTES);
    CHECK_INT(fdinfo_of("drm-total-host"), ==, 0);
    CHECK_INT(fdinfo_of("drm-resident-memory"), ==, COUNT * BYTES);
    CHECK_INT(fdinfo_of("drm-shared-memory"), ==, 0);
    CHECK_INT(fdinfo_of("drm-purgeable-memory"), ==, 0);
    CHECK_INT(fdinfo_of("drm-active-memory"), ==, 0);
    CHECK_INT(fdinfo_of("virtio_gpu-evicted-memory"), ==, 0);

    dontneed(&tbo[0]);
    CHECK_INT(fdinfo_of("drm-purgeable-memory"), ==, BYTES);
    shrink_all();
    CHECK_INT(fdinfo_of("drm-total-memory"), ==, COUNT * BYTES);
    CHECK_INT(fdinfo_of("drm-resident-memory"), ==, 0);
    CHECK_INT(fdinfo_of("drm-purgeable-memory"), ==, 0);
    CHECK_INT(fdinfo_of("virtio_gpu-evicted-memory"), ==, (COUNT - 1) * BYTES);

    check_intact(&tbo[1]);
    CHECK_INT(fdinfo_of("drm-resident-memory"), ==, BYTES);
    release_many(tbo, COUNT);
    CHECK_INT(fdinfo_of("drm-total-memory"), ==, 0);
}

static void test_fdinfo_per_client(void)
{
    int other = gpu_open(), mine = env.gpu;
    long long id;
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(fdinfo_of("drm-total-memory"), ==, BYTES);
    id = fdinfo_of("drm-client-id");
    CHECK_INT(id, >, 0);
    env.gpu = other;
    CHECK_INT(fdinfo_of("drm-total-memory"), ==, 0);
    CHECK_INT(fdinfo_of("drm-client-id"), >, 0);
    CHECK_INT(fdinfo_of("drm-client-id"), !=, id);
    /* A duplicated file is the same client. */
    env.gpu = dup(mine);
    CHECK_INT(fdinfo_of("drm-client-id"), ==, id);
}

static void test_fdinfo_device(void)
{
    char text[128], device[PATH_MAX];

    CHECK(fdinfo_text("drm-driver", text, sizeof(text)));
    CHECK(!strcmp(text, "virtio_gpu"));
    CHECK(realpath("/sys/class/drm/card0/device", device));
    CHECK(fdinfo_text("drm-pdev", text, sizeof(text)));
    CHECK(!strcmp(text, strrchr(device, '/') + 1));
}

static void test_fdinfo_active(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    stall();
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(fdinfo_of("drm-active-memory"), ==, BYTES);
    stall_end();
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(fdinfo_of("drm-active-memory"), ==, 0);
}

static void test_fdinfo_shared(void)
{
    struct drm_prime_handle prime = { .flags = O_CLOEXEC };
    TestBo tbo, other;

    make(&tbo, BYTES);
    make(&other, BYTES);
    prime.handle = tbo.bo.handle;
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), ==,
              0);
    CHECK_INT(fdinfo_of("drm-shared-memory"), ==, BYTES);
    CHECK_INT(fdinfo_of("drm-total-memory"), ==, 2 * BYTES);
}

/* Objects in a state, relative to the start of the case. */
typedef struct Share {
    const char *state;
    int count;
    long long objects, bytes;
} Share;

static void check_shares(Share *shares, bool check)
{
    char name[64];

    for (; shares->state; shares++) {
        long long objects, bytes;

        snprintf(name, sizeof(name), "%s_objects", shares->state);
        objects = stat_of(name);
        snprintf(name, sizeof(name), "%s_bytes", shares->state);
        bytes = stat_of(name);
        CHECK_INT(objects, >=, 0);
        if (check) {
            CHECK_INT(objects, ==, shares->objects + shares->count);
            CHECK_INT(bytes, ==,
                      shares->bytes + (long long)shares->count * BYTES);
        }
        shares->objects = objects;
        shares->bytes = bytes;
    }
}

static void test_states_add_up(void)
{
    enum { COUNT = 8 };
    struct drm_prime_handle prime = { .flags = O_CLOEXEC };
    Share shares[] = {
        { .state = "bo", .count = COUNT },
        { .state = "dontneed", .count = 1 },
        { .state = "willneed", .count = 1 },
        { .state = "pinned", .count = env.export_pins },
        { .state = "unpopulated", .count = 1 },
        { .state = "unbacked", .count = 0 },
        { .state = "evicted", .count = 3 + !env.export_pins },
        { .state = "purged", .count = 1 },
        { .state = NULL },
    };
    long long pinned = stat_of("pinned_bytes");
    TestBo *tbo;

    check_shares(shares, false);
    tbo = make_many(COUNT, BYTES);
    dontneed(&tbo[0]);
    dontneed(&tbo[1]);
    shrink_all();
    CHECK(!willneed(&tbo[1]));
    check_intact(&tbo[2]);
    dontneed(&tbo[3]);
    prime.handle = tbo[4].bo.handle;
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), ==,
              0);
    check_shares(shares, true);
    CHECK_INT(stat_of("resident_bytes"), ==,
              pinned + (1 + env.export_pins) * BYTES);
    release_many(tbo, COUNT);
}

static void test_willneed_counters(void)
{
    long long retained = stat_of("willneed_retained");
    long long purged = stat_of("willneed_purged");
    TestBo tbo;

    make(&tbo, BYTES);
    dontneed(&tbo);
    CHECK(willneed(&tbo));
    dontneed(&tbo);
    shrink_all();
    CHECK(!willneed(&tbo));
    CHECK(willneed(&tbo));
    CHECK_INT(stat_of("willneed_retained"), ==, retained + 2);
    CHECK_INT(stat_of("willneed_purged"), ==, purged + 1);
}

static void test_shrink_nothing(void)
{
    shrink_all();
    CHECK_INT(shrink(1000), ==, 0);
}

static void test_shrink_returns_pages(void)
{
    TestBo *tbo = make_many(4, BYTES);

    check_shrink(1, PAGES);
    check_shrink(PAGES + 1, 2 * PAGES);
    check_shrink(1000, PAGES);
    CHECK_INT(shrink(1000), ==, 0);
    release_many(tbo, 4);
}

static void test_tracepoints(void)
{
    TestBo *tbo = make_many(3, BYTES);

    trace_start(TRACE_RECLAIM);
    dontneed(&tbo[0]);
    shrink_all();
    check_intact(&tbo[1]);
    /* A scan is skipped for a second after a late response. */
    do {
        drop_caches();
    } while (env.has_swap && !traced(TRACE_RECLAIM, "scan"));
    trace_stop(TRACE_RECLAIM);
    CHECK_INT(traced(TRACE_RECLAIM, "purge"), ==, 1);
    CHECK_INT(traced(TRACE_RECLAIM, "evict"), >=, 2);
    CHECK_INT(traced(TRACE_RECLAIM, "restore"), ==, 1);
    CHECK_INT(traced(TRACE_RECLAIM, "count"), >=, 1);
    release_many(tbo, 3);
}

const TestCase tests_report[] = {
    { "report/tracepoints", test_tracepoints, 0 },
    { "report/getparam", test_getparam, NEEDS_VIRTIO },
    { "report/fdinfo", test_fdinfo, NEEDS_VIRTIO },
    { "report/fdinfo-per-client", test_fdinfo_per_client, NEEDS_VIRTIO },
    { "report/fdinfo-device", test_fdinfo_device, NEEDS_VIRTIO },
    { "report/fdinfo-active", test_fdinfo_active, NEEDS_3D },
    { "report/fdinfo-shared", test_fdinfo_shared, NEEDS_VIRTIO },
    { "report/states-add-up", test_states_add_up, 0 },
    { "report/willneed-counters", test_willneed_counters, 0 },
    { "report/shrink-nothing", test_shrink_nothing, 0 },
    { "report/shrink-returns-pages", test_shrink_returns_pages, 0 },
    { NULL, NULL, 0 },
};
