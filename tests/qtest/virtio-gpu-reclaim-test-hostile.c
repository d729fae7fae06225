/*
 * QTest testcase for virtio-gpu memory reclaim: hostile guests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Requests crafted for out-of-bounds accesses of the device or the renderer.
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "virtio-gpu-reclaim-test.h"
#include "fuzz/virtio-gpu-fuzz-queue.h"
#include "standard-headers/linux/virtio_ring.h"

/* Layouts whose sizes overflow 32 bits, for a blob of 1 MiB. */
static void test_scanout_blob_stride(const void *data)
{
    static const ScanoutBlob bad[] = {
        /* The image ends at 2^32 + 458740; its stride as an int is -65532. */
        { .width = 64, .height = UINT32_MAX, .stride = 0xffff0004,
          .r_width = 64, .r_height = 65535 },
        { .width = 64, .height = UINT32_MAX, .stride = 0xffff0004,
          .y = UINT32_MAX, .r_width = 64, .r_height = 65535 },
        { .width = 64, .height = 64, .stride = 0x80000000,
          .r_width = 64, .r_height = 64 },
        { .width = 64, .height = 64, .stride = 0x7ffffffc,
          .r_width = 64, .r_height = 64 },
        /* 64 rows of 2^26 bytes are 2^32. */
        { .width = 64, .height = 65, .stride = 1 << 26,
          .r_width = 64, .r_height = 65 },
        { .width = 64, .height = 64, .stride = 256, .offset = UINT32_MAX - 3,
          .r_width = 64, .r_height = 64 },
        { .width = 64, .height = 64, .stride = 256, .offset = MiB - 4,
          .r_width = 64, .r_height = 64 },
        /* 2^30 pixels of 4 bytes are 0 bytes. */
        { .width = 1 << 30, .height = 64, .stride = 0,
          .r_width = 1 << 30, .r_height = 64 },
        { .width = (1 << 30) + 64, .height = 64, .stride = 256,
          .r_width = (1 << 30) + 64, .r_height = 64 },
        { .width = UINT32_MAX, .height = UINT32_MAX, .stride = 256,
          .x = UINT32_MAX - 15, .y = UINT32_MAX - 15,
          .r_width = 32, .r_height = 32 },
        /* The rectangle exceeds the image, or a row the stride. */
        { .width = 64, .height = 64, .stride = 256, .x = 32,
          .r_width = 64, .r_height = 64 },
        { .width = 64, .height = 64, .stride = 256, .y = 32,
          .r_width = 64, .r_height = 64 },
        { .width = 64, .height = 64, .stride = 252,
          .r_width = 64, .r_height = 64 },
        { .width = 63, .height = 64, .stride = 254,
          .r_width = 63, .r_height = 64 },
    };
    const Device *dev = data;
    QVirtioGPU *gpu = start_with_blobs(dev, "");
    ScanoutBlob good = {
        .width = 512, .height = 512, .stride = 2048,
        .x = 512 - SIDE, .y = 511 - SIDE, .r_width = SIDE, .r_height = SIDE,
    };
    int i;

    if (!gpu) {
        return;
    }
    g_assert_cmphex(create_blob(gpu, 1, 1, MiB, MiB), ==, OK);
    fill_ram(gpu, HERE, MiB, GREEN);
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        g_test_message("image %d", i);
        g_assert_cmphex(scanout_blob(gpu, &bad[i]), ==, BAD_PARAMETER);
        /* Reads the image, if it is scanned out despite the error. */
        qtest_qmp_assert_success(gpu->qts, "{'execute': 'screendump', "
                                 "'arguments': {'filename': '/dev/null'}}");
    }
    g_assert_cmphex(scanout_blob(gpu, &good), ==, OK);
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 1, 512, 512), ==, OK);
    check_screen(dev, gpu, GREEN);
    /* The image ends a row before the blob: 4 bytes more are out of bounds. */
    good.offset = 2048 + 4;
    g_assert_cmphex(scanout_blob(gpu, &good), ==, BAD_PARAMETER);
    qvirtio_gpu_shutdown(gpu);
}

/*
 * Double fetch: another vCPU rewrites requests while the device processes them.
 */

/* Number of resources at the start of each batch. */
#define RESOURCES 4
/* Number of batches between resets of the device. */
#define BATCHES 64

