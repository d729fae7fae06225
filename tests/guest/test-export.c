/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exported buffers are never purged. They are pinned while a device is attached
 * to the dma-buf; on 2D devices, which use the pages as the image, for life.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "test.h"

#define BYTES (256 * KIB)

/* A bound that only a hang exceeds. */
#define VGEM_MS 60000

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

/* Bytes of exported buffers that reclaim evicts. */
static long long evictable(long long bytes)
{
    return env.export_pins ? 0 : bytes;
}

/* The same buffer, mapped through its dma-buf. */
static TestBo map_dmabuf(const TestBo *tbo, int fd)
{
    TestBo through = *tbo;

    through.bo.map = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                          0);
    CHECK(through.bo.map != MAP_FAILED);
    return through;
}

/*
 * Mappings of the dma-buf are cleared by eviction like those of the device, and
 * populate the buffer again: they never show freed pages.
 */
static void test_mapping_of_dmabuf(void)
{
    long long evictions, purges, pinned, refaults;
    TestBo tbo, through;
    uint8_t *part;
    int fd;

    make(&tbo, BYTES);
    pinned = stat_of("pinned_bytes");
    fd = export_of(env.gpu, &tbo);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(stat_of("pinned_bytes"), ==, pinned + BYTES - evictable(BYTES));
    through = map_dmabuf(&tbo, fd);
    part = mmap(NULL, PAGE_BYTES, PROT_READ, MAP_SHARED, fd, BYTES / 2);
    CHECK(part != MAP_FAILED);
    close(fd);
    evictions = stat_of("evictions");
    purges = stat_of("purges");
    test_bo_fill(&through, 5);
    CHECK(!memcmp(part, through.bo.map + BYTES / 2, PAGE_BYTES));
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions + !env.export_pins);
    CHECK_INT(stat_of("purges"), ==, purges);
    if (env.has_swap) {
        /* Its pages are swapped, and used for something else. */
        check_memory_hog(100);
    }
    tbo.generation = tbo.rewritten = 5;
    /* Nothing is mapped any more: the first access is a page fault. */
    refaults = stat_of("refaults");
    CHECK(!memcmp(part, through.bo.map + BYTES / 2, PAGE_BYTES));
    CHECK_INT(stat_of("refaults"), ==, refaults + !env.export_pins);
    check_intact(&through);
    check_intact(&tbo);

    /* Both mappings are of the same pages. */
    test_bo_fill(&tbo, 6);
    through.generation = through.rewritten = 6;
    check_intact(&through);
    check_upload(&tbo);
}

/* vgem, loaded for the case. */
static int vgem_open(void)
{
    int fd = -1, waited;

    if (access("/modules/stock/vgem.ko", R_OK) < 0) {
        test_skip("this kernel has no vgem");
    }
    CHECK_INT(system("insmod /modules/stock/vgem.ko"), ==, 0);
    for (waited = 0; waited < VGEM_MS && fd < 0; waited += 10) {
        fd = open("/dev/dri/renderD129", O_RDWR | O_CLOEXEC);
        usleep(10000);
    }
    CHECK_INT(fd, >=, 0);
    return fd;
}

static void vgem_close(int vgem)
{
    close(vgem);
    CHECK_INT(system("rmmod vgem"), ==, 0);
}

/* Pages are pinned while another device is attached, and not after that. */
static void test_attached_is_pinned(void)
{
    long long pinned = stat_of("pinned_bytes"), evictions;
    uint32_t imported;
    int fd, vgem = vgem_open();
    TestBo tbo;

    make(&tbo, BYTES);
    shrink_all();
    fd = export_of(env.gpu, &tbo);
    CHECK_INT(fd, >=, 0);
    imported = import_to(vgem, fd);
    close(fd);
    CHECK_INT(stat_of("pinned_bytes"), ==, pinned + BYTES);
    evictions = stat_of("evictions");
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions);
    check_intact(&tbo);

    CHECK_INT(gem_close(vgem, imported), ==, 0);
    wait_for_stat("pinned_bytes", pinned + BYTES - evictable(BYTES));
    shrink_all();
    CHECK_INT(stat_of("evictions"), ==, evictions + !env.export_pins);
    check_upload(&tbo);
    vgem_close(vgem);
}

/* A texture without pages gets them, and the host uses the same ones. */
static void test_attached_has_pages(void)
{
    uint32_t imported;
    int fd, vgem = vgem_open();
    TestBo tbo = { .index = 3 };

    CHECK_INT(bo_create_unmapped(env.gpu, BO_TEXTURE, BYTES, &tbo.bo), ==, 0);
    CHECK_INT(stat_of("unbacked_bytes"), ==, BYTES);
    fd = export_of(env.gpu, &tbo);
    CHECK_INT(fd, >=, 0);
    CHECK_INT(stat_of("unbacked_bytes"), ==, BYTES);
    imported = import_to(vgem, fd);
    CHECK_INT(stat_of("unbacked_bytes"), ==, 0);
    CHECK_INT(bo_upload(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(bo_wait(env.gpu, &tbo.bo), ==, 0);
    CHECK_INT(bo_map(env.gpu, &tbo.bo), ==, 0);
    test_bo_fill(&tbo, 1);
    check_upload(&tbo);
    CHECK_INT(gem_close(vgem, imported), ==, 0);
    close(fd);
    vgem_close(vgem);
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
    through = map_dmabuf(&tbo, fd);
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

/* The contents survive the exporter. */
static void test_imported_survives(void)
{
    TestBo tbo, imported;
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
    CHECK_INT(bo_map(other, &imported.bo), ==, 0);
    check_intact(&imported);
    check_host(&imported);
}

const TestCase tests_export[] = {
    { "export/dontneed-ebusy", test_dontneed_ebusy, 0 },
    { "export/mapping-of-dmabuf", test_mapping_of_dmabuf, 0 },
    { "export/attached-is-pinned", test_attached_is_pinned, NEEDS_VIRTIO },
    { "export/attached-has-pages", test_attached_has_pages, NEEDS_3D },
    { "export/dontneed-is-retained", test_dontneed_is_retained, 0 },
    { "export/failed-is-not-pinned", test_failed_is_not_pinned, 0 },
    { "export/purged-enodata", test_purged_enodata, 0 },
    { "export/evicted-swaps-in", test_evicted_swaps_in, 0 },
    { "export/imported-dontneed-ebusy", test_imported_dontneed_ebusy, 0 },
    { "export/imported-survives", test_imported_survives, 0 },
    { NULL, NULL, 0 },
};
