/*
 * QTest testcase for virtio-gpu memory reclaim: what is left to the renderer
 *
 * Blobs of GL devices, and contexts of other capsets than virgl's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

#define CONTEXT_INIT (1ull << VIRTIO_GPU_F_CONTEXT_INIT)
#define BLOB (1ull << VIRTIO_GPU_F_RESOURCE_BLOB)
#define CAPSET_VENUS 4
#define RENDER_SERVER "/usr/libexec/virgl_render_server"

/* QEMU has blobs with GL since 9.2. Otherwise skips the case. */
static bool has_blobs(const Device *dev)
{
    QVirtioGPU *gpu = boot(dev, dev->args);
    QDict *resp = qtest_qmp(gpu->qts, "{'execute': 'query-version'}");
    QDict *version = qdict_get_qdict(qdict_get_qdict(resp, "return"), "qemu");
    bool has = qdict_get_int(version, "major") >= 10;

    qobject_unref(resp);
    qvirtio_gpu_start(gpu, 0);
    qvirtio_gpu_shutdown(gpu);
    if (!has) {
        g_test_skip("this QEMU has no blobs with GL");
    }
    return has;
}

static void restart(QVirtioGPU *gpu)
{
    qvirtio_gpu_start(gpu, RECLAIM | VIRGL | BLOB | CONTEXT_INIT);
}

static QVirtioGPU *start_gl(const Device *dev, const char *props)
{
    g_autofree char *all = g_strconcat(",blob=on", props, NULL);
    QVirtioGPU *gpu;

    if (!has_blobs(dev)) {
        return NULL;
    }
    gpu = start_with(dev, all);
    restart(gpu);
    return gpu;
}

/* With venus=on; skips the case without the renderer's server. */
static QVirtioGPU *start_venus(const Device *dev, const char *props)
{
    g_autofree char *all = g_strconcat(",venus=on,hostmem=64M", props, NULL);

    if (access(RENDER_SERVER, X_OK)) {
        g_test_skip("there is no " RENDER_SERVER);
        return NULL;
    }
    return start_gl(dev, all);
}

static uint32_t create_ctx(QVirtioGPU *gpu, uint32_t ctx, uint32_t capset)
{
    struct virtio_gpu_ctx_create cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_CTX_CREATE),
        .hdr.ctx_id = cpu_to_le32(ctx),
        .context_init = cpu_to_le32(capset),
        .nlen = cpu_to_le32(4),
        .debug_name = "test",
    };

    return qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL, sizeof(cmd.hdr));
}

static uint32_t destroy_ctx(QVirtioGPU *gpu, uint32_t ctx)
{
    struct virtio_gpu_ctx_destroy cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_CTX_DESTROY),
        .hdr.ctx_id = cpu_to_le32(ctx),
    };

    return qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL, sizeof(cmd.hdr));
}

static uint32_t attach_ctx(QVirtioGPU *gpu, uint32_t ctx, uint32_t id)
{
    struct virtio_gpu_ctx_resource cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE),
        .hdr.ctx_id = cpu_to_le32(ctx),
        .resource_id = cpu_to_le32(id),
    };

    return qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL, sizeof(cmd.hdr));
}

/* A blob of shared memory, which venus makes for id 0. */
static uint32_t create_host_blob(QVirtioGPU *gpu, uint32_t ctx, uint32_t id,
                                 uint64_t size, uint32_t entries)
{
    struct virtio_gpu_resource_create_blob cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB),
        .hdr.ctx_id = cpu_to_le32(ctx),
        .resource_id = cpu_to_le32(id),
        .blob_mem = cpu_to_le32(VIRTIO_GPU_BLOB_MEM_HOST3D),
        .blob_flags = cpu_to_le32(VIRTIO_GPU_BLOB_FLAG_USE_MAPPABLE),
        .nr_entries = cpu_to_le32(entries),
        .size = cpu_to_le64(size),
    };

    return qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL, sizeof(cmd.hdr));
}

static uint32_t map_blob(QVirtioGPU *gpu, uint32_t id, uint64_t offset)
{
    struct virtio_gpu_resource_map_blob cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_MAP_BLOB),
        .resource_id = cpu_to_le32(id),
        .offset = cpu_to_le64(offset),
    };
    struct virtio_gpu_resp_map_info resp;

    return qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), &resp, sizeof(resp));
}