/*
 * One request, shared by all commands of a batch: the smaller the area that is
 * rewritten, the more likely is a write between two reads of the device.
 */
typedef struct Race {
    uint32_t *request;
    uint32_t original[64];
    unsigned first, end;        /* range of words to rewrite */
    unsigned commands;
    bool started, stop;
} Race;

static void *rewrite(void *opaque)
{
    static const uint32_t values[] = {
        0, 1, 2, 4, SIDE - 1, SIDE + 1, 4096, 65536, 1 << 30, 0x7fffffff,
        0x80000000, 0xffff0004, UINT32_MAX,
    };
    Race *race = opaque;
    GRand *rand = g_rand_new_with_seed(1);
    unsigned word = race->first, next;

    while (!qatomic_read(&race->stop)) {
        uint32_t value = values[g_rand_int_range(rand, 0, ARRAY_SIZE(values))];

        qatomic_set(&race->request[word], cpu_to_le32(value));
        qatomic_set(&race->started, true);
        /* The new value is visible until it is restored below. */
        next = g_rand_int_range(rand, race->first, race->end);
        qatomic_set(&race->request[word], race->original[word]);
        word = next;
    }
    g_rand_free(rand);
    return NULL;
}

/*
 * Create the resources and attach backing. With @ctx, attach them to a new
 * context 1; with @blob, create blob 98.
 */
static void add_setup(FuzzQueue *q, bool ctx, bool blob)
{
    struct virtio_gpu_ctx_create create_ctx = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_CTX_CREATE),
        .hdr.ctx_id = cpu_to_le32(1),
    };
    struct virtio_gpu_ctrl_hdr destroy = {
        .type = cpu_to_le32(VIRTIO_GPU_CMD_CTX_DESTROY),
        .ctx_id = cpu_to_le32(1),
    };
    struct {
        struct virtio_gpu_resource_create_blob head;
        struct virtio_gpu_mem_entry entry;
    } create_blob = {
        .head.hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB),
        .head.resource_id = cpu_to_le32(98),
        .head.blob_mem = cpu_to_le32(VIRTIO_GPU_BLOB_MEM_GUEST),
        .head.nr_entries = cpu_to_le32(1),
        .head.size = cpu_to_le64(BYTES),
        .entry.addr = cpu_to_le64(HERE),
        .entry.length = cpu_to_le32(BYTES),
    };
    uint32_t id;

    if (blob) {
        fuzz_queue_add(q, NULL, &create_blob, sizeof(create_blob),
                       sizeof(destroy));
    }
    if (ctx) {
        fuzz_queue_add(q, NULL, &destroy, sizeof(destroy), sizeof(destroy));
        fuzz_queue_add(q, NULL, &create_ctx, sizeof(create_ctx),
                       sizeof(destroy));
    }
    for (id = 1; id <= RESOURCES; id++) {
        struct virtio_gpu_resource_create_2d create = {
            .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_CREATE_2D),
            .resource_id = cpu_to_le32(id),
            .format = cpu_to_le32(FORMAT),
            .width = cpu_to_le32(SIDE),
            .height = cpu_to_le32(SIDE),
        };
        QVirtioGPUAttach attach = qvirtio_gpu_make_attach(id, HERE, BYTES);
        struct virtio_gpu_ctx_resource use = {
            .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE),
            .hdr.ctx_id = cpu_to_le32(1),
            .resource_id = cpu_to_le32(id),
        };

        fuzz_queue_add(q, NULL, &create, sizeof(create), sizeof(create.hdr));
        fuzz_queue_add(q, NULL, &attach, sizeof(attach), sizeof(create.hdr));
        if (ctx) {
            fuzz_queue_add(q, NULL, &use, sizeof(use), sizeof(use.hdr));
        }
    }
}

typedef struct Request {
    uint32_t type;
    unsigned words;             /* including the header */
    uint32_t body[18];
    enum { RACE_ALL, RACE_BLOB, RACE_GL } on;
    uint32_t ctx;
    /* Type of a command sent before each, to undo the previous one. */
    uint32_t before;
} Request;

#define HEADER_WORDS 6

