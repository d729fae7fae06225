/*
 * QTest testcase for virtio-gpu memory reclaim: use of resources
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

/* spec: Errors 2. */
static void test_use_evicted(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    int errors = 1;

    make(gpu, 1);
    set_contents(gpu, 1, HERE, RED);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, 1, SIDE, SIDE, 0), ==,
                    BAD_PARAMETER);
    if (dev->gl) {
        g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, true, 0, 1, SIDE, SIDE),
                        ==, BAD_PARAMETER);
        g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, false, 0, 1, SIDE, SIDE),
                        ==, BAD_PARAMETER);
        errors += 2;
    }
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 1, SIDE, SIDE), ==, OK);
    check_stats(gpu, (Stats) { .evicted = 1, .evicted_host = BYTES,
                               .host = BYTES, .attaches = 1, .detaches = 1,
                               .errors = errors });
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    check_contents(dev, gpu, 1, HERE, RED);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 14; Errors 2. */
static void test_use_purged(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);

    make(gpu, 1);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, 1, SIDE, SIDE, 0), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 1, SIDE, SIDE), ==, OK);
    check_stats(gpu, (Stats) { .purged = 1, .purged_released = BYTES,
                               .attaches = 1, .purges = 1, .errors = 1,
                               .released_total = BYTES });
    if (dev->gl) {
        /* A scanout needs no backing: the resource is restored, and black. */
        g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==, OK);
        g_assert_cmphex(qvirtio_gpu_flush(gpu, 1, SIDE, SIDE), ==, OK);
        check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                                   .host = BYTES, .attaches = 1, .purges = 1,
                                   .restores = 1, .errors = 1,
                                   .released_total = BYTES });
        g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
        check_contents(dev, gpu, 1, HERE, 0);
    } else {
        /* The stock 2D device rejects scanouts of resources without backing. */
        g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==,
                        BAD_PARAMETER);
    }
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Errors 1. */
static void test_use_unknown(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);

    g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, 9, SIDE, SIDE, 0), ==,
                    BAD_RESOURCE);
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 9, SIDE, SIDE), ==, BAD_RESOURCE);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 9, SIDE, SIDE), ==,
                    BAD_RESOURCE);
    if (dev->gl) {
        g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, true, 0, 9, SIDE, SIDE),
                        ==, BAD_RESOURCE);
        g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, false, 0, 9, SIDE, SIDE),
                        ==, BAD_RESOURCE);
    }
    check_stats(gpu, (Stats) { .errors = dev->gl ? 5 : 3 });
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 22. */
static void test_use_scanout(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);

    make(gpu, 1);
    set_contents(gpu, 1, HERE, RED);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 1, SIDE, SIDE), ==, OK);
    check_screen(dev, gpu, RED);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, OK);

    /* The id and the scanout can be reused. */
    make(gpu, 1);
    set_contents(gpu, 1, HERE, 0x00ff00);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    make(gpu, 2);
    set_contents(gpu, 2, HERE, 0x0000ff);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 2, SIDE, SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 2, SIDE, SIDE), ==, OK);
    check_screen(dev, gpu, 0x0000ff);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 3, 15. */
static void test_buffer(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct virtio_gpu_resource_create_3d res = buffer_3d(1, MiB);

    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &res), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, MiB), ==, OK);
    fill_ram(gpu, HERE, MiB, RED);
    g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, true, 0, 1, MiB, 1), ==, OK);

    /* An evicted buffer keeps its contents ... */
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, THERE, MiB), ==, OK);
    g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, false, 0, 1, MiB, 1), ==, OK);
    check_ram(gpu, THERE, MiB, RED);

    /* ... and a purged one loses them. */
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    check_stats(gpu, (Stats) { .purged = 1, .purged_released = MiB,
                               .attaches = 2, .detaches = 1, .purges = 1,
                               .released_total = MiB });
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, THERE, MiB), ==, OK);
    g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, false, 0, 1, MiB, 1), ==, OK);
    check_ram(gpu, THERE, MiB, 0);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 21. A restored resource is still attached to its contexts. */
static void test_use_context(const void *data)
{
    QVirtioGPU *gpu = start(data);

    make(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                    1, 1), ==, OK);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    fill_ram(gpu, HERE, BYTES, RED);
    g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, true, 1, 1, SIDE, SIDE), ==,
                    OK);
    fill_ram(gpu, HERE, BYTES, 0);
    g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, false, 1, 1, SIDE, SIDE), ==,
                    OK);
    check_ram(gpu, HERE, BYTES, RED);
    qvirtio_gpu_shutdown(gpu);
}

static const Case cases[] = {
    { "use-evicted", test_use_evicted, ON_ALL },
    { "use-purged", test_use_purged, ON_ALL },
    { "use-unknown", test_use_unknown, ON_ALL },
    { "use-scanout", test_use_scanout, ON_ALL },
    { "buffer", test_buffer, ON_GL },
    { "use-context", test_use_context, ON_GL },
};

void add_use_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