/* UNMAP_BLOB or RESOURCE_UNREF, with a fence. */
static void fenced(QVirtioGPU *gpu, uint32_t type, uint32_t id)
{
    struct virtio_gpu_resource_unref cmd = {
        .hdr.type = cpu_to_le32(type),
        .hdr.flags = cpu_to_le32(VIRTIO_GPU_FLAG_FENCE),
        .hdr.fence_id = cpu_to_le64(7),
        .resource_id = cpu_to_le32(id),
    };
    struct virtio_gpu_ctrl_hdr resp;

    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), &resp,
                                    sizeof(resp)), ==, OK);
    g_assert_cmphex(le32_to_cpu(resp.flags), ==, VIRTIO_GPU_FLAG_FENCE);
    g_assert_cmphex(le64_to_cpu(resp.fence_id), ==, 7);
}

/* A context of a capset that the device does not have. */
static void test_context_init(const void *data)
{
    QVirtioGPU *gpu = start_gl(data, "");

    if (!gpu) {
        return;
    }
    g_assert_cmphex(create_ctx(gpu, 1, CAPSET_VENUS), ==, BAD_CONTEXT);
    g_assert_cmphex(create_ctx(gpu, 1, VIRTIO_GPU_CAPSET_VIRGL2), ==, OK);
    make(gpu, 1);
    g_assert_cmphex(attach_ctx(gpu, 1, 1), ==, OK);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmphex(destroy_ctx(gpu, 1), ==, OK);
    g_assert_cmphex(destroy_ctx(gpu, 1), ==, BAD_CONTEXT);
    qvirtio_gpu_shutdown(gpu);
}

/* Host blobs are accounted and limited, and cannot be purged. */
static void test_host_blob(const void *data)
{
    QVirtioGPU *gpu = start_venus(data, ",max_hostmem=1M");

    if (!gpu) {
        return;
    }
    g_assert_cmphex(create_host_blob(gpu, 1, 1, 65536, 0), ==, UNSPEC);
    g_assert_cmphex(create_ctx(gpu, 1, CAPSET_VENUS), ==, OK);
    g_assert_cmphex(create_host_blob(gpu, 1, 1, 65536, 1), ==, BAD_PARAMETER);
    g_assert_cmphex(create_host_blob(gpu, 1, 1, 0, 0), ==, BAD_PARAMETER);
    g_assert_cmphex(create_host_blob(gpu, 1, 1, 2 * MiB, 0), ==, NO_MEMORY);
    g_assert_cmphex(create_host_blob(gpu, 1, 1, UINT64_MAX, 0), ==, NO_MEMORY);
    g_assert_cmphex(create_host_blob(gpu, 1, 1, 65536, 0), ==, OK);
    g_assert_cmphex(create_host_blob(gpu, 1, 1, 65536, 0), ==, BAD_RESOURCE);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = 65536,
                               .blobs = 1, .blob_host = 65536,
                               .host = 65536, .errors = 6 });
    g_assert_cmphex(purge_one(gpu, 1), ==, UNSUPPORTED);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, 65536), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, 1, 1, 1, 0), ==, BAD_PARAMETER);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 1, SIDE, SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, OK);
    check_stats(gpu, (Stats) { .errors = 10 });
    qvirtio_gpu_shutdown(gpu);
}

/*
 * Unmapping suspends a command, which is carried out when it runs again: it is
 * answered once, with its fence, and accounted once.
 */
static void test_suspended(const void *data)
{
    QVirtioGPU *gpu = start_venus(data, "");
    int i;

    if (!gpu) {
        return;
    }
    g_assert_cmphex(create_ctx(gpu, 1, CAPSET_VENUS), ==, OK);
    g_assert_cmphex(map_blob(gpu, 1, 0), ==, BAD_RESOURCE);
    for (i = 0; i < 3; i++) {
        g_assert_cmphex(create_host_blob(gpu, 1, 1, 65536, 0), ==, OK);
        g_assert_cmphex(map_blob(gpu, 1, 0), ==,
                        VIRTIO_GPU_RESP_OK_MAP_INFO);
        fenced(gpu, VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, 1);
        fenced(gpu, VIRTIO_GPU_CMD_RESOURCE_UNMAP_BLOB, 1);
        g_assert_cmphex(map_blob(gpu, 1, MiB), ==,
                        VIRTIO_GPU_RESP_OK_MAP_INFO);
        check_stats(gpu, (Stats) { .resident = 1, .resident_host = 65536,
                                   .blobs = 1, .blob_host = 65536,
                                   .host = 65536, .errors = 1 });
        fenced(gpu, VIRTIO_GPU_CMD_RESOURCE_UNREF, 1);
        check_stats(gpu, (Stats) { .errors = 1 });
    }
    qvirtio_gpu_shutdown(gpu);
}

