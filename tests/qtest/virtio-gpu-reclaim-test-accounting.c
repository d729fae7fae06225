/*
 * QTest testcase: reclaim of virtio-gpu's memory: bytes, limit, contexts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

static void test_create(const void *data)
{
    QVirtioGPU *gpu = start(data);

    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 1, FORMAT, SIDE, SIDE), ==, OK);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                               .host = BYTES });
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, UINT32_MAX, FORMAT, 17, 5), ==,
                    OK);
    check_stats(gpu, (Stats) { .resident = 2,
                               .resident_host = BYTES + 17 * 5 * 4,
                               .host = BYTES + 17 * 5 * 4 });
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 13. */
static void test_create_3d(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct virtio_gpu_resource_create_3d res = {
        .resource_id = cpu_to_le32(1),
        .target = cpu_to_le32(TARGET_2D),
        .format = cpu_to_le32(FORMAT),
        .bind = cpu_to_le32(BIND_RENDER_TARGET),
        .width = cpu_to_le32(SIDE),
        .height = cpu_to_le32(SIDE),
        .depth = cpu_to_le32(1),
        .array_size = cpu_to_le32(1),
    };
    uint64_t want = BYTES;

    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &res), ==, OK);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, want);

    /* All mip levels: 64 x 64, 32 x 32, ... 1 x 1. */
    res.resource_id = cpu_to_le32(2);
    res.last_level = cpu_to_le32(6);
    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &res), ==, OK);
    want += 4 * (4096 + 1024 + 256 + 64 + 16 + 4 + 1);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, want);

    /* More than there can be. */
    res.resource_id = cpu_to_le32(3);
    res.last_level = cpu_to_le32(200);
    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &res), ==, BAD_PARAMETER);
    res.last_level = 0;
    res.width = cpu_to_le32(UINT32_MAX);
    res.height = cpu_to_le32(UINT32_MAX);
    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &res), ==, BAD_PARAMETER);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, want);
    g_assert_cmpuint(get_stat(gpu, "refused"), ==, 2);
    qvirtio_gpu_shutdown(gpu);
}

/*
 * spec: Device 13, 11. Nothing is allocated for what is refused, and the
 * arrays of mappings count, too.
 */
static void test_limit(const void *data)
{
    const Device *dev = data;
    const uint64_t limit = 3 * (BYTES + ARRAY(dev)) + 1;
    g_autofree char *props = g_strdup_printf(",max_hostmem=%" PRIu64, limit);
    QVirtioGPU *gpu = start_with(dev, props);
    struct virtio_gpu_mem_entry entries[4];
    uint32_t id;

    /* Room for 3 of them and a byte, but not for all of it. */
    for (id = 1; id <= 3; id++) {
        make(gpu, id);
    }
    g_assert_cmpuint(get_stat(gpu, "host-bytes-limit"), ==, limit);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, limit - 1);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 4, FORMAT, SIDE, SIDE), ==,
                    NO_MEMORY);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 4, FORMAT, 1, 1), ==,
                    NO_MEMORY);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 4, FORMAT, 65535, 65535), ==,
                    NO_MEMORY);

    /* What is purged makes room, and has to find room to come back. */
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 4, FORMAT, SIDE, SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, NO_MEMORY);
    check_stats(gpu, (Stats) { .resident = 3, .resident_host = 3 * BYTES,
                               .resident_backing = 2 * BYTES, .purged = 1,
                               .purged_released = BYTES, .host = 3 * BYTES,
                               .attaches = 3, .purges = 1, .refused = 4,
                               .released_total = BYTES });
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==,
                    dev->gl ? NO_MEMORY : BAD_PARAMETER);

    /* One array fits, four do not. */
    for (id = 0; id < 4; id++) {
        entries[id].addr = cpu_to_le64(HERE + 2 * id * PAGE);
        entries[id].length = cpu_to_le32(PAGE);
    }
    g_assert_cmphex(qvirtio_gpu_attach_entries(gpu, 4, entries, 4), ==,
                    NO_MEMORY);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 4, HERE, BYTES), ==, OK);

    g_assert_cmphex(qvirtio_gpu_unref(gpu, 4), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    g_assert_cmpuint(get_stat(gpu, "host-bytes-peak"), ==, limit - 1);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 11. A cursor that is over the limit is none. */
static void test_limit_cursor(const void *data)
{
    const Device *dev = data;
    g_autofree char *props = g_strdup_printf(",max_hostmem=%u",
                                             BYTES + ARRAY(dev) + 1);
    QVirtioGPU *gpu = start_with(dev, props);
    struct virtio_gpu_update_cursor cursor = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_UPDATE_CURSOR),
        .resource_id = cpu_to_le32(1),
    };

    make(gpu, 1);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    make(gpu, 2);
    qvirtio_gpu_cursor(gpu, &cursor);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                               .resident_backing = BYTES, .purged = 1,
                               .purged_released = BYTES, .host = BYTES,
                               .attaches = 2, .purges = 1,
                               .released_total = BYTES });
    qvirtio_gpu_shutdown(gpu);
}

