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

/* As in hw/display/virtio-gpu-reclaim/virtio-gpu-reclaim-suspend.h. */
#define MAX_STEPS 8

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
    g_assert_cmpuint(slice_stat(gpu, "slices"), ==, N / MAX_STEPS);
    g_assert_cmpuint(slice_stat(gpu, "max-steps"), ==, MAX_STEPS);
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
    } while (slice_stat(gpu, "max-steps") <= MAX_STEPS);
    qvirtio_gpu_shutdown(gpu);
}

/* Textures that are compressed and restored, of TILES tiles each. */
#define BIG_SIDE 1024
#define BIG (BIG_SIDE * BIG_SIDE * 4)
#define TILES (BIG / (512 * KiB))
#define BIGS 4
#define CTX 1

static uint64_t compressed_stat(QVirtioGPU *gpu, const char *name)
{
    QDict *resp = get_stats(gpu);
    uint64_t value = qdict_get_int(
        qdict_get_qdict(qdict_get_qdict(resp, "return"), "compressed"), name);

    qobject_unref(resp);
    return value;
}

static uint32_t create_big(QVirtioGPU *gpu, uint32_t id)
{
    struct virtio_gpu_resource_create_3d args = texture_3d(id);

    args.width = cpu_to_le32(BIG_SIDE);
    args.height = cpu_to_le32(BIG_SIDE);
    return qvirtio_gpu_create_3d(gpu, &args);
}

static uint32_t transfer_big(QVirtioGPU *gpu, bool to_host, uint32_t id)
{
    return qvirtio_gpu_transfer_3d(gpu, to_host, 0, id, BIG_SIDE, BIG_SIDE);
}

/* With contents that are its id, and evicted. */
static void make_big(QVirtioGPU *gpu, uint32_t id)
{
    g_assert_cmphex(create_big(gpu, id), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, id, HERE, BIG), ==, OK);
    fill_ram(gpu, HERE, BIG, id);
    g_assert_cmphex(transfer_big(gpu, true, id), ==, OK);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, id), ==, OK);
}

static void check_big(QVirtioGPU *gpu, uint32_t id)
{
    g_assert_cmphex(qvirtio_gpu_attach(gpu, id, THERE, BIG), ==, OK);
    fill_ram(gpu, THERE, BIG, ~id);
    g_assert_cmphex(transfer_big(gpu, false, id), ==, OK);
    check_ram(gpu, THERE, BIG, id);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, id), ==, OK);
}

/* Until all of @n are compressed. */
static void wait_compressed(QVirtioGPU *gpu, uint64_t n)
{
    while (compressed_stat(gpu, "resources") < n) {
        qtest_clock_step(gpu->qts, 10 * 1000 * 1000);
    }
}

/* Compressed textures 1 to BIGS, in a context. */
static void make_bigs(QVirtioGPU *gpu)
{
    uint32_t id;

    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, CTX, 0),
                    ==, OK);
    for (id = 1; id <= BIGS; id++) {
        make_big(gpu, id);
        g_assert_cmphex(qvirtio_gpu_ctx(gpu,
                                        VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                        CTX, id), ==, OK);
    }
    wait_compressed(gpu, BIGS);
}

/* SUBMIT_3D that makes a surface of each of them. */
typedef struct UseAll {
    struct virtio_gpu_cmd_submit head;
    struct {
        uint32_t header, handle, id, format, level, layers;
    } surface[BIGS];
} UseAll;

static UseAll use_all(void)
{
    UseAll cmd = {
        .head.hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_SUBMIT_3D),
        .head.hdr.flags = cpu_to_le32(VIRTIO_GPU_FLAG_FENCE),
        .head.hdr.fence_id = cpu_to_le64(1),
        .head.hdr.ctx_id = cpu_to_le32(CTX),
        .head.size = cpu_to_le32(sizeof(cmd.surface)),
    };
    uint32_t i;

    for (i = 0; i < BIGS; i++) {
        cmd.surface[i].header = CREATE_SURFACE;
        cmd.surface[i].handle = 100 + i;
        cmd.surface[i].id = 1 + i;
        cmd.surface[i].format = FORMAT;
    }
    return cmd;
}

static const struct virtio_gpu_ctrl_hdr *response(QVirtioGPU *gpu, int slot)
{
    return (const void *)(gpu->ram + gpu->in + slot * PAGE);
}

/*
 * A stream restores what it uses a tile at a time, and commands behind wait,
 * with or without a fence.
 */
