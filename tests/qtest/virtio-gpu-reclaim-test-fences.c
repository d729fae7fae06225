/*
 * QTest testcase for virtio-gpu memory reclaim: fences and ordering
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

/* RESOURCE_PURGE of one resource. */
typedef struct Purge {
    struct virtio_gpu_ctrl_hdr hdr;
    uint32_t count, padding, ids[1];
} Purge;

/*
 * spec: Device 9. A response with a fence would signal all earlier fences of
 * the context.
 */
static void test_purge_fence(const void *data)
{
    QVirtioGPU *gpu = start(data);
    Purge cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_PURGE),
        .hdr.flags = cpu_to_le32(VIRTIO_GPU_FLAG_FENCE),
        .hdr.fence_id = cpu_to_le64(42),
        .hdr.ctx_id = cpu_to_le32(3),
        .count = cpu_to_le32(1),
        .ids = { cpu_to_le32(1) },
    }, resp;

    make(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), &resp,
                                    sizeof(resp)), ==, BAD_PARAMETER);
    g_assert_cmphex(resp.hdr.flags, ==, 0);
    g_assert_cmphex(resp.hdr.fence_id, ==, 0);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                               .resident_backing = BYTES, .host = BYTES,
                               .attaches = 1, .errors = 1 });
    cmd.hdr.flags = 0;
    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), &resp,
                                    sizeof(resp)), ==,
                    VIRTIO_GPU_RESP_OK_PURGE);
    g_assert_cmphex(resp.hdr.flags, ==, 0);
    g_assert_cmpuint(le32_to_cpu(resp.ids[0]), ==, PURGED);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 18. Responses have the fence of the request, errors too. */
static void test_fence(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct virtio_gpu_resource_detach_backing detach = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING),
        .hdr.flags = cpu_to_le32(VIRTIO_GPU_FLAG_FENCE),
        .hdr.fence_id = cpu_to_le64(41),
        .resource_id = cpu_to_le32(1),
    };
    struct virtio_gpu_ctrl_hdr hdr;
    int i;

    make(gpu, 1);
    for (i = 0; i < 2; i++) {
        g_assert_cmphex(qvirtio_gpu_cmd(gpu, &detach, sizeof(detach), &hdr,
                                        sizeof(hdr)), ==, i ? UNSPEC : OK);
        g_assert_cmphex(le32_to_cpu(hdr.flags), ==, VIRTIO_GPU_FLAG_FENCE);
        g_assert_cmpuint(le64_to_cpu(hdr.fence_id), ==, 41);
    }
    qvirtio_gpu_shutdown(gpu);
}

/* Submit two commands with one notification. */
static void kick_two(QVirtioGPU *gpu, const void *cmd0, size_t len0,
                     const void *cmd1, size_t len1, uint32_t *heads)
{
    uint16_t idx;

    gpu->ctrl->free_head = 0;
    heads[0] = enqueue(gpu, 0, cmd0, len0);
    heads[1] = enqueue(gpu, 1, cmd1, len1);
    /* Make the first available; the kick makes the second available. */
    idx = qtest_readw(gpu->qts, gpu->ctrl->avail + 2);
    qtest_writew(gpu->qts, gpu->ctrl->avail + 4 +
                 2 * (idx % gpu->ctrl->size), heads[0]);
    qtest_writew(gpu->qts, gpu->ctrl->avail + 2, idx + 1);
    qvirtqueue_kick(gpu->qts, gpu->vdev, gpu->ctrl, heads[1]);
}

/* Return the head descriptors of two commands in order of completion. */
static void wait_for_two(QVirtioGPU *gpu, uint32_t *done)
{
    int i;

    for (i = 0; i < 2; i++) {
        while (!qvirtqueue_get_buf(gpu->qts, gpu->ctrl, &done[i], NULL)) {
            qtest_clock_step(gpu->qts, 10 * 1000 * 1000);
        }
    }
}

/* A fenced SUBMIT_3D that does nothing. */
typedef struct Nop {
    struct virtio_gpu_cmd_submit submit;
    uint32_t nop;
} Nop;