/* A reset unmaps blobs, and releases what is behind them. */
static void test_reset_mapped(const void *data)
{
    QVirtioGPU *gpu = start_venus(data, "");
    int i;

    if (!gpu) {
        return;
    }
    for (i = 0; i < 3; i++) {
        g_assert_cmphex(create_ctx(gpu, 1, CAPSET_VENUS), ==, OK);
        g_assert_cmphex(create_host_blob(gpu, 1, 1, 65536, 0), ==, OK);
        g_assert_cmphex(map_blob(gpu, 1, 0), ==,
                        VIRTIO_GPU_RESP_OK_MAP_INFO);
        g_assert_cmphex(create_host_blob(gpu, 1, 2, 65536, 0), ==, OK);
        g_assert_cmphex(map_blob(gpu, 2, MiB), ==,
                        VIRTIO_GPU_RESP_OK_MAP_INFO);
        restart(gpu);
        g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, BAD_RESOURCE);
        check_stats(gpu, (Stats) { .errors = i + 1 });
    }
    qvirtio_gpu_shutdown(gpu);
}

/* The contents of a guest blob are the guest's memory, evicted or not. */
static void test_guest_blob(const void *data)
{
    QVirtioGPU *gpu = start_gl(data, ",max_hostmem=1M");

    if (!gpu) {
        return;
    }
    g_assert_cmphex(create_blob(gpu, 1, 0, BYTES, BYTES), ==, BAD_PARAMETER);
    g_assert_cmphex(create_blob(gpu, 1, 1, BYTES, BYTES + 1), !=, OK);
    g_assert_cmphex(create_blob(gpu, 1, 1, 4 * MiB, 4 * MiB), ==, OK);
    check_stats(gpu, (Stats) { .resident = 1, .resident_backing = 4 * MiB,
                               .blobs = 1, .blob_backing = 4 * MiB,
                               .attaches = 1, .errors = 2 });
    g_assert_cmphex(purge_one(gpu, 1), ==, UNSUPPORTED);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    check_stats(gpu, (Stats) { .evicted = 1, .blobs = 1, .attaches = 1,
                               .detaches = 1, .errors = 3 });
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, 4 * MiB - 1), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, THERE, 4 * MiB), ==, OK);
    check_stats(gpu, (Stats) { .resident = 1, .resident_backing = 4 * MiB,
                               .blobs = 1, .blob_backing = 4 * MiB,
                               .attaches = 2, .detaches = 1, .errors = 4 });
    restart(gpu);
    check_stats(gpu, (Stats) { .attaches = 2, .detaches = 1, .errors = 4 });
    g_assert_cmphex(create_blob(gpu, 1, 1, BYTES, BYTES), ==, OK);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, OK);
    check_stats(gpu, (Stats) { .attaches = 3, .detaches = 1, .errors = 4 });
    qvirtio_gpu_shutdown(gpu);
}

/* What a context that is not read may refer to keeps its storage. */
static void test_venus(const void *data)
{
    QVirtioGPU *gpu = start_venus(data, ",x-max-contexts=2");
    uint32_t word = 0;

    if (!gpu) {
        return;
    }
    g_assert_cmphex(create_ctx(gpu, 1, CAPSET_VENUS), ==, OK);
    g_assert_cmphex(create_ctx(gpu, 1, CAPSET_VENUS), ==, BAD_CONTEXT);
    g_assert_cmphex(create_ctx(gpu, 1, VIRTIO_GPU_CAPSET_VIRGL2), ==,
                    BAD_CONTEXT);
    g_assert_cmphex(create_ctx(gpu, 2, CAPSET_VENUS), ==, OK);
    g_assert_cmphex(create_ctx(gpu, 3, CAPSET_VENUS), ==, NO_MEMORY);
    g_assert_cmphex(submit(gpu, 4, &word, 1, sizeof(word)), ==, BAD_CONTEXT);
    make(gpu, 1);
    make(gpu, 2);
    g_assert_cmphex(attach_ctx(gpu, 1, 1), ==, OK);
    g_assert_cmphex(purge_one(gpu, 1), ==, UNSUPPORTED);
    g_assert_cmphex(purge_one(gpu, 2), ==, PURGED);
    g_assert_cmphex(destroy_ctx(gpu, 1), ==, OK);
    g_assert_cmphex(destroy_ctx(gpu, 1), ==, BAD_CONTEXT);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, OK);
    make(gpu, 1);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);

    /* A reset leaves nothing of it. */
    restart(gpu);
    g_assert_cmphex(create_ctx(gpu, 2, VIRTIO_GPU_CAPSET_VIRGL2), ==, OK);
    qvirtio_gpu_shutdown(gpu);
}

static const Case cases[] = {
    { "context-init", test_context_init, ON_GL_PCI },
    { "host-blob", test_host_blob, ON_GL_PCI },
    { "guest-blob", test_guest_blob, ON_GL_PCI },
    { "reset-mapped", test_reset_mapped, ON_GL_PCI },
    { "suspended", test_suspended, ON_GL_PCI },
    { "venus", test_venus, ON_GL_PCI },
};

void add_untracked_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