static void test_submit(const void *data)
{
    QVirtioGPU *gpu = start_with(data, ",x-evicted-compress=on");
    struct virtio_gpu_resource_unref unref = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_UNREF),
        .hdr.flags = cpu_to_le32(VIRTIO_GPU_FLAG_FENCE),
        .hdr.fence_id = cpu_to_le64(2),
        .resource_id = cpu_to_le32(99),
    };
    UseAll use = use_all();
    uint32_t heads[2], id;

    make_bigs(gpu);
    gpu->ctrl->free_head = 0;
    heads[0] = send_cmd(gpu, 0, &use, sizeof(use));
    heads[1] = send_cmd(gpu, 1, &unref, sizeof(unref));
    g_assert_cmpuint(wait_for_next(gpu), ==, heads[0]);
    g_assert_cmpuint(wait_for_next(gpu), ==, heads[1]);
    g_assert_cmphex(le32_to_cpu(response(gpu, 0)->type), ==, OK);
    g_assert_cmpuint(le64_to_cpu(response(gpu, 0)->fence_id), ==, 1);
    g_assert_cmphex(le32_to_cpu(response(gpu, 1)->type), ==, BAD_RESOURCE);
    g_assert_cmpuint(get_stat(gpu, "errors"), ==, 1);

    g_assert_cmpuint(compressed_stat(gpu, "decompressions"), ==, BIGS);
    g_assert_cmpuint(slice_stat(gpu, "commands"), ==, 1);
    g_assert_cmpuint(slice_stat(gpu, "slices"), >=, BIGS * TILES);
    g_assert_cmpuint(slice_stat(gpu, "max-steps"), <=, MAX_STEPS);
    for (id = 1; id <= BIGS; id++) {
        check_big(gpu, id);
    }
    qvirtio_gpu_shutdown(gpu);
}

/* Commands that name one resource: attach, transfer, scanout. */
static void test_commands(const void *data)
{
    QVirtioGPU *gpu = start_with(data, ",x-evicted-compress=on");

    make_big(gpu, 1);
    wait_compressed(gpu, 1);
    check_big(gpu, 1);
    g_assert_cmpuint(slice_stat(gpu, "commands"), ==, 1);
    wait_compressed(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, BIG_SIDE, BIG_SIDE), ==,
                    OK);
    g_assert_cmpuint(slice_stat(gpu, "commands"), ==, 2);
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 1, BIG_SIDE, BIG_SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 0, 0, 0), ==, OK);
    check_big(gpu, 1);
    g_assert_cmpuint(compressed_stat(gpu, "decompressions"), ==, 2);
    g_assert_cmpuint(slice_stat(gpu, "max-steps"), <=, MAX_STEPS);
    g_assert_cmpuint(get_stat(gpu, "errors"), ==, 0);
    qvirtio_gpu_shutdown(gpu);
}

/* A reset while a stream waits for what it uses. */
static void test_submit_reset(const void *data)
{
    QVirtioGPU *gpu = start_with(data, ",x-evicted-compress=on");
    UseAll use = use_all();
    uint64_t before, slices;

    do {
        make_bigs(gpu);
        before = compressed_stat(gpu, "decompressions");
        slices = slice_stat(gpu, "slices");
        gpu->ctrl->free_head = 0;
        send_cmd(gpu, 0, &use, sizeof(use));
        qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
        g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, 0);
        slices = slice_stat(gpu, "slices") - slices;
    } while (slices == 0 ||
             compressed_stat(gpu, "decompressions") == before + BIGS);
    g_assert_cmpuint(slice_stat(gpu, "now"), ==, 0);
    make_bigs(gpu);
    check_big(gpu, 1);
    qvirtio_gpu_shutdown(gpu);
}

/* Stopping the VM has it carried out; it is answered when the VM goes on. */
static void test_submit_stop(const void *data)
{
    QVirtioGPU *gpu = start_with(data, ",x-evicted-compress=on");
    UseAll use = use_all();
    uint64_t slices;

    do {
        make_bigs(gpu);
        slices = slice_stat(gpu, "slices");
        gpu->ctrl->free_head = 0;
        send_cmd(gpu, 0, &use, sizeof(use));
        qtest_qmp_assert_success(gpu->qts, "{'execute': 'stop'}");
        g_assert_cmpuint(slice_stat(gpu, "now"), ==, 0);
        g_assert_cmpuint(compressed_stat(gpu, "resources"), ==, 0);
        slices = slice_stat(gpu, "slices") - slices;
        qtest_qmp_assert_success(gpu->qts, "{'execute': 'cont'}");
        wait_for_next(gpu);
        g_assert_cmphex(le32_to_cpu(response(gpu, 0)->type), ==, OK);
        check_big(gpu, BIGS);
        qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
    } while (slices == 0 || slices >= BIGS * TILES);
    qvirtio_gpu_shutdown(gpu);
}