static Nop make_nop(uint32_t ctx, uint64_t fence_id)
{
    return (Nop) {
        .submit.hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_SUBMIT_3D),
        .submit.hdr.flags = cpu_to_le32(VIRTIO_GPU_FLAG_FENCE),
        .submit.hdr.fence_id = cpu_to_le64(fence_id),
        .submit.hdr.ctx_id = cpu_to_le32(ctx),
        .submit.size = cpu_to_le32(4),
    };
}

/* spec: Device 16, 17. A purge does not wait for an earlier fence. */
static void test_fence_pending(const void *data)
{
    QVirtioGPU *gpu = start(data);
    Purge purge = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_PURGE),
        .count = cpu_to_le32(1),
        .ids = { cpu_to_le32(1) },
    };
    Nop nop = make_nop(1, 1);
    uint32_t heads[2], done[2];

    make(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    kick_two(gpu, &nop, sizeof(nop), &purge, sizeof(purge), heads);
    wait_for_two(gpu, done);
    g_assert_cmpuint(done[0], ==, heads[1]);
    g_assert_cmpuint(done[1], ==, heads[0]);
    check_stats(gpu, (Stats) { .purged = 1, .purged_released = BYTES,
                               .attaches = 1, .purges = 1,
                               .released_total = BYTES });
    qvirtio_gpu_shutdown(gpu);
}

/*
 * spec: Device 18. A fenced command that fails completes when its fence is
 * signalled, not before earlier fences.
 */
static void test_fence_error(const void *data)
{
    struct virtio_gpu_resource_detach_backing detach = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING),
        .hdr.flags = cpu_to_le32(VIRTIO_GPU_FLAG_FENCE),
        .hdr.fence_id = cpu_to_le64(2),
        .resource_id = cpu_to_le32(9),
    };
    Nop nop = make_nop(1, 1), unknown = make_nop(7, 2);
    struct {
        const void *cmd;
        size_t len;
        uint32_t error;
    } bad[] = {
        { &detach, sizeof(detach), BAD_RESOURCE },
        { &unknown, sizeof(unknown), BAD_CONTEXT },
        /* Too short for its type. */
        { &detach, sizeof(detach.hdr), BAD_PARAMETER },
    };
    QVirtioGPU *gpu = start(data);
    const struct virtio_gpu_ctrl_hdr *resp =
        (const void *)(gpu->ram + gpu->in + PAGE);
    uint32_t heads[2], done[2];
    int i;

    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        kick_two(gpu, &nop, sizeof(nop), bad[i].cmd, bad[i].len, heads);
        wait_for_two(gpu, done);
        g_assert_cmpuint(done[0], ==, heads[0]);
        g_assert_cmpuint(done[1], ==, heads[1]);
        g_assert_cmphex(le32_to_cpu(resp->type), ==, bad[i].error);
        g_assert_cmphex(le32_to_cpu(resp->flags), ==, VIRTIO_GPU_FLAG_FENCE);
        g_assert_cmpuint(le64_to_cpu(resp->fence_id), ==, 2);
        g_assert_cmpuint(get_stat(gpu, "errors"), ==, i + 1);
    }
    qvirtio_gpu_shutdown(gpu);
}

/*
 * A fence in a ring that the renderer does not have is signalled after earlier
 * ones all the same: nothing else would answer the command. (QEMU 7.2 knows no
 * rings.)
 */
static void check_no_context(QVirtioGPU *gpu)
{
    const struct {
        uint32_t ctx;
        uint8_t ring;
    } nowhere[] = { { 0, 0 }, { 7, 0 }, { 7, 1 }, { 1, 1 } };
    const uint32_t flags = VIRTIO_GPU_FLAG_FENCE |
                           VIRTIO_GPU_FLAG_INFO_RING_IDX;
    const struct virtio_gpu_ctrl_hdr *resp =
        (const void *)(gpu->ram + gpu->in + PAGE);
    Nop nop = make_nop(1, 1);
    uint32_t heads[2], done[2];
    int i;

    make(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    for (i = 0; i < ARRAY_SIZE(nowhere); i++) {
        struct virtio_gpu_resource_detach_backing detach = {
            .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING),
            .hdr.flags = cpu_to_le32(flags),
            .hdr.fence_id = cpu_to_le64(2),
            .hdr.ctx_id = cpu_to_le32(nowhere[i].ctx),
            .hdr.ring_idx = nowhere[i].ring,
            .resource_id = cpu_to_le32(1),
        };

        kick_two(gpu, &nop, sizeof(nop), &detach, sizeof(detach), heads);
        wait_for_two(gpu, done);
        g_assert_cmpuint(done[0], ==, heads[0]);
        g_assert_cmpuint(done[1], ==, heads[1]);
        g_assert_cmphex(le32_to_cpu(resp->type), ==, OK);
        g_assert_cmphex(le32_to_cpu(resp->flags), ==, VIRTIO_GPU_FLAG_FENCE);
        g_assert_cmpuint(le64_to_cpu(resp->fence_id), ==, 2);
        g_assert_cmpuint(le32_to_cpu(resp->ctx_id), ==, nowhere[i].ctx);
        g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    }
}