static const Request requests[] = {
    { VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, 10, { 99, FORMAT, SIDE, SIDE },
      .before = VIRTIO_GPU_CMD_RESOURCE_UNREF },
    { VIRTIO_GPU_CMD_RESOURCE_UNREF, 8, { 1 } },
    { VIRTIO_GPU_CMD_SET_SCANOUT, 12, { 0, 0, SIDE, SIDE, 0, 1 } },
    { VIRTIO_GPU_CMD_RESOURCE_FLUSH, 12, { 0, 0, SIDE, SIDE, 1 } },
    { VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, 14, { 0, 0, SIDE, SIDE, 0, 0, 1 } },
    { VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, 16,
      { 1, 2, HERE, 0, 4096, 0, THERE, 0, BYTES - 4096 },
      .before = VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING },
    { VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, 8, { 1 } },
    { VIRTIO_GPU_CMD_RESOURCE_PURGE, 12, { 4, 0, 1, 2, 3, 4 } },
    { VIRTIO_GPU_CMD_GET_EDID, 8, { 0 } },
    { VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, 18,
      { 99, 1, 0, 1, 0, 0, BYTES, 0, HERE, 0, BYTES, 0 }, .on = RACE_BLOB,
      .before = VIRTIO_GPU_CMD_RESOURCE_UNREF },
    { VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, 24,
      { 0, 0, SIDE, SIDE, 0, 98, SIDE, SIDE, FORMAT, 0, SIDE * 4 },
      .on = RACE_BLOB },
    { VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, 18,
      { 99, 2, FORMAT, 2, SIDE, SIDE, 1, 1 }, .on = RACE_GL,
      .before = VIRTIO_GPU_CMD_RESOURCE_UNREF },
    { VIRTIO_GPU_CMD_CTX_CREATE, 24, { 3, 0, 0x616161 }, .on = RACE_GL,
      .ctx = 2, .before = VIRTIO_GPU_CMD_CTX_DESTROY },
    { VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 8, { 1 }, .on = RACE_GL, .ctx = 1 },
    { VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, 8, { 1 }, .on = RACE_GL, .ctx = 1 },
    { VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, 18,
      { 0, 0, 0, SIDE, SIDE, 1, 0, 0, 1 }, .on = RACE_GL },
    { VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, 18,
      { 0, 0, 0, SIDE, SIDE, 1, 0, 0, 1 }, .on = RACE_GL },
    /* Create and destroy a surface. */
    { VIRTIO_GPU_CMD_SUBMIT_3D, 16,
      { 32, 0, CREATE_SURFACE, 77, 1, FORMAT, 0, 0, DESTROY_SURFACE, 77 },
      .on = RACE_GL, .ctx = 1 },
    { VIRTIO_GPU_CMD_GET_CAPSET_INFO, 8, { 0 }, .on = RACE_GL },
    { VIRTIO_GPU_CMD_GET_CAPSET, 8, { 1, 1 }, .on = RACE_GL },
};

static void add_requests(QVirtioGPU *gpu, FuzzQueue *q, Race *race,
                         const Request *request)
{
    struct vring_desc *desc = (void *)(gpu->ram + gpu->ctrl->desc);
    const size_t size = request->words * sizeof(uint32_t);
    uint32_t before[8] = {
        cpu_to_le32(request->before), 0, 0, 0, cpu_to_le32(request->ctx), 0,
        cpu_to_le32(request->body[0]),
    };
    unsigned i;

    race->original[0] = cpu_to_le32(request->type);
    race->original[4] = cpu_to_le32(request->ctx);
    for (i = HEADER_WORDS; i < request->words; i++) {
        race->original[i] = cpu_to_le32(request->body[i - HEADER_WORDS]);
    }
    race->first = HEADER_WORDS;
    race->end = request->words;
    /* Creating a GL context is slow: only one per batch. */
    while ((!request->before || (request->ctx && race->commands) ||
            fuzz_queue_add(q, NULL, before, sizeof(before), PAGE)) &&
           fuzz_queue_add(q, NULL, race->original, size, PAGE)) {
        const FuzzCommand *c = fuzz_queue_get(q, fuzz_queue_count(q) - 1);

        race->request = race->request ?: (uint32_t *)c->out;
        race->commands++;
        for (i = 0; i < gpu->ctrl->size; i++) {
            if (le64_to_cpu(desc[i].addr) == c->out - gpu->ram) {
                desc[i].addr = cpu_to_le64((uint8_t *)race->request - gpu->ram);
            }
        }
    }
}

