/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exported buffers are neither evicted nor purged.
 */

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "test.h"

#define BYTES (256 * KIB)

static int export_of(int gpu, const TestBo *tbo)
{
    struct drm_prime_handle prime = {
        .handle = tbo->bo.handle, .flags = O_RDWR | O_CLOEXEC,
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

static void test_dontneed_ebusy(void)
{
    TestBo tbo;
    int fd;

    make(&tbo, BYTES);
    fd = export_of(env.gpu, &tbo);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(madvise_as(env.gpu, &tbo, VIRTGPU_MADV_DONTNEED), ==, -EBUSY);
    CHECK_INT(madvise_as(env.gpu, &tbo, VIRTGPU_MADV_WILLNEED), ==, 0);
    close(fd);
    /* An importer may still use it. */
    CHECK_INT(madvise_as(env.gpu, &tbo, VIRTGPU_MADV_DONTNEED), ==, -EBUSY);
}

static void test_exported_stays_resident(void)
{
    long long evictions, purges;
    TestBo tbo, through;
    int fd;

    make(&tbo, BYTES);
    fd = export_of(env.gpu, &tbo);
    CHECK_INT(fd, >=, 0);
    through = tbo;
    through.bo.map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                          0);
    CHECK(through.bo.map != MAP_FAILED);
    evictions = stat_of("evictions");
    purges = stat_of("purges");
    test_bo_fill(&through, 5);
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions);
    CHECK_INT(stat_of("purges"), ==, purges);
    tbo.generation = tbo.rewritten = 5;
    check_intact(&tbo);
    check_intact(&through);
}

static void test_dontneed_is_retained(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    dontneed(&tbo);
    CHECK_INT(export_of(env.gpu, &tbo), >=, 0);
    shrink_all();
    CHECK(willneed(&tbo));
    check_intact(&tbo);
    check_host(&tbo);
}

/* An export that fails, here for want of a descriptor, leaves no pin. */
static void test_failed_is_not_pinned(void)
{
    struct rlimit limit, none = { 0, 0 };
    int fd;
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    none.rlim_max = limit.rlim_max;
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), ==, 0);
    fd = export_of(env.gpu, &tbo);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    CHECK_INT(fd, ==, -EMFILE);
    shrink_all();
    CHECK_INT(stat_of("evicted_bytes"), ==, BYTES);
    dontneed(&tbo);
    CHECK(willneed(&tbo));
    check_intact(&tbo);

    fd = export_of(env.gpu, &tbo);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(madvise_as(env.gpu, &tbo, VIRTGPU_MADV_DONTNEED), ==, -EBUSY);
}

static void test_purged_enodata(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    dontneed(&tbo);
    shrink_all();
    CHECK_INT(export_of(env.gpu, &tbo), ==, -ENODATA);
    CHECK(!willneed(&tbo));
    CHECK_INT(export_of(env.gpu, &tbo), >=, 0);
    check_zero(&tbo);
}

static void test_evicted_swaps_in(void)
{
    TestBo tbo, through;
    int fd;

    make(&tbo, BYTES);
    shrink_all();
    fd = export_of(env.gpu, &tbo);
    CHECK_INT(fd, >=, 0);
    through = tbo;
    through.bo.map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                          0);
    CHECK(through.bo.map != MAP_FAILED);
    shrink_all();
    check_intact(&through);
    check_host(&tbo);
}

static void test_imported_dontneed_ebusy(void)
{
    TestBo tbo, imported;
    int other = gpu_open();

    make(&tbo, BYTES);
    imported = tbo;
    imported.bo.handle = import_to(other, export_of(env.gpu, &tbo));
    CHECK_INT(madvise_as(other, &imported, VIRTGPU_MADV_DONTNEED), ==, -EBUSY);
    CHECK_INT(madvise_as(other, &imported, VIRTGPU_MADV_WILLNEED), ==, 0);
}

static void test_imported_stays_resident(void)
{
    TestBo tbo, imported;
    struct drm_virtgpu_map map = { 0 };
    int other = gpu_open(), fd;

    make(&tbo, BYTES);
    fd = export_of(env.gpu, &tbo);
    imported = tbo;
    imported.bo.handle = import_to(other, fd);
    close(fd);
    release(&tbo);
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

const TestCase tests_export[] = {
    { "export/dontneed-ebusy", test_dontneed_ebusy, 0 },
    { "export/exported-stays-resident", test_exported_stays_resident, 0 },
    { "export/dontneed-is-retained", test_dontneed_is_retained, 0 },
    { "export/failed-is-not-pinned", test_failed_is_not_pinned, 0 },
    { "export/purged-enodata", test_purged_enodata, 0 },
    { "export/evicted-swaps-in", test_evicted_swaps_in, 0 },
    { "export/imported-dontneed-ebusy", test_imported_dontneed_ebusy, 0 },
    { "export/imported-stays-resident", test_imported_stays_resident, 0 },
    { NULL, NULL, 0 },
};
