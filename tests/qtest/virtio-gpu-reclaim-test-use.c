/*
 * QTest testcase: reclaim of virtio-gpu's memory: use of evicted and purged
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

/* spec: Device 14. */
static void test_use_evicted(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    int refused = 1;

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
        refused += 2;
    }
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 1, SIDE, SIDE), ==, OK);
    check_stats(gpu, (Stats) { .evicted = 1, .evicted_host = BYTES,
                               .host = BYTES, .attaches = 1, .detaches = 1,
                               .refused = refused });
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    check_contents(dev, gpu, 1, HERE, RED);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 11, 14. */
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
                               .attaches = 1, .purges = 1, .refused = 1,
                               .released_total = BYTES });
    if (dev->gl) {
        /* What is shown needs no backing: it is restored, and black. */
        g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==, OK);
        g_assert_cmphex(qvirtio_gpu_flush(gpu, 1, SIDE, SIDE), ==, OK);
        check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                                   .host = BYTES, .attaches = 1, .purges = 1,
                                   .restores = 1, .refused = 1,
                                   .released_total = BYTES });
        g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
        check_contents(dev, gpu, 1, HERE, 0);
    } else {
        /* The stock 2D device shows nothing without backing. */
        g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==,
                        BAD_PARAMETER);
    }
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 13. */
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
    check_stats(gpu, (Stats) { .refused = dev->gl ? 5 : 3 });
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 20. */
static void test_displayed(const void *data)
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

    /* Its place is free, and so is the screen. */
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

/* spec: Device 2, 12. */
static void test_buffer(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct virtio_gpu_resource_create_3d res = buffer_3d(1, MiB);

    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &res), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, MiB), ==, OK);
    fill_ram(gpu, HERE, MiB, RED);
    g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, true, 0, 1, MiB, 1), ==, OK);

    /* Evicted it keeps its contents ... */
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, THERE, MiB), ==, OK);
    g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, false, 0, 1, MiB, 1), ==, OK);
    check_ram(gpu, THERE, MiB, RED);

    /* ... and purged it loses them. */
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    check_stats(gpu, (Stats) { .purged = 1, .purged_released = MiB,
                               .attaches = 2, .detaches = 1, .purges = 1,
                               .released_total = MiB });
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, THERE, MiB), ==, OK);
    g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, false, 0, 1, MiB, 1), ==, OK);
    check_ram(gpu, THERE, MiB, 0);
    qvirtio_gpu_shutdown(gpu);
}

/*
 * spec: Device 19. A context can use a resource that was purged and came back.
 */
static void test_context_replay(const void *data)
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

static uint32_t create_blob(QVirtioGPU *gpu, uint32_t id, uint32_t entries,
                            uint64_t addr, uint64_t size)
{
    struct {
        struct virtio_gpu_resource_create_blob blob;
        struct virtio_gpu_mem_entry entry;
    } cmd = {
        .blob.hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB),
        .blob.resource_id = cpu_to_le32(id),
        .blob.blob_mem = cpu_to_le32(VIRTIO_GPU_BLOB_MEM_GUEST),
        .blob.nr_entries = cpu_to_le32(entries),
        .blob.size = cpu_to_le64(size),
        .entry.addr = cpu_to_le64(addr),
        .entry.length = cpu_to_le32(BYTES),
    };

    return qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL, sizeof(cmd.blob.hdr));
}

static uint32_t scanout_blob(QVirtioGPU *gpu, uint32_t width, uint32_t height,
                             uint32_t stride, uint32_t offset)
{
    struct virtio_gpu_set_scanout_blob cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_SET_SCANOUT_BLOB),
        .resource_id = cpu_to_le32(1),
        .r.width = cpu_to_le32(width),
        .r.height = cpu_to_le32(height),
        .width = cpu_to_le32(width),
        .height = cpu_to_le32(height),
        .format = cpu_to_le32(FORMAT),
        .strides[0] = cpu_to_le32(stride),
        .offsets[0] = cpu_to_le32(offset),
    };

    return qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL, sizeof(cmd.hdr));
}

/*
 * Boot a device with blobs of guest memory. QEMU wants /dev/udmabuf for that,
 * or what stands in for it: tests/qtest/udmabuf-shim.c.
 */
static QVirtioGPU *start_with_blobs(const Device *dev)
{
    const char *shim = g_getenv("VIRTIO_GPU_UDMABUF_SHIM");
    QVirtioGPU *gpu;

    if (access("/dev/udmabuf", R_OK | W_OK)) {
        if (!shim || access(shim, R_OK)) {
            return NULL;
        }
        g_setenv("LD_PRELOAD", shim, true);
    }
    gpu = start_with(dev, ",blob=on -object memory-backend-memfd,id=sealed,"
                          "size=1M");
    g_unsetenv("LD_PRELOAD");
    return gpu;
}

/* spec: Device 20. Blobs of guest memory. */
static void test_blob(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start_with_blobs(dev);

    if (!gpu) {
        g_test_skip("there is neither /dev/udmabuf nor our stand-in");
        return;
    }
    qvirtio_gpu_start(gpu, RECLAIM | 1ull << VIRTIO_GPU_F_RESOURCE_BLOB);
    g_assert_cmphex(create_blob(gpu, 1, 1, HERE, BYTES), ==, OK);
    g_assert_cmphex(create_blob(gpu, 1, 1, HERE, BYTES), ==, BAD_RESOURCE);
    g_assert_cmphex(create_blob(gpu, 0, 1, HERE, BYTES), ==, BAD_RESOURCE);
    g_assert_cmphex(create_blob(gpu, 2, 1, HERE, BYTES + 1), ==, BAD_PARAMETER);
    g_assert_cmphex(create_blob(gpu, 2, 0, HERE, BYTES), ==, BAD_PARAMETER);

    g_assert_cmphex(scanout_blob(gpu, SIDE, SIDE, SIDE * 4 - 4, 0), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(scanout_blob(gpu, SIDE - 1, SIDE, SIDE * 4 - 3, 0), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(scanout_blob(gpu, SIDE, SIDE, SIDE * 4 + 4, 0), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(scanout_blob(gpu, SIDE, SIDE, SIDE * 4, 4), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(scanout_blob(gpu, SIDE, SIDE, 1u << 30, 0), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(scanout_blob(gpu, SIDE, SIDE, SIDE * 4, 0), ==, OK);
    g_assert_cmphex(purge_one(gpu, 1), ==, BUSY);
    /* Its memory is the image: nothing is shown without. */
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmphex(scanout_blob(gpu, SIDE, SIDE, SIDE * 4, 0), ==,
                    BAD_PARAMETER);
    qvirtio_gpu_shutdown(gpu);
}

static const Case cases[] = {
    { "use-evicted", test_use_evicted, ON_ALL },
    { "use-purged", test_use_purged, ON_ALL },
    { "use-unknown", test_use_unknown, ON_ALL },
    { "displayed", test_displayed, ON_ALL },
    { "buffer", test_buffer, ON_GL },
    { "context-replay", test_context_replay, ON_GL },
    { "blob", test_blob, ON_2D },
};

void add_use_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
