/*
 * QTest testcase for virtio-gpu memory reclaim: errors
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"
#include "fuzz/virtio-gpu-fuzz-queue.h"
#include "standard-headers/linux/virtio_ring.h"

/* spec: Errors 1. */
static void test_create_bad(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);

    make(gpu, 1);
    set_contents(gpu, 1, HERE, RED);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 0, FORMAT, SIDE, SIDE), ==,
                    BAD_RESOURCE);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 1, FORMAT, 1, 1), ==,
                    BAD_RESOURCE);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 2, 0x7777, SIDE, SIDE), ==,
                    BAD_PARAMETER);
    /* The existing resource is unchanged. */
    check_contents(dev, gpu, 1, HERE, RED);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                               .resident_backing = BYTES, .host = BYTES,
                               .attaches = 1, .errors = 3 });
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Errors 1. Every command with a body, without its body. */
static void test_truncated(const void *data)
{
    const Device *dev = data;
    static const uint32_t both[] = {
        VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, VIRTIO_GPU_CMD_RESOURCE_UNREF,
        VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
        VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING,
        VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, VIRTIO_GPU_CMD_RESOURCE_FLUSH,
        VIRTIO_GPU_CMD_SET_SCANOUT, VIRTIO_GPU_CMD_RESOURCE_PURGE,
        VIRTIO_GPU_CMD_GET_EDID, VIRTIO_GPU_CMD_SET_SCANOUT_BLOB,
    };
    static const uint32_t gl[] = {
        VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, VIRTIO_GPU_CMD_CTX_CREATE,
        VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE,
        VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D,
        VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, VIRTIO_GPU_CMD_SUBMIT_3D,
        VIRTIO_GPU_CMD_GET_CAPSET_INFO, VIRTIO_GPU_CMD_GET_CAPSET,
    };
    QVirtioGPU *gpu = start(dev);
    int i, n = ARRAY_SIZE(both) + (dev->gl ? ARRAY_SIZE(gl) : 0);

    for (i = 0; i < n; i++) {
        uint32_t type = i < ARRAY_SIZE(both) ? both[i]
                                             : gl[i - ARRAY_SIZE(both)];
        struct virtio_gpu_ctrl_hdr cmd = { .type = cpu_to_le32(type) };

        g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL,
                                        sizeof(cmd)), ==, BAD_PARAMETER);
    }
    check_stats(gpu, (Stats) { .errors = n });
    qvirtio_gpu_shutdown(gpu);
}

/*
 * spec: Errors 1. Commands shorter than a header. The stock device never
 * completes them: it keeps them with an uninitialised header until a reset.
 */
static void test_short_header(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct virtio_gpu_ctrl_hdr cmd = {
        .type = cpu_to_le32(VIRTIO_GPU_CMD_GET_DISPLAY_INFO),
        .flags = cpu_to_le32(VIRTIO_GPU_FLAG_FENCE),
        .fence_id = cpu_to_le64(UINT64_MAX),
    }, resp;
    size_t len;

    for (len = 1; len < sizeof(cmd); len++) {
        g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, len, &resp, sizeof(resp)),
                        ==, BAD_PARAMETER);
        /* A truncated fence is ignored. */
        g_assert_cmphex(resp.flags, ==, 0);
        g_assert_cmphex(resp.fence_id, ==, 0);
    }
    check_stats(gpu, (Stats) { .errors = sizeof(cmd) - 1 });
    make(gpu, 1);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 5, 6, 18. Every command in states that it is invalid in. */
