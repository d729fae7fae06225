/*
 * QTest testcase for virtio-gpu memory reclaim: purge
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

/* The layouts in the tables of the specification. */
QEMU_BUILD_BUG_ON(sizeof(struct virtio_gpu_ctrl_hdr) != 24);
QEMU_BUILD_BUG_ON(offsetof(struct virtio_gpu_ctrl_hdr, fence_id) != 8);
QEMU_BUILD_BUG_ON(offsetof(struct virtio_gpu_ctrl_hdr, ctx_id) != 16);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_gpu_resource_detach_backing) != 32);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_gpu_resource_attach_backing) != 32);
QEMU_BUILD_BUG_ON(offsetof(struct virtio_gpu_resource_attach_backing,
                           nr_entries) != 28);
QEMU_BUILD_BUG_ON(sizeof(struct virtio_gpu_mem_entry) != 16);
QEMU_BUILD_BUG_ON(offsetof(struct virtio_gpu_mem_entry, length) != 8);
QEMU_BUILD_BUG_ON(offsetof(struct virtio_gpu_resource_purge, count) != 24);
QEMU_BUILD_BUG_ON(offsetof(struct virtio_gpu_resource_purge, ids) != 32);
QEMU_BUILD_BUG_ON(offsetof(struct virtio_gpu_resp_purge, count) != 24);
QEMU_BUILD_BUG_ON(offsetof(struct virtio_gpu_resp_purge, result) != 32);

/* spec: Device 12. */
static void test_purge(const void *data)
{
    QVirtioGPU *gpu = start(data);

    /* Never attached, attached, and evicted. */
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 1, FORMAT, SIDE, SIDE), ==, OK);
    make(gpu, 2);
    make(gpu, 3);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 3), ==, OK);

    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                               .resident_backing = BYTES, .evicted = 1,
                               .evicted_host = BYTES, .purged = 1,
                               .purged_released = BYTES, .host = 2 * BYTES,
                               .attaches = 2, .detaches = 1, .purges = 1,
                               .released_total = BYTES });
    g_assert_cmphex(purge_one(gpu, 2), ==, PURGED);
    check_stats(gpu, (Stats) { .evicted = 1, .evicted_host = BYTES,
                               .purged = 2, .purged_released = 2 * BYTES,
                               .host = BYTES, .attaches = 2, .detaches = 1,
                               .purges = 2, .released_total = 2 * BYTES });
    g_assert_cmphex(purge_one(gpu, 3), ==, PURGED);
    /* A second purge has no effect. */
    g_assert_cmphex(purge_one(gpu, 3), ==, PURGED);
    check_stats(gpu, (Stats) { .purged = 3, .purged_released = 3 * BYTES,
                               .attaches = 2, .detaches = 1, .purges = 3,
                               .released_total = 3 * BYTES });
    qvirtio_gpu_shutdown(gpu);
}

/* A purge detaches the backing before its response: the pages can be reused. */
static void test_purge_detach(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);

    make(gpu, 1);
    set_contents(gpu, 1, HERE, RED);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    fill_ram(gpu, HERE, BYTES, 0x123456);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, THERE, BYTES), ==, OK);
    check_contents(dev, gpu, 1, THERE, 0);
    check_ram(gpu, HERE, BYTES, 0x123456);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 14, 15. */
static void test_purge_zero(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);

    make(gpu, 1);
    set_contents(gpu, 1, HERE, RED);
    check_contents(dev, gpu, 1, HERE, RED);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    check_contents(dev, gpu, 1, HERE, 0);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                               .resident_backing = BYTES, .host = BYTES,
                               .attaches = 2, .purges = 1, .restores = 1,
                               .released_total = BYTES });
    /* The restored resource works. */
    set_contents(gpu, 1, HERE, RED);
    check_contents(dev, gpu, 1, HERE, RED);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 15. New storage has no contents of a former resource. */
static void test_create_zero(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    int i;

    for (i = 0; i < 8; i++) {
        make(gpu, 1);
        check_contents(dev, gpu, 1, HERE, 0);
        set_contents(gpu, 1, HERE, RED);
        g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, OK);
    }
    qvirtio_gpu_shutdown(gpu);
}

