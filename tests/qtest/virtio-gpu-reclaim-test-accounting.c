/*
 * QTest testcase for virtio-gpu memory reclaim: resource sizes, limit, contexts
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

/* spec: Errors 1. */
static void test_create_3d(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct virtio_gpu_resource_create_3d res = texture_3d(1);
    uint64_t want = BYTES;

    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &res), ==, OK);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, want);

    /* All mip levels: 64 x 64, 32 x 32, ... 1 x 1. */
    res.resource_id = cpu_to_le32(2);
    res.last_level = cpu_to_le32(6);
    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &res), ==, OK);
    want += 4 * (4096 + 1024 + 256 + 64 + 16 + 4 + 1);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, want);

    /* Larger than the renderer supports. */
    res.resource_id = cpu_to_le32(3);
    res.last_level = cpu_to_le32(200);
    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &res), ==, BAD_PARAMETER);
    res.last_level = 0;
    res.width = cpu_to_le32(UINT32_MAX);
    res.height = cpu_to_le32(UINT32_MAX);
    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &res), ==, BAD_PARAMETER);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, want);
    g_assert_cmpuint(get_stat(gpu, "errors"), ==, 2);
    qvirtio_gpu_shutdown(gpu);
}

/*
 * Sizes of textures and buffers, computed by hand from the blocks of the
 * format, layers, levels and samples. Formats and targets are as encoded in
 * commands; software rendering supports all of them.
 */
static const struct {
    const char *name;
    uint32_t target, format, bind, width, height, depth, array_size;
    uint32_t last_level, nr_samples;
    uint64_t bytes;
} sizes[] = {
    { "buffer: bytes, independent of the format", 0, 31, BIND_VERTEX_BUFFER,
      1000, 1, 1, 1, 0, 0, 1000 },
    { "1D, RGBA8, 100 wide", 1, 67, BIND_SAMPLER_VIEW,
      100, 1, 1, 1, 0, 0, 400 },
    { "1D, RGBA8, 100, 50, 25, 12, 6, 3, 1 wide", 1, 67, BIND_SAMPLER_VIEW,
      100, 1, 1, 1, 6, 0, 788 },
    { "1D array, RGBA8, 5 layers, 64 and 32 wide", 6, 67, BIND_SAMPLER_VIEW,
      64, 1, 1, 5, 1, 0, 1920 },
    { "2D, R8, odd width and height", 2, 64, BIND_SAMPLER_VIEW,
      33, 7, 1, 1, 0, 0, 231 },
    { "2D, RGBA32F", 2, 31, BIND_SAMPLER_VIEW, 10, 10, 1, 1, 0, 0, 1600 },
    { "2D, Z32F_S8X24: 8 bytes", 2, 126, 1, 16, 16, 1, 1, 0, 0, 2048 },
    { "2D, 20x10, 10x5, 5x2, 2x1, 1x1", 2, 67, BIND_SAMPLER_VIEW,
      20, 10, 1, 1, 4, 0, 1052 },
    { "2D array, 3 layers, 16x8 and 8x4", 7, 67, BIND_SAMPLER_VIEW,
      16, 8, 1, 3, 1, 0, 1920 },
    { "3D, 8x8x8, 4x4x4, 2x2x2, 1x1x1", 3, 67, BIND_SAMPLER_VIEW,
      8, 8, 8, 1, 3, 0, 2340 },
    { "3D, 8x4x2, 4x2x1, 2x1x1, 1x1x1", 3, 67, BIND_SAMPLER_VIEW,
      8, 4, 2, 1, 3, 0, 300 },
    { "cube: 6 faces of 32x32", 4, 67, BIND_SAMPLER_VIEW,
      32, 32, 1, 6, 0, 0, 24576 },
    { "cube: 6 faces of 4x4, 2x2, 1x1", 4, 67, BIND_SAMPLER_VIEW,
      4, 4, 1, 6, 2, 0, 504 },
    { "cube array: 2 cubes of 8x8 and 4x4", 8, 67, BIND_SAMPLER_VIEW,
      8, 8, 1, 12, 1, 0, 3840 },
    { "rectangle", 5, 67, BIND_SAMPLER_VIEW, 30, 20, 1, 1, 0, 0, 2400 },
    { "4 samples", 2, 67, BIND_RENDER_TARGET, 16, 16, 1, 1, 0, 4, 4096 },
    { "4 samples in 2 layers", 7, 67, BIND_RENDER_TARGET,
      16, 16, 1, 2, 0, 4, 8192 },
    { "DXT1: 4x4 pixels in 8 bytes", 2, 105, BIND_SAMPLER_VIEW,
      16, 16, 1, 1, 0, 0, 128 },
    { "DXT5: 4x4 pixels in 16 bytes, partial blocks", 2, 108,
      BIND_SAMPLER_VIEW, 9, 5, 1, 1, 0, 0, 96 },
    { "DXT5, 8x8, 4x4, 2x2, 1x1: at least one block", 2, 108,
      BIND_SAMPLER_VIEW, 8, 8, 1, 1, 3, 0, 112 },
    { "DXT1 array, 3 layers of 8x8", 7, 105, BIND_SAMPLER_VIEW,
      8, 8, 1, 3, 0, 0, 96 },
    { "RGTC2: 4x4 pixels in 16 bytes", 2, 115, BIND_SAMPLER_VIEW,
      12, 4, 1, 1, 0, 0, 48 },
    { "BPTC: 4x4 pixels in 16 bytes, 6 faces", 4, 255, BIND_SAMPLER_VIEW,
      8, 8, 1, 6, 0, 0, 384 },
};

