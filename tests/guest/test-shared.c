/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Buffers that others rely on by way of a dma-buf are never touched.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "test.h"

#define BYTES (256 * KIB)

static int export_of(int gpu, const Held *held)
{
    struct drm_prime_handle prime = {
        .handle = held->bo.handle, .flags = O_RDWR | O_CLOEXEC,
    };
    int ret = drm_request(gpu, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime);

    return ret < 0 ? ret : prime.fd;
}

static uint32_t import_to(int gpu, int fd)
{
    struct drm_prime_handle prime = { .fd = fd };

    CHECK_INT(drm_request(gpu, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime), ==, 0);
    return prime.handle;
}

static void test_export_refuses(void)
{
    Held held;
    int fd;

    make(&held, BYTES);
    fd = export_of(env.gpu, &held);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(advise_as(env.gpu, &held, VIRTGPU_MADV_DONTNEED), ==, -EBUSY);
    CHECK_INT(advise_as(env.gpu, &held, VIRTGPU_MADV_WILLNEED), ==, 0);
    close(fd);
    /* Somebody may have it still: there is no telling. */
    CHECK_INT(advise_as(env.gpu, &held, VIRTGPU_MADV_DONTNEED), ==, -EBUSY);
}

static void test_export_stays(void)
{
    long long evictions, purges;
    Held held, through;
    int fd;

    make(&held, BYTES);
    fd = export_of(env.gpu, &held);
    CHECK_INT(fd, >=, 0);
    through = held;
    through.bo.map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                          0);
    CHECK(through.bo.map != MAP_FAILED);
    evictions = stat_of("evictions");
    purges = stat_of("purges");
    held_fill(&through, 5);
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions);
    CHECK_INT(stat_of("purges"), ==, purges);
    held.generation = held.rewritten = 5;
    check_intact(&held);
    check_intact(&through);
}

static void test_export_of_marked(void)
{
    Held held;

    make(&held, BYTES);
    mark(&held);
    CHECK_INT(export_of(env.gpu, &held), >=, 0);
    shrink_all();
    CHECK(ask_back(&held));
    check_intact(&held);
    check_host(&held);
}

static void test_export_of_purged(void)
{
    Held held;

    make(&held, BYTES);
    mark(&held);
    shrink_all();
    CHECK_INT(export_of(env.gpu, &held), ==, -ENODATA);
    CHECK(!ask_back(&held));
    CHECK_INT(export_of(env.gpu, &held), >=, 0);
    check_zero(&held);
}

static void test_export_of_evicted(void)
{
    Held held, through;
    int fd;

    make(&held, BYTES);
    shrink_all();
    fd = export_of(env.gpu, &held);
    CHECK_INT(fd, >=, 0);
    through = held;
    through.bo.map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                          0);
    CHECK(through.bo.map != MAP_FAILED);
    shrink_all();
    check_intact(&through);
    check_host(&held);
}

static void test_import_refuses(void)
{
    Held held, imported;
    int other = gpu_open();

    make(&held, BYTES);
    imported = held;
    imported.bo.handle = import_to(other, export_of(env.gpu, &held));
    CHECK_INT(advise_as(other, &imported, VIRTGPU_MADV_DONTNEED), ==, -EBUSY);
    CHECK_INT(advise_as(other, &imported, VIRTGPU_MADV_WILLNEED), ==, 0);
}

static void test_import_stays(void)
{
    Held held, imported;
    struct drm_virtgpu_map map = { 0 };
    int other = gpu_open(), fd;

    make(&held, BYTES);
    fd = export_of(env.gpu, &held);
    imported = held;
    imported.bo.handle = import_to(other, fd);
    close(fd);
    drop(&held);
    shrink_all();
    close(env.gpu);
    env.gpu = other;
    map.handle = imported.bo.handle;
    CHECK_INT(drm_request(other, DRM_IOCTL_VIRTGPU_MAP, &map), ==, 0);
    imported.bo.map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
                           other, map.offset);
    CHECK(imported.bo.map != MAP_FAILED);
    check_intact(&imported);
    check_host(&imported);
}

const TestCase tests_shared[] = {
    { "shared/export-refuses", test_export_refuses, 0 },
    { "shared/export-stays", test_export_stays, 0 },
    { "shared/export-of-marked", test_export_of_marked, 0 },
    { "shared/export-of-purged", test_export_of_purged, 0 },
    { "shared/export-of-evicted", test_export_of_evicted, 0 },
    { "shared/import-refuses", test_import_refuses, 0 },
    { "shared/import-stays", test_import_stays, 0 },
    { NULL, NULL, 0 },
};
