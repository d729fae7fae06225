/*
 * Benchmark of host memory: what is counted, and what comes back
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 *     virtio-gpu-bench-memory
 *
 * For each kind of resource, in rounds: creates resources with contents, purges
 * them, and compares the device's statistics with QEMU's RssAnon. Prints lines
 * 'bench name=value ...', in bytes.
 */

#include "qemu/osdep.h"
#include "tests/qtest/virtio-gpu-reclaim-test.h"

#define ROUNDS 5

/* Resources of 4 MiB, which share a backing. */
#define COUNT 32
#define EACH (4 * MiB)
#define WIDTH 1024

/* Handles of the surfaces, which are not those of anything else. */
#define SURFACE 1000

typedef struct Kind {
    const char *name;
    const Device *dev;
    uint32_t target, format, bind, width, height, layers;
    bool views;
} Kind;

static const Kind kinds[] = {
    { "image", &dev_2d },
    { "texture", &dev_gl, TARGET_2D, FORMAT, BIND_RENDER_TARGET,
      WIDTH, EACH / 4 / WIDTH, 1 },
    { "texture-with-views", &dev_gl, TARGET_2D, FORMAT, BIND_RENDER_TARGET,
      WIDTH, EACH / 4 / WIDTH, 1, true },
    { "cube", &dev_gl, TARGET_CUBE, FORMAT, BIND_SAMPLER_VIEW, 416, 416, 6 },
    { "buffer", &dev_gl, TARGET_BUFFER, FORMAT_R8, BIND_VERTEX_BUFFER,
      EACH, 1, 1 },
};

/* Write all layers of @id, level 0. */
static void fill_3d(QVirtioGPU *gpu, const Kind *kind, uint32_t id)
{
    struct virtio_gpu_transfer_host_3d cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D),
        .resource_id = cpu_to_le32(id),
        .box.w = cpu_to_le32(kind->width),
        .box.h = cpu_to_le32(kind->height),
        .box.d = cpu_to_le32(kind->layers),
    };

    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL,
                                    sizeof(cmd.hdr)), ==, OK);
}

static void create(QVirtioGPU *gpu, const Kind *kind, uint32_t id)
{
    struct virtio_gpu_resource_create_3d res = {
        .resource_id = cpu_to_le32(id),
        .target = cpu_to_le32(kind->target),
        .format = cpu_to_le32(kind->format),
        .bind = cpu_to_le32(kind->bind),
        .width = cpu_to_le32(kind->width),
        .height = cpu_to_le32(kind->height),
        .depth = cpu_to_le32(1),
        .array_size = cpu_to_le32(kind->layers),
    };
    uint32_t surface[] = { CREATE_SURFACE, SURFACE + id, id, FORMAT, 0, 0 };

    if (!kind->dev->gl) {
        g_assert_cmphex(qvirtio_gpu_create_2d(gpu, id, FORMAT, WIDTH,
                                              EACH / 4 / WIDTH), ==, OK);
    } else {
        g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &res), ==, OK);
    }
    g_assert_cmphex(qvirtio_gpu_attach(gpu, id, HERE, 5 * MiB), ==, OK);
    if (!kind->dev->gl) {
        g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, id, WIDTH,
                                               EACH / 4 / WIDTH, 0), ==, OK);
        return;
    }
    fill_3d(gpu, kind, id);
    if (kind->views) {
        g_assert_cmphex(qvirtio_gpu_ctx(gpu,
                                        VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1,
                                        id), ==, OK);
        g_assert_cmphex(submit(gpu, 1, surface, ARRAY_SIZE(surface),
                               sizeof(surface)), ==, OK);
    }
}

static uint64_t counted(QVirtioGPU *gpu)
{
    return get_stat(gpu, "host-bytes") + get_stat(gpu, "overhead-bytes");
}

static void delete_all(QVirtioGPU *gpu, const Kind *kind)
{
    uint32_t id;

    for (id = 1; id <= COUNT; id++) {
        uint32_t surface[] = { DESTROY_SURFACE, SURFACE + id };

        if (kind->views) {
            g_assert_cmphex(submit(gpu, 1, surface, ARRAY_SIZE(surface),
                                   sizeof(surface)), ==, OK);
        }
        g_assert_cmphex(qvirtio_gpu_unref(gpu, id), ==, OK);
    }
}

/* A round; the numbers of the first one are not of interest. */
static void run_round(QVirtioGPU *gpu, const Kind *kind, int round)
{
    uint64_t counted_before = counted(gpu), before = rss_anon(gpu);
    uint64_t full, all, released;
    uint32_t ids[COUNT], results[COUNT], id;

    for (id = 1; id <= COUNT; id++) {
        create(gpu, kind, id);
        ids[id - 1] = id;
    }
    full = rss_anon(gpu);
    all = counted(gpu);
    released = get_stat(gpu, "released-bytes-total");
    g_assert_cmphex(qvirtio_gpu_purge(gpu, ids, COUNT, results), ==,
                    VIRTIO_GPU_RESP_OK_PURGE);
    /* Documented for the device. */
    g_usleep(100000);
    if (round) {
        printf("bench what=memory kind=%s round=%d counted=%" PRIu64 " rise=%"
               PRIu64 " released=%" PRIu64 " fall=%" PRIu64 "\n", kind->name,
               round, all - counted_before, full - before,
               get_stat(gpu, "released-bytes-total") - released,
               full - MIN(full, rss_anon(gpu)));
    }
    delete_all(gpu, kind);
    /* Until the heap has been trimmed. */
    g_usleep(300000);
}

int main(int argc, char **argv)
{
    size_t i;
    int round;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (i = 0; i < ARRAY_SIZE(kinds); i++) {
        QVirtioGPU *gpu = start(kinds[i].dev);

        memset(gpu->ram + HERE, 0xa5, 5 * MiB);
        if (kinds[i].dev->gl) {
            g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1,
                                            0), ==, OK);
        }
        for (round = 0; round <= ROUNDS; round++) {
            run_round(gpu, &kinds[i], round);
        }
        qvirtio_gpu_shutdown(gpu);
    }
    return 0;
}