static void test_out_of_order(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);

    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, BAD_RESOURCE);
    g_assert_cmphex(purge_one(gpu, 1), ==, UNKNOWN);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, BAD_RESOURCE);
    make(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, THERE, BYTES), ==, UNSPEC);
    set_contents(gpu, 1, HERE, RED);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, UNSPEC);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 1, FORMAT, 1, 1), ==,
                    BAD_RESOURCE);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    check_contents(dev, gpu, 1, HERE, RED);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, UNSPEC);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 1, FORMAT, 1, 1), ==,
                    BAD_RESOURCE);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, UINT64_MAX - PAGE, 1), ==,
                    BAD_PARAMETER);
    check_stats(gpu, (Stats) { .purged = 1, .purged_released = BYTES,
                               .attaches = 2, .detaches = 1, .purges = 1,
                               .errors = 9, .released_total = BYTES });
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, OK);
    g_assert_cmphex(purge_one(gpu, 1), ==, UNKNOWN);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, BAD_RESOURCE);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Errors 1. */
static void test_contexts(const void *data)
{
    QVirtioGPU *gpu = start(data);

    make(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    BAD_CONTEXT);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                    1, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                    1, 9), ==, BAD_RESOURCE);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                    9, 1), ==, BAD_CONTEXT);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 0, 0), ==,
                    BAD_CONTEXT);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE,
                                    1, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_DESTROY, 1, 0), ==,
                    OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_DESTROY, 1, 0), ==,
                    BAD_CONTEXT);
    g_assert_cmpuint(get_stat(gpu, "errors"), ==, 5);
    qvirtio_gpu_shutdown(gpu);
}

/* Transfer resource 1 in both directions. */
static uint32_t transfer(QVirtioGPU *gpu, struct virtio_gpu_transfer_host_3d t)
{
    static const uint32_t types[] = {
        VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D,
        VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D,
    };
    uint32_t ret[2];
    int i;

    t.resource_id = cpu_to_le32(1);
    for (i = 0; i < 2; i++) {
        t.hdr.type = cpu_to_le32(types[i]);
        ret[i] = qvirtio_gpu_cmd(gpu, &t, sizeof(t), NULL, sizeof(t.hdr));
    }
    g_assert_cmphex(ret[0], ==, ret[1]);
    return ret[0];
}

#define TRANSFER(...) \
    transfer(gpu, (struct virtio_gpu_transfer_host_3d) { __VA_ARGS__ })
#define WHOLE .box.w = SIDE, .box.h = SIDE, .box.d = 1

/* spec: Errors 1, 2. Transfers rejected by the device or the renderer. */
static void test_transfer_3d(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct virtio_gpu_resource_create_3d res = texture_3d(1);
    uint64_t errors;

    res.last_level = cpu_to_le32(1);
    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &res), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    g_assert_cmphex(TRANSFER(WHOLE), ==, OK);
    g_assert_cmphex(TRANSFER(.level = 1, .box.w = SIDE / 2, .box.h = SIDE / 2,
                             .box.d = 1), ==, OK);

    g_assert_cmphex(TRANSFER(WHOLE, .level = 1), ==, BAD_PARAMETER);
    g_assert_cmphex(TRANSFER(WHOLE, .level = 2), ==, BAD_PARAMETER);
    g_assert_cmphex(TRANSFER(WHOLE, .level = UINT32_MAX), ==, BAD_PARAMETER);
    g_assert_cmphex(TRANSFER(WHOLE, .box.x = 1), ==, BAD_PARAMETER);
    g_assert_cmphex(TRANSFER(WHOLE, .box.y = 1), ==, BAD_PARAMETER);
    g_assert_cmphex(TRANSFER(WHOLE, .box.z = 1), ==, BAD_PARAMETER);
    g_assert_cmphex(TRANSFER(.box.w = SIDE, .box.h = SIDE, .box.d = 2), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(TRANSFER(.box.x = UINT32_MAX, .box.w = 2, .box.h = 1,
                             .box.d = 1), ==, BAD_PARAMETER);
    g_assert_cmphex(TRANSFER(WHOLE, .offset = 1), ==, BAD_PARAMETER);
    g_assert_cmphex(TRANSFER(WHOLE, .offset = 1ull << 32), ==, BAD_PARAMETER);
    g_assert_cmphex(TRANSFER(WHOLE, .offset = UINT64_MAX), ==, BAD_PARAMETER);
    g_assert_cmphex(TRANSFER(WHOLE, .stride = SIDE * 4 - 1), ==, BAD_PARAMETER);
    g_assert_cmphex(TRANSFER(WHOLE, .stride = SIDE * 4 + 4), ==, BAD_PARAMETER);
    g_assert_cmphex(TRANSFER(WHOLE, .hdr.ctx_id = 9), ==, BAD_CONTEXT);
    errors = get_stat(gpu, "errors");
    g_assert_cmpuint(errors, ==, 2 * 14);

    /* Rejected by the renderer: the resource is not attached to the context. */
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 9, 0), ==,
                    OK);
    g_assert_cmphex(TRANSFER(WHOLE, .hdr.ctx_id = 9), ==, BAD_PARAMETER);
    /* That context is in error now, others are not. */
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 8, 0), ==,
                    OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                    8, 1), ==, OK);
    g_assert_cmphex(TRANSFER(WHOLE, .hdr.ctx_id = 8), ==, OK);

    /* Backing smaller than the level. */
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES - 1), ==, OK);
    g_assert_cmphex(TRANSFER(WHOLE), ==, BAD_PARAMETER);
    g_assert_cmphex(TRANSFER(.box.w = 1, .box.h = 1, .box.d = 1), ==, OK);
    qvirtio_gpu_shutdown(gpu);
}