#define LIMIT (5 * BIG)
#define LIMIT_OPTION ",max_hostmem=20M"

/* What is created past the limit waits until there is room. */
static void test_create(const void *data)
{
    QVirtioGPU *gpu = start_with(data, LIMIT_OPTION);
    uint32_t id;

    for (id = 1; id <= 2 * BIGS; id++) {
        make_big(gpu, id);
        g_assert_cmpuint(get_stat(gpu, "used-bytes"), <, LIMIT);
    }
    g_assert_cmpuint(slice_stat(gpu, "commands"), >=, BIGS);
    g_assert_cmpuint(get_stat(gpu, "host-bytes-peak"), <, LIMIT);
    g_assert_cmpuint(get_stat(gpu, "errors"), ==, 0);
    for (id = 1; id <= 2 * BIGS; id++) {
        check_big(gpu, id);
        g_assert_cmpuint(get_stat(gpu, "used-bytes"), <, LIMIT);
    }
    g_assert_cmpuint(slice_stat(gpu, "max-steps"), <=, MAX_STEPS);
    qvirtio_gpu_shutdown(gpu);
}

/*
 * Others leave for what a stream uses, and nothing that it uses does: with all
 * of them resident there is room for no other.
 */
static void test_submit_limit(const void *data)
{
    QVirtioGPU *gpu = start_with(data, ",x-evicted-compress=on" LIMIT_OPTION);
    UseAll use = use_all();
    uint32_t id, i;

    make_bigs(gpu);
    for (id = BIGS + 1; id <= 2 * BIGS; id++) {
        g_assert_cmphex(create_big(gpu, id), ==, OK);
    }
    for (i = 0; i < 3; i++) {
        gpu->ctrl->free_head = 0;
        send_cmd(gpu, 0, &use, sizeof(use));
        wait_for_next(gpu);
        g_assert_cmphex(le32_to_cpu(response(gpu, 0)->type), ==, OK);
        g_assert_cmpuint(get_stat(gpu, "used-bytes"), <, LIMIT);
        for (id = BIGS + 1; id <= 2 * BIGS; id++) {
            g_assert_cmphex(qvirtio_gpu_attach(gpu, id, HERE, BIG), ==, OK);
            g_assert_cmphex(qvirtio_gpu_detach(gpu, id), ==, OK);
            g_assert_cmpuint(get_stat(gpu, "used-bytes"), <, LIMIT);
        }
    }
    g_assert_cmpuint(get_stat(gpu, "host-bytes-peak"), <, LIMIT);
    for (id = 1; id <= BIGS; id++) {
        check_big(gpu, id);
    }
    qvirtio_gpu_shutdown(gpu);
}

/* A reset while a create waits for room. */
static void test_create_reset(const void *data)
{
    QVirtioGPU *gpu = start_with(data, LIMIT_OPTION);
    struct virtio_gpu_resource_create_3d args = texture_3d(BIGS + 1);
    uint64_t before;
    uint32_t id;

    args.hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_CREATE_3D);
    args.width = cpu_to_le32(BIG_SIDE);
    args.height = cpu_to_le32(BIG_SIDE);
    do {
        for (id = 1; id <= BIGS; id++) {
            make_big(gpu, id);
        }
        before = slice_stat(gpu, "commands");
        gpu->ctrl->free_head = 0;
        send_cmd(gpu, 0, &args, sizeof(args));
        qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
        g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, 0);
    } while (slice_stat(gpu, "commands") == before);
    g_assert_cmpuint(slice_stat(gpu, "now"), ==, 0);
    make_big(gpu, 1);
    check_big(gpu, 1);
    qvirtio_gpu_shutdown(gpu);
}

/* A texture that takes a while to be compressed. */
#define HUGE_SIDE 4096
#define HUGE_HEIGHT 2048
#define HUGE (HUGE_SIDE * HUGE_HEIGHT * 4)

static void create_sized(QVirtioGPU *gpu, uint32_t id, uint32_t width,
                         uint32_t height)
{
    struct virtio_gpu_resource_create_3d args = texture_3d(id);

    args.width = cpu_to_le32(width);
    args.height = cpu_to_le32(height);
    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &args), ==, OK);
}

static void begin_to_compress(QVirtioGPU *gpu, uint32_t id)
{
    uint64_t before = compressed_stat(gpu, "compressions");

    create_sized(gpu, id, HUGE_SIDE, HUGE_HEIGHT);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, id, HERE, PAGE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, id), ==, OK);
    while (get_stat(gpu, "compressing") != id) {
        g_assert_cmpuint(compressed_stat(gpu, "compressions"), ==, before);
        qtest_clock_step(gpu->qts, 10 * 1000 * 1000);
    }
}

