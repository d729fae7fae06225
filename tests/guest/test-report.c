/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the driver tells of itself: parameters, statistics, trace points.
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

/* What fdinfo of the GPU says after @key; false if it has no such line. */
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

/* The same as a number, of bytes if it has a unit; -1 if there is none. */
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

    CHECK_INT(get_param(VIRTGPU_PARAM_RECLAIM, &value), ==, 0);
    CHECK(value & VIRTGPU_RECLAIM_MADVISE);
    CHECK_INT(value & ~(VIRTGPU_RECLAIM_MADVISE | VIRTGPU_RECLAIM_DEVICE), ==,
              0);
    CHECK_INT(get_param(VIRTGPU_PARAM_RECLAIM + 1, &value), ==, -EINVAL);
    CHECK_INT(get_param(VIRTGPU_PARAM_RECLAIM | 1ull << 32, &value), ==,
              -EINVAL);
}

static void test_fdinfo(void)
{
    enum { COUNT = 4 };
    Held *held = make_many(COUNT, BYTES);

    CHECK_INT(fdinfo_of("drm-total-memory"), ==, COUNT * BYTES);
    CHECK_INT(fdinfo_of("drm-total-host"), ==, 0);
    CHECK_INT(fdinfo_of("drm-resident-memory"), ==, COUNT * BYTES);
    CHECK_INT(fdinfo_of("drm-shared-memory"), ==, 0);
    CHECK_INT(fdinfo_of("drm-purgeable-memory"), ==, 0);
    CHECK_INT(fdinfo_of("drm-active-memory"), ==, 0);
    CHECK_INT(fdinfo_of("virtio_gpu-evicted-memory"), ==, 0);

    mark(&held[0]);
    CHECK_INT(fdinfo_of("drm-purgeable-memory"), ==, BYTES);
    shrink_all();
    CHECK_INT(fdinfo_of("drm-total-memory"), ==, COUNT * BYTES);
    CHECK_INT(fdinfo_of("drm-resident-memory"), ==, 0);
    CHECK_INT(fdinfo_of("drm-purgeable-memory"), ==, 0);
    CHECK_INT(fdinfo_of("virtio_gpu-evicted-memory"), ==, (COUNT - 1) * BYTES);

    check_intact(&held[1]);
    CHECK_INT(fdinfo_of("drm-resident-memory"), ==, BYTES);
    drop_many(held, COUNT);
    CHECK_INT(fdinfo_of("drm-total-memory"), ==, 0);
}

static void test_fdinfo_is_the_clients(void)
{
    int other = gpu_open(), mine = env.gpu;
    long long id;
    Held held;

    make(&held, BYTES);
    CHECK_INT(fdinfo_of("drm-total-memory"), ==, BYTES);
    id = fdinfo_of("drm-client-id");
    CHECK_INT(id, >, 0);
    env.gpu = other;
    CHECK_INT(fdinfo_of("drm-total-memory"), ==, 0);
    CHECK_INT(fdinfo_of("drm-client-id"), >, 0);
    CHECK_INT(fdinfo_of("drm-client-id"), !=, id);
    /* One that is there twice is one client. */
    env.gpu = dup(mine);
    CHECK_INT(fdinfo_of("drm-client-id"), ==, id);
}

static void test_fdinfo_of_device(void)
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
    Held held;

    make(&held, BYTES);
    stall();
    CHECK_INT(bo_upload(env.gpu, &held.bo), ==, 0);
    CHECK_INT(fdinfo_of("drm-active-memory"), ==, BYTES);
    stall_end();
    CHECK_INT(bo_wait(env.gpu, &held.bo), ==, 0);
    CHECK_INT(fdinfo_of("drm-active-memory"), ==, 0);
}