static void test_sizes(const void *data)
{
    QVirtioGPU *gpu = start(data);
    uint64_t released = 0;
    uint32_t id = 1;
    int i;

    for (i = 0; i < ARRAY_SIZE(sizes); i++) {
        struct virtio_gpu_resource_create_3d res = {
            .resource_id = cpu_to_le32(id),
            .target = cpu_to_le32(sizes[i].target),
            .format = cpu_to_le32(sizes[i].format),
            .bind = cpu_to_le32(sizes[i].bind),
            .width = cpu_to_le32(sizes[i].width),
            .height = cpu_to_le32(sizes[i].height),
            .depth = cpu_to_le32(sizes[i].depth),
            .array_size = cpu_to_le32(sizes[i].array_size),
            .last_level = cpu_to_le32(sizes[i].last_level),
            .nr_samples = cpu_to_le32(sizes[i].nr_samples),
        };

        g_test_message("%s: %" PRIu64, sizes[i].name, sizes[i].bytes);
        g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &res), ==, OK);
        g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, sizes[i].bytes);
        g_assert_cmphex(purge_one(gpu, id), ==, PURGED);
        released += sizes[i].bytes;
        g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, 0);
        g_assert_cmpuint(get_stat(gpu, "released-bytes-total"), ==, released);
        /* Restoring it allocates the same size. */
        g_assert_cmphex(qvirtio_gpu_attach(gpu, id, HERE, PAGE), ==, OK);
        g_assert_cmphex(qvirtio_gpu_detach(gpu, id), ==, OK);
        g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, sizes[i].bytes);
        g_assert_cmphex(qvirtio_gpu_unref(gpu, id), ==, OK);
        g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, 0);
    }
    qvirtio_gpu_shutdown(gpu);
}

/* For an exact limit: nothing can be compressed to make room. */
#define NO_ROOM(dev) ((dev)->gl ? ",x-compressed-max=1" : "")

/*
 * spec: Device 14; Errors 1. Rejected commands allocate nothing. The iovecs of
 * mappings count against the limit.
 */
