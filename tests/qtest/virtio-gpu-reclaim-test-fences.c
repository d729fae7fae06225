/*
 * QTest testcase: reclaim of virtio-gpu's memory: order and fences
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

/* spec: Device 17, 18. */
static void test_fence(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct {
        struct virtio_gpu_ctrl_hdr hdr;
        uint32_t count, padding, ids[1];
    } cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_PURGE),
        .hdr.flags = cpu_to_le32(VIRTIO_GPU_FLAG_FENCE),
        .hdr.fence_id = cpu_to_le64(42),
        .hdr.ctx_id = cpu_to_le32(3),
        .count = cpu_to_le32(1),
        .ids = { cpu_to_le32(1) },
    }, resp;
    struct virtio_gpu_resource_detach_backing detach = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING),
        .hdr.flags = cpu_to_le32(VIRTIO_GPU_FLAG_FENCE),
        .hdr.fence_id = cpu_to_le64(41),
        .resource_id = cpu_to_le32(1),
    };
    struct virtio_gpu_ctrl_hdr hdr;

    make(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &detach, sizeof(detach), &hdr,
                                    sizeof(hdr)), ==, OK);
    g_assert_cmphex(le32_to_cpu(hdr.flags), ==, VIRTIO_GPU_FLAG_FENCE);
    g_assert_cmpuint(le64_to_cpu(hdr.fence_id), ==, 41);
    /* One that fails does not wait for its fence. */
    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &detach, sizeof(detach), &hdr,
                                    sizeof(hdr)), ==, UNSPEC);
    g_assert_cmpuint(le64_to_cpu(hdr.fence_id), ==, 41);
    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), &resp,
                                    sizeof(resp)), ==,
                    VIRTIO_GPU_RESP_OK_PURGE);
    g_assert_cmphex(le32_to_cpu(resp.hdr.flags), ==, VIRTIO_GPU_FLAG_FENCE);
    g_assert_cmpuint(le64_to_cpu(resp.hdr.fence_id), ==, 42);
    g_assert_cmpuint(le32_to_cpu(resp.hdr.ctx_id), ==, 3);
    g_assert_cmpuint(le32_to_cpu(resp.count), ==, 1);
    g_assert_cmpuint(le32_to_cpu(resp.ids[0]), ==, PURGED);
    qvirtio_gpu_shutdown(gpu);
}

/*
 * spec: Device 16, 17. A purge does not wait for the fence of a command in
 * front of it, which the device gets at the same time.
 */
static void test_fence_pending(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct {
        struct virtio_gpu_cmd_submit submit;
        uint32_t nop;
    } submit = {
        .submit.hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_SUBMIT_3D),
        .submit.hdr.flags = cpu_to_le32(VIRTIO_GPU_FLAG_FENCE),
        .submit.hdr.fence_id = cpu_to_le64(1),
        .submit.hdr.ctx_id = cpu_to_le32(1),
        .submit.size = cpu_to_le32(4),
    };
    struct {
        struct virtio_gpu_ctrl_hdr hdr;
        uint32_t count, padding, ids[1];
    } purge = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_PURGE),
        .hdr.flags = cpu_to_le32(VIRTIO_GPU_FLAG_FENCE),
        .hdr.fence_id = cpu_to_le64(2),
        .count = cpu_to_le32(1),
        .ids = { cpu_to_le32(1) },
    };
    uint32_t heads[2], done[2];
    uint16_t idx;
    int i;

    make(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    gpu->ctrl->free_head = 0;
    heads[0] = enqueue(gpu, 0, &submit, sizeof(submit));
    heads[1] = enqueue(gpu, 1, &purge, sizeof(purge));
    /* One is made available, and the other, and then comes the kick. */
    idx = qtest_readw(gpu->qts, gpu->ctrl->avail + 2);
    qtest_writew(gpu->qts, gpu->ctrl->avail + 4 +
                 2 * (idx % gpu->ctrl->size), heads[0]);
    qtest_writew(gpu->qts, gpu->ctrl->avail + 2, idx + 1);
    qvirtqueue_kick(gpu->qts, gpu->vdev, gpu->ctrl, heads[1]);
    for (i = 0; i < 2; i++) {
        while (!qvirtqueue_get_buf(gpu->qts, gpu->ctrl, &done[i], NULL)) {
            qtest_clock_step(gpu->qts, 10 * 1000 * 1000);
        }
    }
    g_assert_cmpuint(done[0], ==, heads[1]);
    g_assert_cmpuint(done[1], ==, heads[0]);
    check_stats(gpu, (Stats) { .purged = 1, .purged_released = BYTES,
                               .attaches = 1, .purges = 1,
                               .released_total = BYTES });
    qvirtio_gpu_shutdown(gpu);
}

static const Case cases[] = {
    { "fence", test_fence, ON_ALL },
    { "fence-pending", test_fence_pending, ON_GL },
};

void add_fences_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