static void run_batch(FuzzQueue *q, Race *race)
{
    GThread *thread = g_thread_new("rewrite", rewrite, race);
    unsigned i;

    while (!qatomic_read(&race->started)) {
        g_usleep(10);
    }
    fuzz_queue_kick(q);
    g_assert_true(fuzz_queue_wait(q));
    qatomic_set(&race->stop, true);
    g_thread_join(thread);
    for (i = 0; i < fuzz_queue_count(q); i++) {
        uint32_t type = ldl_le_p(fuzz_queue_get(q, i)->in);

        g_assert_cmphex(type, >=, OK);
        g_assert_cmphex(type, <=, BAD_PARAMETER);
    }
}

/* Send @request at least @want times while a thread rewrites it. */
static void run_race(const Device *dev, QVirtioGPU *gpu, const Request *request,
                     unsigned want)
{
    bool scanout = request->type == VIRTIO_GPU_CMD_SET_SCANOUT ||
                   request->type == VIRTIO_GPU_CMD_SET_SCANOUT_BLOB;
    unsigned sent = 0, batch;

    while (sent < want) {
        FuzzQueue *q;

        qvirtio_gpu_start(gpu, RECLAIM | VIRGL |
                          1ull << VIRTIO_GPU_F_RESOURCE_BLOB);
        q = fuzz_queue_new(gpu, gpu->ctrl, 0, false);
        for (batch = 0; batch < BATCHES && sent < want; batch++) {
            Race race = { };

            /* After an invalid stream the context is in error: replace it. */
            add_setup(q, dev->gl && (!batch || request->ctx == 1),
                      request->on == RACE_BLOB);
            add_requests(gpu, q, &race, request);
            run_batch(q, &race);
            sent += race.commands;
            fuzz_queue_clear(q);
            if (scanout && !dev->gl) {
                /* Read the image; screendump does not support textures. */
                qtest_qmp_assert_success(gpu->qts, "{'execute': 'screendump', "
                                         "'arguments': {'filename': "
                                         "'/dev/null'}}");
            }
        }
        fuzz_queue_free(q);
    }
}

/* Commands of each type; the run under ASan sends more. */
static unsigned race_commands(void)
{
    const char *count = g_getenv("VIRTIO_GPU_RACE_COMMANDS");

    return count ? g_ascii_strtoull(count, NULL, 10) : 1000;
}

/* spec: Errors 4. */
static void test_double_fetch(const void *data)
{
    const Device *dev = data;
    /* The renderer reports each invalid resource on stderr. */
    const char *options = ",max_hostmem=64M 2>/dev/null";
    QVirtioGPU *gpu = dev->gl ? start_with(dev, options)
                              : start_with_blobs(dev, " 2>/dev/null");
    int i;

    if (!gpu) {
        return;
    }
    for (i = 0; i < ARRAY_SIZE(requests); i++) {
        if (requests[i].on == RACE_ALL ||
            requests[i].on == (dev->gl ? RACE_GL : RACE_BLOB)) {
            gint64 start = g_get_monotonic_time();

            run_race(dev, gpu, &requests[i], race_commands());
            g_test_message("command 0x%x: %.1f s", requests[i].type,
                           (g_get_monotonic_time() - start) / 1e6);
        }
    }
    /* The device works, and nothing has leaked. */
    qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
    make(gpu, 1);
    set_contents(gpu, 1, HERE, RED);
    check_contents(dev, gpu, 1, HERE, RED);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, BYTES + IOV_BYTES(dev));
    qvirtio_gpu_shutdown(gpu);
}

/* A request whose descriptors overlap, and have @chunks times 128 MiB. */
static uint32_t send_large(QVirtioGPU *gpu, const void *cmd, size_t len,
                           unsigned chunks)
{
    const struct virtio_gpu_ctrl_hdr *resp = (const void *)(gpu->ram + gpu->in);
    uint32_t head;

    memcpy(gpu->ram + gpu->out, cmd, len);
    gpu->ctrl->free_head = 0;
    head = qvirtqueue_add(gpu->qts, gpu->ctrl, gpu->out, len, false, true);
    while (chunks--) {
        qvirtqueue_add(gpu->qts, gpu->ctrl, HERE, 128 * MiB, false, true);
    }
    qvirtqueue_add(gpu->qts, gpu->ctrl, gpu->in, PAGE, true, false);
    qvirtqueue_kick(gpu->qts, gpu->vdev, gpu->ctrl, head);
    while (!qvirtqueue_get_buf(gpu->qts, gpu->ctrl, NULL, NULL)) {
        qtest_clock_step(gpu->qts, 10 * 1000 * 1000);
    }
    return le32_to_cpu(resp->type);
}