static void test_limit(const void *data)
{
    const Device *dev = data;
    const uint64_t overhead = OVERHEAD(dev);
    const uint64_t limit = 3 * (BYTES + IOV_BYTES(dev)) + 4 * overhead + 1;
    g_autofree char *props = g_strdup_printf(",max_hostmem=%" PRIu64 "%s",
                                             limit, NO_ROOM(dev));
    QVirtioGPU *gpu = start_with(dev, props);
    struct virtio_gpu_mem_entry entries[4];
    uint32_t id;

    /*
     * 3 resources, the overhead of a purged one and a byte fit below the limit,
     * but not a fourth resource.
     */
    for (id = 1; id <= 3; id++) {
        make(gpu, id);
    }
    g_assert_cmpuint(get_stat(gpu, "host-bytes-limit"), ==, limit);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==,
                     limit - 1 - 4 * overhead);
    g_assert_cmpuint(get_stat(gpu, "overhead-bytes"), ==, 3 * overhead);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 4, FORMAT, SIDE, SIDE), ==,
                    NO_MEMORY);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 4, FORMAT, 1, 1), ==,
                    NO_MEMORY);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 4, FORMAT, 65535, 65535), ==,
                    NO_MEMORY);

    /* A purge frees memory below the limit; a restore needs it again. */
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 4, FORMAT, SIDE, SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, NO_MEMORY);
    check_stats(gpu, (Stats) { .resident = 3, .resident_host = 3 * BYTES,
                               .resident_backing = 2 * BYTES, .purged = 1,
                               .purged_released = BYTES, .host = 3 * BYTES,
                               .attaches = 3, .purges = 1, .errors = 4,
                               .released_total = BYTES });
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==,
                    dev->gl ? NO_MEMORY : BAD_PARAMETER);

    /* The iovec of one mapping fits, those of four do not. */
    for (id = 0; id < 4; id++) {
        entries[id].addr = cpu_to_le64(HERE + 2 * id * PAGE);
        entries[id].length = cpu_to_le32(PAGE);
    }
    g_assert_cmphex(qvirtio_gpu_attach_entries(gpu, 4, entries, 4), ==,
                    NO_MEMORY);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 4, HERE, BYTES), ==, OK);

    g_assert_cmphex(qvirtio_gpu_unref(gpu, 4), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    g_assert_cmpuint(get_stat(gpu, "host-bytes-peak"), ==,
                     limit - 1 - 4 * overhead);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 14. A cursor that would exceed the limit is not restored. */
static void test_limit_cursor(const void *data)
{
    const Device *dev = data;
    g_autofree char *props = g_strdup_printf(",max_hostmem=%u%s",
                                             BYTES + IOV_BYTES(dev) +
                                             2 * OVERHEAD(dev) + 1,
                                             NO_ROOM(dev));
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

/* A resource counts in each context that it is attached to. */
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

/*
 * A purge releases the storage of a resource that a context has a surface of.
 * If the resource is destroyed the surface keeps it, and it stays accounted.
 */
static void test_deferred(const void *data)
{
    QVirtioGPU *gpu = start(data);
    uint32_t create[] = { CREATE_SURFACE, 77, 1, FORMAT, 0, 0 };
    uint32_t destroy[] = { DESTROY_SURFACE, 77 };

    make(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                    1, 1), ==, OK);
    g_assert_cmphex(submit(gpu, 1, create, ARRAY_SIZE(create), sizeof(create)),
                    ==, OK);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    check_stats(gpu, (Stats) { .purged = 1, .purged_released = BYTES,
                               .attaches = 1, .purges = 1,
                               .released_total = BYTES });
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, OK);
    check_stats(gpu, (Stats) { .deferred = 1, .deferred_host = BYTES,
                               .host = BYTES, .attaches = 2, .purges = 1,
                               .restores = 1, .released_total = BYTES });
    g_assert_cmphex(submit(gpu, 1, destroy, ARRAY_SIZE(destroy),
                           sizeof(destroy)), ==, OK);
    check_stats(gpu, (Stats) { .attaches = 2, .purges = 1, .restores = 1,
                               .released_total = BYTES });
    qvirtio_gpu_shutdown(gpu);
}

/* Drawing with a surface of a purged resource restores it, and is accounted. */
static void test_purged_use(const void *data)
{
    QVirtioGPU *gpu = start(data);
    uint32_t create[] = { CREATE_SURFACE, 77, 1, FORMAT, 0, 0 };
    uint32_t bind[] = { SET_FRAMEBUFFER, 1, 0, 77 };

    make(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                    1, 1), ==, OK);
    g_assert_cmphex(submit(gpu, 1, create, ARRAY_SIZE(create), sizeof(create)),
                    ==, OK);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmphex(submit(gpu, 1, bind, ARRAY_SIZE(bind), sizeof(bind)), ==,
                    OK);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                               .host = BYTES, .attaches = 1, .purges = 1,
                               .restores = 1, .released_total = BYTES });
    qvirtio_gpu_shutdown(gpu);
}

static const Case cases[] = {
    { "create", test_create, ON_ALL },
    { "create-3d", test_create_3d, ON_GL },
    { "deferred", test_deferred, ON_GL },
    { "purged-use", test_purged_use, ON_GL },
    { "sizes", test_sizes, ON_GL },
    { "limit", test_limit, ON_ALL },
    { "limit-cursor", test_limit_cursor, ON_ALL },
    { "context-stats", test_context_stats, ON_GL },
};

void add_accounting_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