static void test_purge_batch(const void *data)
{
    QVirtioGPU *gpu = start(data);
    uint32_t ids[QVIRTIO_GPU_MAX_PURGE], result[QVIRTIO_GPU_MAX_PURGE];
    const uint32_t n = QVIRTIO_GPU_MAX_PURGE;
    uint32_t i;

    for (i = 0; i < n; i++) {
        ids[i] = i + 1;
        g_assert_cmphex(qvirtio_gpu_create_2d(gpu, ids[i], FORMAT, 16, 16), ==,
                        OK);
    }
    g_assert_cmphex(qvirtio_gpu_purge(gpu, ids, 64, result), ==,
                    VIRTIO_GPU_RESP_OK_PURGE);
    for (i = 0; i < 64; i++) {
        g_assert_cmphex(result[i], ==, PURGED);
    }
    check_stats(gpu, (Stats) { .resident = n - 64,
                               .resident_host = (n - 64) * 1024, .purged = 64,
                               .purged_released = 64 * 1024,
                               .host = (n - 64) * 1024, .purges = 64,
                               .released_total = 64 * 1024 });
    g_assert_cmphex(qvirtio_gpu_purge(gpu, ids, n, result), ==,
                    VIRTIO_GPU_RESP_OK_PURGE);
    check_stats(gpu, (Stats) { .purged = n, .purged_released = n * 1024,
                               .purges = n, .released_total = n * 1024 });
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 8. */
static void test_purge_bad_count(const void *data)
{
    QVirtioGPU *gpu = start(data);
    uint32_t ids[QVIRTIO_GPU_MAX_PURGE + 1] = { 1 };

    make(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_purge(gpu, ids, 0, NULL), ==, BAD_PARAMETER);
    g_assert_cmphex(qvirtio_gpu_purge(gpu, ids, ARRAY_SIZE(ids), NULL), ==,
                    BAD_PARAMETER);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                               .resident_backing = BYTES, .host = BYTES,
                               .attaches = 1, .errors = 2 });
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 8. */
static void test_purge_bad_size(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct {
        struct virtio_gpu_ctrl_hdr hdr;
        uint32_t count, padding, ids[2];
    } cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_PURGE),
        .count = cpu_to_le32(2),
        .ids = { cpu_to_le32(1), cpu_to_le32(1) },
    };

    make(gpu, 1);
    /* The request lacks an id, the response a result; no response buffer. */
    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd) - 4, NULL,
                                    sizeof(cmd)), ==, BAD_PARAMETER);
    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL,
                                    sizeof(cmd) - 4), ==, BAD_PARAMETER);
    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL, 0), ==, 0);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                               .resident_backing = BYTES, .host = BYTES,
                               .attaches = 1, .errors = 3 });
    qvirtio_gpu_shutdown(gpu);
}

static void test_purge_unknown(const void *data)
{
    QVirtioGPU *gpu = start(data);
    uint32_t ids[] = { 7, 1, 0, 1, UINT32_MAX, 2 };
    uint32_t want[] = { UNKNOWN, PURGED, UNKNOWN, PURGED, UNKNOWN, PURGED };
    uint32_t result[ARRAY_SIZE(ids)];

    make(gpu, 1);
    make(gpu, 2);
    g_assert_cmphex(qvirtio_gpu_purge(gpu, ids, ARRAY_SIZE(ids), result), ==,
                    VIRTIO_GPU_RESP_OK_PURGE);
    g_assert_cmpmem(result, sizeof(result), want, sizeof(want));
    check_stats(gpu, (Stats) { .purged = 2, .purged_released = 2 * BYTES,
                               .attaches = 2, .purges = 2, .errors = 3,
                               .released_total = 2 * BYTES });
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 10. */
static void test_purge_scanout(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);

    make(gpu, 1);
    set_contents(gpu, 1, HERE, RED);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==, OK);
    g_assert_cmphex(purge_one(gpu, 1), ==, BUSY);
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 1, SIDE, SIDE), ==, OK);
    check_screen(dev, gpu, RED);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                               .resident_backing = BYTES, .host = BYTES,
                               .attaches = 1, .errors = 1 });
    check_contents(dev, gpu, 1, HERE, RED);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 0, 0, 0), ==, OK);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 10, 14. */
static void test_purge_cursor(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct virtio_gpu_update_cursor cursor = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_UPDATE_CURSOR),
        .resource_id = cpu_to_le32(1),
    };

    make(gpu, 1);
    qvirtio_gpu_cursor(gpu, &cursor);
    g_assert_cmphex(purge_one(gpu, 1), ==, BUSY);
    cursor.resource_id = 0;
    qvirtio_gpu_cursor(gpu, &cursor);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);

    /* A purged resource is restored when it becomes the cursor. */
    cursor.resource_id = cpu_to_le32(1);
    qvirtio_gpu_cursor(gpu, &cursor);
    g_assert_cmphex(purge_one(gpu, 1), ==, BUSY);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                               .host = BYTES, .attaches = 1, .purges = 1,
                               .restores = 1, .errors = 2,
                               .released_total = BYTES });
    /* The cursor of a deleted resource: the id does not stay busy. */
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, OK);
    qvirtio_gpu_cursor(gpu, &cursor);
    cursor.resource_id = 0;
    qvirtio_gpu_cursor(gpu, &cursor);
    make(gpu, 1);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    qvirtio_gpu_shutdown(gpu);
}

static const Case cases[] = {
    { "purge", test_purge, ON_ALL },
    { "purge-detach", test_purge_detach, ON_ALL },
    { "purge-zero", test_purge_zero, ON_ALL },
    { "create-zero", test_create_zero, ON_ALL },
    { "purge-batch", test_purge_batch, ON_ALL },
    { "purge-bad-count", test_purge_bad_count, ON_ALL },
    { "purge-bad-size", test_purge_bad_size, ON_ALL },
    { "purge-unknown", test_purge_unknown, ON_ALL },
    { "purge-scanout", test_purge_scanout, ON_ALL },
    { "purge-cursor", test_purge_cursor, ON_ALL },
};

void add_purge_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