/* The host does not copy more than a request can sensibly have. */
static void test_large_request(const void *data)
{
    const Device *dev = data;
    struct virtio_gpu_resource_create_blob blob = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB),
        .resource_id = cpu_to_le32(1),
        .blob_mem = cpu_to_le32(VIRTIO_GPU_BLOB_MEM_GUEST),
        .nr_entries = cpu_to_le32(1 << 28),
        .size = cpu_to_le64(1ull << 40),
    };
    struct virtio_gpu_cmd_submit submit_3d = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_SUBMIT_3D),
        .hdr.ctx_id = cpu_to_le32(1),
        .size = cpu_to_le32(0xfffffffc),
    };
    QVirtioGPU *gpu = dev->gl ? start(dev) : start_with_blobs(dev, "");

    if (!gpu) {
        return;
    }
    if (dev->gl) {
        g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0),
                        ==, OK);
        g_assert_cmphex(send_large(gpu, &submit_3d, sizeof(submit_3d), 32), ==,
                        NO_MEMORY);
        g_assert_cmphex(send_large(gpu, &submit_3d, sizeof(submit_3d), 31), ==,
                        BAD_PARAMETER);
    } else {
        g_assert_cmphex(send_large(gpu, &blob, sizeof(blob), 32), ==,
                        NO_MEMORY);
        g_assert_cmphex(send_large(gpu, &blob, sizeof(blob), 31), ==,
                        BAD_PARAMETER);
    }
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, 0);
    g_assert_cmpuint(get_stat(gpu, "errors"), ==, 2);
    qvirtio_gpu_shutdown(gpu);
}

/* Command streams */

/* virglrenderer protocol. */
#define GET_MEMORY_INFO (50 | 1 << 16)
#define CREATE_QUERY (1 | 9 << 8 | 4 << 16)
#define BEGIN_QUERY (19 | 1 << 16)
#define END_QUERY (20 | 1 << 16)
#define GET_QUERY_RESULT (21 | 2 << 16)
#define GET_QUERY_RESULT_QBO (42 | 6 << 16)
#define BIND_CUSTOM (1 << 17)

static void create_ctx(QVirtioGPU *gpu, uint32_t ctx, uint32_t id)
{
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, ctx, 0),
                    ==, OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                    ctx, id), ==, OK);
}

/*
 * spec: Errors 3. The renderer writes to the backing without checking that the
 * resource has one.
 */
static void test_memory_info(const void *data)
{
    struct virtio_gpu_resource_create_3d res = buffer_3d(1, PAGE);
    uint32_t stream[] = { GET_MEMORY_INFO, 1 };
    QVirtioGPU *gpu = start(data);

    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &res), ==, OK);
    create_ctx(gpu, 1, 1);
    g_assert_cmphex(submit(gpu, 1, stream, ARRAY_SIZE(stream), sizeof(stream)),
                    ==, BAD_PARAMETER);
    /* The context is not in error: with backing the command succeeds. */
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, PAGE), ==, OK);
    g_assert_cmphex(submit(gpu, 1, stream, ARRAY_SIZE(stream), sizeof(stream)),
                    ==, OK);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(submit(gpu, 1, stream, ARRAY_SIZE(stream), sizeof(stream)),
                    ==, BAD_PARAMETER);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmphex(submit(gpu, 1, stream, ARRAY_SIZE(stream), sizeof(stream)),
                    ==, BAD_PARAMETER);
    g_assert_cmpuint(get_stat(gpu, "errors"), ==, 3);
    qvirtio_gpu_shutdown(gpu);
}

static uint32_t create_custom(QVirtioGPU *gpu, uint32_t id, uint32_t bytes)
{
    struct virtio_gpu_resource_create_3d res = buffer_3d(id, bytes);

    res.bind = cpu_to_le32(BIND_CUSTOM);
    return qvirtio_gpu_create_3d(gpu, &res);
}