static void test_submit_size(const void *data)
{
    QVirtioGPU *gpu = start(data);
    uint32_t nop = 0;

    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    g_assert_cmphex(submit(gpu, 1, &nop, 1, 4), ==, OK);
    g_assert_cmphex(submit(gpu, 1, &nop, 1, 8), ==, BAD_PARAMETER);
    g_assert_cmphex(submit(gpu, 1, &nop, 1, UINT32_MAX), ==, BAD_PARAMETER);
    /* Rejected before the stock handler, which would allocate that much. */
    g_assert_cmpuint(get_stat(gpu, "errors"), ==, 2);
    qvirtio_gpu_shutdown(gpu);
}

/*
 * Invalid descriptor chains: the device completes the command or needs a reset.
 * A reset releases all resources, and the device works again.
 */
static void test_broken_chain(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct virtio_gpu_resource_create_2d create = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_CREATE_2D),
        .resource_id = cpu_to_le32(1),
        .format = cpu_to_le32(FORMAT),
        .width = cpu_to_le32(SIDE),
        .height = cpu_to_le32(SIDE),
    };
    FuzzBroken type;

    for (type = 0; type < FUZZ_BROKEN_TYPES; type++) {
        FuzzQueue *queue;

        qvirtio_gpu_start(gpu, RECLAIM | VIRGL |
                          1ull << VIRTIO_RING_F_INDIRECT_DESC);
        queue = fuzz_queue_new(gpu, gpu->ctrl, 0, true);
        g_assert_true(fuzz_queue_add(queue, NULL, &create, sizeof(create),
                                     sizeof(create.hdr)));
        fuzz_queue_kick(queue);
        g_assert_true(fuzz_queue_wait(queue));
        g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, BYTES);
        fuzz_queue_clear(queue);

        fuzz_queue_add_broken(queue, type);
        fuzz_queue_kick(queue);
        g_assert_true(fuzz_queue_wait_broken(queue));
        g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, BYTES);
        gpu->vdev->bus->set_status(gpu->vdev, 0);
        g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, 0);
        fuzz_queue_free(queue);
    }
    qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
    make(gpu, 1);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    qvirtio_gpu_shutdown(gpu);
}

static const Case cases[] = {
    { "create-bad", test_create_bad, ON_ALL },
    { "truncated", test_truncated, ON_ALL },
    { "short-header", test_short_header, ON_ALL },
    { "broken-chain", test_broken_chain, ON_PCI },
    { "out-of-order", test_out_of_order, ON_ALL },
    { "contexts", test_contexts, ON_GL },
    { "transfer-3d", test_transfer_3d, ON_GL },
    { "submit-size", test_submit_size, ON_GL },
};

void add_errors_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
