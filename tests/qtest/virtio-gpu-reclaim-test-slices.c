/*
 * QTest testcase for virtio-gpu memory reclaim: work in slices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Bounds are asserted on the steps of work in one turn of the main loop, as
 * "reclaim-stats" counts them. A command is caught in the middle by sending it
 * until what follows it came between two of its slices.
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

/* As in hw/display/virtio-gpu-reclaim-cmd.c. */
#define SLICE_PURGES 8

#define N QVIRTIO_GPU_MAX_PURGE

static uint64_t slice_stat(QVirtioGPU *gpu, const char *name)
{
    QDict *resp = get_stats(gpu);
    QDict *in = qdict_get_qdict(qdict_get_qdict(resp, "return"), "suspended");
    uint64_t value = qdict_get_int(in, name);

    qobject_unref(resp);
    return value;
}

/* RESOURCE_PURGE of resources 1 to N. */
typedef struct PurgeAll {
    struct virtio_gpu_resource_purge head;
    uint32_t ids[N];
} PurgeAll;

static PurgeAll purge_all(void)
{
    PurgeAll cmd = {
        .head.hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_PURGE),
        .head.count = cpu_to_le32(N),
    };
    uint32_t i;

    for (i = 0; i < N; i++) {
        cmd.ids[i] = cpu_to_le32(i + 1);
    }
    return cmd;
}

static void make_all(QVirtioGPU *gpu)
{
    uint32_t id;

    for (id = 1; id <= N; id++) {
        g_assert_cmphex(qvirtio_gpu_create_2d(gpu, id, FORMAT, SIDE, SIDE), ==,
                        OK);
    }
}

/* Send the command in @slot without waiting for its response. */
static uint32_t send_cmd(QVirtioGPU *gpu, int slot, const void *cmd, size_t len)
{
    uint32_t head = enqueue(gpu, slot, cmd, len);

    qvirtqueue_kick(gpu->qts, gpu->vdev, gpu->ctrl, head);
    return head;
}

static uint32_t wait_for_next(QVirtioGPU *gpu)
{
    uint32_t head;

    while (!qvirtqueue_get_buf(gpu->qts, gpu->ctrl, &head, NULL)) {
        qtest_clock_step(gpu->qts, 10 * 1000 * 1000);
    }
    return head;
}

static void check_all_purged(QVirtioGPU *gpu, int slot)
{
    const struct virtio_gpu_resp_purge *resp =
        (const void *)(gpu->ram + gpu->in + slot * PAGE);
    uint32_t i;

    g_assert_cmphex(le32_to_cpu(resp->hdr.type), ==, VIRTIO_GPU_RESP_OK_PURGE);
    g_assert_cmpuint(le32_to_cpu(resp->count), ==, N);
    for (i = 0; i < N; i++) {
        g_assert_cmpuint(le32_to_cpu(resp->result[i]), ==, PURGED);
    }
}

/* Each resource once; the command behind waits, and is answered behind. */
static void test_purge(const void *data)
{
    QVirtioGPU *gpu = start(data);
    PurgeAll purge = purge_all();
    struct virtio_gpu_resource_unref unref = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_UNREF),
        .resource_id = cpu_to_le32(N),
    };
    uint32_t heads[2];

    make_all(gpu);
    gpu->ctrl->free_head = 0;
    heads[0] = send_cmd(gpu, 0, &purge, sizeof(purge));
    heads[1] = send_cmd(gpu, 1, &unref, sizeof(unref));
    g_assert_cmpuint(wait_for_next(gpu), ==, heads[0]);
    g_assert_cmpuint(wait_for_next(gpu), ==, heads[1]);
    check_all_purged(gpu, 0);
    check_stats(gpu, (Stats) { .purged = N - 1, .purges = N,
                               .purged_released = (N - 1) * BYTES,
                               .released_total = N * BYTES });
    g_assert_cmpuint(slice_stat(gpu, "commands"), ==, 1);
    g_assert_cmpuint(slice_stat(gpu, "now"), ==, 0);
    g_assert_cmpuint(slice_stat(gpu, "slices"), ==, N / SLICE_PURGES);
    g_assert_cmpuint(slice_stat(gpu, "max-steps"), ==, SLICE_PURGES);
    qvirtio_gpu_shutdown(gpu);
}

/* A reset between two slices ends the command and leaves nothing behind. */
static void test_purge_reset(const void *data)
{
    QVirtioGPU *gpu = start(data);
    PurgeAll purge = purge_all();
    uint64_t purges, before;

    do {
        before = get_stat(gpu, "purges");
        make_all(gpu);
        gpu->ctrl->free_head = 0;
        send_cmd(gpu, 0, &purge, sizeof(purge));
        qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
        purges = get_stat(gpu, "purges") - before;
    } while (purges == 0 || purges == N);
    g_assert_cmpuint(slice_stat(gpu, "now"), ==, 0);

    /* The next driver's commands are its own. */
    make_all(gpu);
    g_assert_cmphex(purge_one(gpu, N), ==, PURGED);
    g_assert_cmpuint(get_stat(gpu, "purges"), ==, before + purges + 1);
    g_assert_cmpuint(get_stat(gpu, "errors"), ==, 0);
    qvirtio_gpu_shutdown(gpu);
}

/* Stopping the VM completes a command: there is none left to be migrated. */
static void test_purge_stop(const void *data)
{
    QVirtioGPU *gpu = start(data);
    PurgeAll purge = purge_all();

    do {
        make_all(gpu);
        gpu->ctrl->free_head = 0;
        send_cmd(gpu, 0, &purge, sizeof(purge));
        qtest_qmp_assert_success(gpu->qts, "{'execute': 'stop'}");
        g_assert_cmpuint(slice_stat(gpu, "now"), ==, 0);
        wait_for_next(gpu);
        check_all_purged(gpu, 0);
        qtest_qmp_assert_success(gpu->qts, "{'execute': 'cont'}");
        qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
    } while (slice_stat(gpu, "max-steps") <= SLICE_PURGES);
    qvirtio_gpu_shutdown(gpu);
}

static const Case cases[] = {
    { "slices-purge", test_purge, ON_ALL },
    { "slices-purge-reset", test_purge_reset, ON_ALL },
    { "slices-purge-stop", test_purge_stop, ON_ALL },
};

void add_slices_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