/*
 * A resource is purged while it is compressed. When room is made it stays so,
 * and it is compressed again when it has contents.
 */
static void test_compress_purge(const void *data)
{
    enum { LAST = 6 };
    QVirtioGPU *gpu = start_with(data, ",x-evicted-compress=on"
                                 ",max_hostmem=64M");
    uint32_t id, i;

    begin_to_compress(gpu, 1);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmpuint(get_stat(gpu, "compressing"), ==, 0);
    /* Past the limit, until each that has storage has left for another. */
    for (id = 2; id <= LAST; id++) {
        create_sized(gpu, id, HUGE_HEIGHT, HUGE_HEIGHT);
    }
    for (i = 0; i < 2; i++) {
        for (id = 2; id <= LAST; id++) {
            g_assert_cmphex(qvirtio_gpu_attach(gpu, id, HERE, PAGE), ==, OK);
            g_assert_cmphex(qvirtio_gpu_detach(gpu, id), ==, OK);
        }
    }
    g_assert_cmpuint(compressed_stat(gpu, "compressions"), >=, LAST);
    g_assert_cmpuint(get_stat(gpu, "purges"), ==, 1);
    g_assert_cmpuint(get_stat(gpu, "restores"), ==, 0);
    g_assert_cmpuint(get_stat(gpu, "released-bytes-total"), ==, HUGE);
    for (id = 2; id <= LAST; id++) {
        g_assert_cmphex(qvirtio_gpu_unref(gpu, id), ==, OK);
    }
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, PAGE), ==, OK);
    g_assert_cmpuint(get_stat(gpu, "restores"), ==, 1);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    wait_compressed(gpu, 1);
    qvirtio_gpu_shutdown(gpu);
}

/* It is destroyed, or used, while it is compressed. */
static void test_compress_ends(const void *data)
{
    QVirtioGPU *gpu = start_with(data, ",x-evicted-compress=on");

    begin_to_compress(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, OK);
    g_assert_cmpuint(get_stat(gpu, "compressing"), ==, 0);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, 0);
    begin_to_compress(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==, OK);
    g_assert_cmpuint(get_stat(gpu, "compressing"), ==, 0);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, HUGE);
    begin_to_compress(gpu, 2);
    qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
    g_assert_cmpuint(get_stat(gpu, "compressing"), ==, 0);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, 0);
    begin_to_compress(gpu, 1);
    qvirtio_gpu_shutdown(gpu);
}

/* Resets while a texture is compressed, or restored, leave nothing of it. */
static void test_reset_rss(const void *data)
{
    QVirtioGPU *gpu = start_with(data, ",x-evicted-compress=on");
    UseAll use = use_all();
    uint64_t before = 0;
    int i;

    for (i = 0; i <= 8; i++) {
        begin_to_compress(gpu, 1);
        qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
        make_bigs(gpu);
        gpu->ctrl->free_head = 0;
        send_cmd(gpu, 0, &use, sizeof(use));
        qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
        g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, 0);
        /* Documented as 100 ms. */
        g_usleep(200000);
        if (i == 0) {
            before = rss_anon(gpu);
        }
    }
    g_test_message("%" PRIi64 " KiB more after 8 resets",
                   ((int64_t)rss_anon(gpu) - (int64_t)before) / 1024);
    g_assert_cmpuint(rss_anon(gpu), <, before + HUGE);
    qvirtio_gpu_shutdown(gpu);
}

static const Case cases[] = {
    { "slices-purge", test_purge, ON_ALL },
    { "slices-purge-reset", test_purge_reset, ON_ALL },
    { "slices-purge-stop", test_purge_stop, ON_ALL },
    { "slices-submit", test_submit, ON_GL },
    { "slices-submit-reset", test_submit_reset, ON_GL },
    { "slices-submit-stop", test_submit_stop, ON_GL },
    { "slices-submit-limit", test_submit_limit, ON_GL_PCI },
    { "slices-commands", test_commands, ON_GL_PCI },
    { "slices-create", test_create, ON_GL },
    { "slices-create-reset", test_create_reset, ON_GL },
    { "slices-compress-purge", test_compress_purge, ON_GL_PCI },
    { "slices-compress-ends", test_compress_ends, ON_GL_PCI },
};

/* Not under ASan, which keeps what is freed. */
static const Case rss_cases[] = {
    { "slices-reset", test_reset_rss, ON_GL_PCI },
};

void add_slices_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
    add_cases("rss", rss_cases, ARRAY_SIZE(rss_cases));
}