static void test_fence_no_context(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct virtio_gpu_resource_detach_backing detach = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING),
        .hdr.flags = cpu_to_le32(VIRTIO_GPU_FLAG_FENCE |
                                 VIRTIO_GPU_FLAG_INFO_RING_IDX),
        .hdr.fence_id = cpu_to_le64(3),
        .hdr.ctx_id = cpu_to_le32(7),
        .resource_id = cpu_to_le32(9),
    };
    struct virtio_gpu_ctrl_hdr hdr;

    check_no_context(gpu);
    /* An error waits for its fence as well. */
    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &detach, sizeof(detach), &hdr,
                                    sizeof(hdr)), ==, BAD_RESOURCE);
    g_assert_cmphex(le32_to_cpu(hdr.flags), ==, VIRTIO_GPU_FLAG_FENCE);
    g_assert_cmpuint(le64_to_cpu(hdr.fence_id), ==, 3);
    qvirtio_gpu_shutdown(gpu);
}

static void test_off_fence_no_context(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = boot(dev, dev->args);

    qvirtio_gpu_start(gpu, VIRGL);
    check_no_context(gpu);
    qvirtio_gpu_shutdown(gpu);
}

/* Fences of a context go with it: their commands are answered all the same. */
static void check_destroyed_context(QVirtioGPU *gpu)
{
    struct virtio_gpu_ctx_destroy destroy = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_CTX_DESTROY),
        .hdr.ctx_id = cpu_to_le32(1),
    };
    const struct virtio_gpu_ctrl_hdr *resp =
        (const void *)(gpu->ram + gpu->in);
    Nop nop = make_nop(1, 5);
    uint32_t heads[2], done[2];

    nop.submit.hdr.flags |= cpu_to_le32(VIRTIO_GPU_FLAG_INFO_RING_IDX);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    kick_two(gpu, &nop, sizeof(nop), &destroy, sizeof(destroy), heads);
    wait_for_two(gpu, done);
    g_assert_cmpuint(done[0], ==, heads[1]);
    g_assert_cmpuint(done[1], ==, heads[0]);
    g_assert_cmphex(le32_to_cpu(resp->type), ==, OK);
    g_assert_cmphex(le32_to_cpu(resp->flags), ==, VIRTIO_GPU_FLAG_FENCE);
    g_assert_cmpuint(le64_to_cpu(resp->fence_id), ==, 5);
}

static void test_fence_destroyed_context(const void *data)
{
    QVirtioGPU *gpu = start(data);

    check_destroyed_context(gpu);
    qvirtio_gpu_shutdown(gpu);
}

static void test_off_fence_destroyed_context(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = boot(dev, dev->args);

    qvirtio_gpu_start(gpu, VIRGL);
    check_destroyed_context(gpu);
    qvirtio_gpu_shutdown(gpu);
}

static const Case cases[] = {
    { "fence", test_fence, ON_ALL },
    { "purge-fence", test_purge_fence, ON_ALL },
    { "fence-pending", test_fence_pending, ON_GL },
    { "fence-error", test_fence_error, ON_GL },
    { "fence-no-context", test_fence_no_context, ON_GL },
    { "off-fence-no-context", test_off_fence_no_context, ON_GL },
    { "fence-destroyed-context", test_fence_destroyed_context, ON_GL },
    { "off-fence-destroyed-context", test_off_fence_destroyed_context, ON_GL },
};

void add_fences_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