static void check_context(QVirtioGPU *gpu, int at, int of, uint64_t id,
                          const char *name, uint64_t resources,
                          uint64_t bytes)
{
    QDict *resp = get_stats(gpu);
    QList *list = qdict_get_qlist(qdict_get_qdict(resp, "return"), "contexts");
    const QListEntry *e = qlist_first(list);
    QDict *ctx;

    g_assert_cmpint(qlist_size(list), ==, of);
    while (at--) {
        e = qlist_next(e);
    }
    ctx = qobject_to(QDict, qlist_entry_obj(e));
    CHECK(ctx, "id", id);
    g_assert_cmpstr(qdict_get_str(ctx, "name"), ==, name);
    CHECK(ctx, "resources", resources);
    CHECK(ctx, "host-bytes", bytes);
    qobject_unref(resp);
}

/* Who has how much: a resource counts in each context that has it. */
static void test_context_stats(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct virtio_gpu_ctx_create create = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_CTX_CREATE),
        .hdr.ctx_id = cpu_to_le32(7),
        .nlen = cpu_to_le32(UINT32_MAX),
        .debug_name = "glxgears",
    };

    make(gpu, 1);
    make(gpu, 2);
    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &create, sizeof(create), NULL,
                                    sizeof(create.hdr)), ==, OK);
    check_context(gpu, 0, 1, 7, "glxgears", 0, 0);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 3, 0), ==,
                    OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                    7, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                    7, 2), ==, OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                    3, 2), ==, OK);
    check_context(gpu, 0, 2, 3, "", 1, BYTES);
    check_context(gpu, 1, 2, 7, "glxgears", 2, 2 * BYTES);
    g_assert_cmphex(purge_one(gpu, 2), ==, PURGED);
    check_context(gpu, 0, 2, 3, "", 1, 0);
    check_context(gpu, 1, 2, 7, "glxgears", 2, BYTES);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 2, HERE, BYTES), ==, OK);
    check_context(gpu, 0, 2, 3, "", 1, BYTES);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, OK);
    check_context(gpu, 1, 2, 7, "glxgears", 1, BYTES);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_DESTROY, 3, 0), ==,
                    OK);
    check_context(gpu, 0, 1, 7, "glxgears", 1, BYTES);
    qvirtio_gpu_shutdown(gpu);
}

static const Case cases[] = {
    { "create", test_create, ON_PCI },
    { "create-3d", test_create_3d, ON_GL_PCI },
    { "limit", test_limit, ON_ALL },
    { "limit-cursor", test_limit_cursor, ON_PCI },
    { "context-stats", test_context_stats, ON_GL_PCI },
};

void add_accounting_cases(void)
{
    add_cases(cases, ARRAY_SIZE(cases));
}