/*
 * spec: Errors 3. The result of a query has 16 bytes. The renderer writes it to
 * the buffer's backing, or without backing to a host copy of the buffer's size.
 * On request it writes to a GL buffer, or without one to a raw address.
 */
static void test_query_without_backing(const void *data)
{
    uint32_t small[] = { CREATE_QUERY, 7, 0, 0, 1 };
    uint32_t create[] = { CREATE_QUERY, 7, 0, 0, 2 };
    uint32_t use[] = { BEGIN_QUERY, 7, END_QUERY, 7, GET_QUERY_RESULT, 7, 1 };
    uint32_t address[] = { GET_QUERY_RESULT_QBO, 7, 2, 1, 1, 8, 0 };
    QVirtioGPU *gpu = start(data);

    g_assert_cmphex(create_custom(gpu, 1, 8), ==, OK);
    g_assert_cmphex(create_custom(gpu, 2, PAGE), ==, OK);
    create_ctx(gpu, 1, 1);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1,
                                    2), ==, OK);
    g_assert_cmphex(submit(gpu, 1, small, ARRAY_SIZE(small), sizeof(small)),
                    ==, BAD_PARAMETER);
    g_assert_cmphex(submit(gpu, 1, create, ARRAY_SIZE(create), sizeof(create)),
                    ==, OK);
    g_assert_cmphex(submit(gpu, 1, use, ARRAY_SIZE(use), sizeof(use)), ==, OK);
    g_assert_cmphex(submit(gpu, 1, address, ARRAY_SIZE(address),
                           sizeof(address)), ==, BAD_PARAMETER);
    /* With backing, and after it has been detached. */
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 2, HERE, PAGE), ==, OK);
    g_assert_cmphex(submit(gpu, 1, use, ARRAY_SIZE(use), sizeof(use)), ==, OK);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 2), ==, OK);
    fill_ram(gpu, HERE, PAGE, RED);
    g_assert_cmphex(submit(gpu, 1, use, ARRAY_SIZE(use), sizeof(use)), ==, OK);
    check_ram(gpu, HERE, PAGE, RED);
    g_assert_cmpuint(get_stat(gpu, "errors"), ==, 2);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Errors 1. Unknown contexts; streams rejected by the renderer. */
static void test_submit_unknown_context(const void *data)
{
    uint32_t nop[] = { 0 }, bad[] = { CREATE_SURFACE, 77, 99, FORMAT, 0, 0 };
    QVirtioGPU *gpu = start(data);

    g_assert_cmphex(submit(gpu, 1, nop, 1, 4), ==, BAD_CONTEXT);
    g_assert_cmphex(submit(gpu, 0, nop, 1, 4), ==, BAD_CONTEXT);
    g_assert_cmphex(submit(gpu, UINT32_MAX, nop, 1, 4), ==, BAD_CONTEXT);
    make(gpu, 1);
    create_ctx(gpu, 1, 1);
    create_ctx(gpu, 2, 1);
    g_assert_cmphex(submit(gpu, 1, bad, ARRAY_SIZE(bad), sizeof(bad)), ==,
                    BAD_PARAMETER);
    /* That context is in error, the other is not. */
    g_assert_cmphex(submit(gpu, 1, nop, 1, 4), ==, BAD_PARAMETER);
    g_assert_cmphex(submit(gpu, 2, nop, 1, 4), ==, OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_DESTROY, 2, 0), ==,
                    OK);
    g_assert_cmphex(submit(gpu, 2, nop, 1, 4), ==, BAD_CONTEXT);
    g_assert_cmpuint(get_stat(gpu, "errors"), ==, 6);
    qvirtio_gpu_shutdown(gpu);
}

static const Case cases[] = {
    { "scanout-blob-stride", test_scanout_blob_stride, ON_2D_PCI },
    { "double-fetch", test_double_fetch, ON_PCI },
    { "large-request", test_large_request, ON_PCI },
    { "memory-info", test_memory_info, ON_GL_PCI },
    { "query-without-backing", test_query_without_backing, ON_GL_PCI },
    { "submit-unknown-context", test_submit_unknown_context, ON_GL_PCI },
};

void add_hostile_cases(void)
{
    add_cases("hostile", cases, ARRAY_SIZE(cases));
}