static void test_fdinfo_shared(void)
{
    struct drm_prime_handle prime = { .flags = O_CLOEXEC };
    Held held, other;

    make(&held, BYTES);
    make(&other, BYTES);
    prime.handle = held.bo.handle;
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), ==,
              0);
    CHECK_INT(fdinfo_of("drm-shared-memory"), ==, BYTES);
    CHECK_INT(fdinfo_of("drm-total-memory"), ==, 2 * BYTES);
}

/* What the driver holds in a state now and did in the beginning. */
typedef struct Share {
    const char *state;
    int count;
    long long objects, bytes;
} Share;

static void look_at_shares(Share *shares, bool check)
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
        { .state = "pinned", .count = 1 },
        { .state = "empty", .count = 1 },
        { .state = "evicted", .count = 3 },
        { .state = "purged", .count = 1 },
        { .state = NULL },
    };
    long long pinned = stat_of("pinned_bytes");
    Held *held;

    look_at_shares(shares, false);
    held = make_many(COUNT, BYTES);
    mark(&held[0]);
    mark(&held[1]);
    shrink_all();
    CHECK(!ask_back(&held[1]));
    check_intact(&held[2]);
    mark(&held[3]);
    prime.handle = held[4].bo.handle;
    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime), ==,
              0);
    look_at_shares(shares, true);
    CHECK_INT(stat_of("resident_bytes"), ==, pinned + 2 * BYTES);
    drop_many(held, COUNT);
}

static void test_answers(void)
{
    long long retained = stat_of("retained_answers");
    long long purged = stat_of("purged_answers");
    Held held;

    make(&held, BYTES);
    mark(&held);
    CHECK(ask_back(&held));
    mark(&held);
    shrink_all();
    CHECK(!ask_back(&held));
    CHECK(ask_back(&held));
    CHECK_INT(stat_of("retained_answers"), ==, retained + 2);
    CHECK_INT(stat_of("purged_answers"), ==, purged + 1);
}

static void test_shrink_with_nothing(void)
{
    shrink_all();
    CHECK_INT(shrink(1000), ==, 0);
}

static void test_shrink_tells(void)
{
    Held *held = make_many(4, BYTES);

    CHECK_INT(shrink(1), ==, PAGES);
    CHECK_INT(shrink(PAGES + 1), ==, 2 * PAGES);
    CHECK_INT(shrink(1000), ==, PAGES);
    CHECK_INT(shrink(1000), ==, 0);
    drop_many(held, 4);
}

static void test_trace(void)
{
    Held *held = make_many(3, BYTES);

    trace_start(TRACE_RECLAIM);
    mark(&held[0]);
    shrink_all();
    check_intact(&held[1]);
    drop_caches();
    trace_stop(TRACE_RECLAIM);
    CHECK_INT(traced(TRACE_RECLAIM, "purge"), ==, 1);
    CHECK_INT(traced(TRACE_RECLAIM, "evict"), >=, 2);
    CHECK_INT(traced(TRACE_RECLAIM, "restore"), ==, 1);
    CHECK_INT(traced(TRACE_RECLAIM, "count"), >=, 1);
    CHECK_INT(traced(TRACE_RECLAIM, "scan"), >=, env.has_swap);
    drop_many(held, 3);
}

const TestCase tests_report[] = {
    { "report/trace", test_trace, 0 },
    { "report/getparam", test_getparam, 0 },
    { "report/fdinfo", test_fdinfo, 0 },
    { "report/fdinfo-is-the-clients", test_fdinfo_is_the_clients, 0 },
    { "report/fdinfo-of-device", test_fdinfo_of_device, 0 },
    { "report/fdinfo-active", test_fdinfo_active, NEEDS_3D },
    { "report/fdinfo-shared", test_fdinfo_shared, 0 },
    { "report/states-add-up", test_states_add_up, 0 },
    { "report/answers", test_answers, 0 },
    { "report/shrink-with-nothing", test_shrink_with_nothing, 0 },
    { "report/shrink-tells", test_shrink_tells, 0 },
    { NULL, NULL, 0 },
};
