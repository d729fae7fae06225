/*
 * QTest testcase for virtio-gpu memory reclaim: compressed contents
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/resource.h>
#include "qapi/qmp/qnum.h"
#include "virtio-gpu-reclaim-test.h"

#define COMPRESS ",x-evicted-compress=on"

/* Evict a resource, which is to be compressed soon after. */
static void detach(QVirtioGPU *gpu, uint32_t id)
{
    g_assert_cmphex(qvirtio_gpu_detach(gpu, id), ==, OK);
    advance_ms(gpu, 200);
}

static void evict(QVirtioGPU *gpu, uint32_t id, uint32_t pixel)
{
    make(gpu, id);
    set_contents(gpu, id, HERE, pixel);
    detach(gpu, id);
}

/* Attaching decompresses the resource without loss. */
static void check_decompressed(const Device *dev, QVirtioGPU *gpu, uint32_t id,
                       uint32_t pixel)
{
    g_assert_cmphex(qvirtio_gpu_attach(gpu, id, THERE, BYTES), ==, OK);
    check_contents(dev, gpu, id, THERE, pixel);
    detach(gpu, id);
}

static uint64_t sum_of_times(QVirtioGPU *gpu)
{
    QDict *resp = get_stats(gpu);
    QDict *in = qdict_get_qdict(qdict_get_qdict(resp, "return"),
                                "compressed");
    const QListEntry *entry;
    uint64_t sum = 0;

    QLIST_FOREACH_ENTRY(qdict_get_qlist(in, "decompress-us"), entry) {
        sum += qnum_get_uint(qobject_to(QNum, qlist_entry_obj(entry)));
    }
    qobject_unref(resp);
    return sum;
}

static void test_attach(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start_with(dev, COMPRESS);
    uint64_t compressed;
    QDict *resp, *in;

    evict(gpu, 1, RED);
    evict(gpu, 2, GREEN);
    wait_for(gpu, "compressed", "resources", 2);
    compressed = get_in(gpu, "compressed", "compressed-bytes");
    g_assert_cmpuint(compressed, >, 0);
    g_assert_cmpuint(compressed, <, BYTES);
    g_assert_cmpuint(get_in(gpu, "compressed", "uncompressed-bytes"), ==,
                     2 * BYTES);
    g_assert_cmpuint(get_in(gpu, "compressed", "ratio-percent"), ==,
                     compressed * 100 / (2 * BYTES));
    g_assert_cmpuint(get_in(gpu, "compressed", "compressions"), ==, 2);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, compressed);
    resp = get_stats(gpu);
    in = qdict_get_qdict(qdict_get_qdict(resp, "return"), "evicted");
    CHECK(in, "resources", 2);
    CHECK(in, "host-bytes", 0);
    CHECK(in, "compressed-bytes", compressed);
    qobject_unref(resp);

    check_decompressed(dev, gpu, 1, RED);
    check_decompressed(dev, gpu, 2, GREEN);
    g_assert_cmpuint(get_in(gpu, "compressed", "decompressions"), ==, 2);
    g_assert_cmpuint(sum_of_times(gpu), ==, 2);
    qvirtio_gpu_shutdown(gpu);
}

static void test_compress_off(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);

    evict(gpu, 1, RED);
    advance_ms(gpu, 300);
    g_usleep(300000);
    g_assert_cmpuint(get_in(gpu, "compressed", "compressions"), ==, 0);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, BYTES);
    check_decompressed(dev, gpu, 1, RED);
    qvirtio_gpu_shutdown(gpu);
}

/* Uses without backing: scanout, and reference in a command stream. */
static void test_use(const void *data)
{
    /* virglrenderer protocol: create a surface on resource 1; bind it. */
    uint32_t create[] = { 1 | 8 << 8 | 5 << 16, 77, 1, FORMAT, 0, 0 };
    uint32_t bind[] = { SET_FRAMEBUFFER, 1, 0, 77 };
    const Device *dev = data;
    QVirtioGPU *gpu = start_with(dev, COMPRESS);

    evict(gpu, 1, RED);
    wait_for(gpu, "compressed", "resources", 1);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==, OK);
    g_assert_cmpuint(get_in(gpu, "compressed", "resources"), ==, 0);
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 1, SIDE, SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 0, 0, 0), ==, OK);
    check_decompressed(dev, gpu, 1, RED);

    wait_for(gpu, "compressed", "resources", 1);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                    1, 1), ==, OK);
    g_assert_cmphex(submit(gpu, 1, create, ARRAY_SIZE(create), sizeof(create)),
                    ==, OK);
    g_assert_cmpuint(get_in(gpu, "compressed", "resources"), ==, 0);

    /* The storage leaves in spite of the surface, and is back to be used. */
    check_decompressed(dev, gpu, 1, RED);
    wait_for(gpu, "compressed", "resources", 1);
    g_assert_cmphex(submit(gpu, 1, bind, ARRAY_SIZE(bind), sizeof(bind)), ==,
                    OK);
    g_assert_cmpuint(get_in(gpu, "compressed", "resources"), ==, 0);
    check_decompressed(dev, gpu, 1, RED);
    qvirtio_gpu_shutdown(gpu);
}

static void test_scanout(const void *data)
{
    QVirtioGPU *gpu = start_with(data, COMPRESS);

    make(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    evict(gpu, 2, RED);
    wait_for(gpu, "compressed", "compressions", 1);
    advance_ms(gpu, 300);
    g_usleep(300000);
    g_assert_cmpuint(get_in(gpu, "compressed", "compressions"), ==, 1);
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 1, SIDE, SIDE), ==, OK);
    qvirtio_gpu_shutdown(gpu);
}

static void test_limit(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start_with(dev, COMPRESS ",x-compressed-max=1");

    evict(gpu, 1, RED);
    wait_for(gpu, "stays", "limit", BYTES);
    g_assert_cmpuint(get_in(gpu, "compressed", "resources"), ==, 0);
    check_decompressed(dev, gpu, 1, RED);
    qvirtio_gpu_shutdown(gpu);
}

static void test_discard(const void *data)
{
    QVirtioGPU *gpu = start_with(data, COMPRESS);
    uint32_t id;

    for (id = 1; id <= 3; id++) {
        evict(gpu, id, RED);
    }
    wait_for(gpu, "compressed", "resources", 3);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmpuint(get_stat(gpu, "released-bytes-total"), ==, BYTES);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    check_contents(data, gpu, 1, HERE, 0);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 2), ==, OK);
    g_assert_cmpuint(get_in(gpu, "compressed", "resources"), ==, 1);

    qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
    g_assert_cmpuint(get_in(gpu, "compressed", "resources"), ==, 0);
    g_assert_cmpuint(get_in(gpu, "compressed", "compressed-bytes"), ==, 0);
    evict(gpu, 3, GREEN);
    wait_for(gpu, "compressed", "resources", 1);
    check_decompressed(data, gpu, 3, GREEN);
    qvirtio_gpu_shutdown(gpu);
}

/* Limit QEMU's address space to @headroom more bytes; 0: no limit. */
static void limit_memory(QVirtioGPU *gpu, uint64_t headroom)
{
    struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

    if (headroom) {
        g_autofree char *path = g_strdup_printf("/proc/%d/statm", gpu->pid);
        g_autofree char *text = NULL;

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        limit.rlim_cur = g_ascii_strtoull(text, NULL, 10) *
                         qemu_real_host_page_size() + headroom;
    }
    g_assert_cmpint(prlimit(gpu->pid, RLIMIT_AS, &limit, NULL), ==, 0);
}

/* If decompression is out of memory, the command fails and loses no data. */
static void test_no_memory(const void *data)
{
    const struct virtio_gpu_resource_create_3d large =
        buffer_3d(1, 256 * MiB);
    /* virglrenderer protocol: bind resource 1 as vertex buffer. */
    uint32_t bind[] = { 6 | 3 << 16, 16, 0, 1 };
    QVirtioGPU *gpu = start_with(data, COMPRESS);
    uint32_t i;

    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &large), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    fill_ram(gpu, HERE, BYTES, RED);
    g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, true, 0, 1, BYTES, 1), ==,
                    OK);
    detach(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                    1, 1), ==, OK);
    wait_for(gpu, "compressed", "resources", 1);

    limit_memory(gpu, 64 * MiB);
    for (i = 0; i < 3; i++) {
        g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==,
                        NO_MEMORY);
        g_assert_cmphex(submit(gpu, 1, bind, ARRAY_SIZE(bind), sizeof(bind)),
                        ==, NO_MEMORY);
    }
    g_assert_cmpuint(get_in(gpu, "compressed", "resources"), ==, 1);
    limit_memory(gpu, 0);

    g_assert_cmphex(submit(gpu, 1, bind, ARRAY_SIZE(bind), sizeof(bind)), ==,
                    OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    fill_ram(gpu, HERE, BYTES, GREEN);
    g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, false, 0, 1, BYTES, 1), ==,
                    OK);
    check_ram(gpu, HERE, BYTES, RED);
    qvirtio_gpu_shutdown(gpu);
}

/* Invalid combinations of properties are reported. */
static void test_bad_properties(const void *data)
{
    static const BadOptions bad[] = {
        { "virtio-gpu-gl-pci,x-evicted-compress=on", "needs x-reclaim=on" },
        { "virtio-gpu-gl-pci,x-compressed-max=1M", "needs x-reclaim=on" },
        { "virtio-gpu-gl-pci,x-reclaim=on,x-evicted-compress=disk",
          "x-evicted-compress" },
        { "virtio-gpu-pci,x-reclaim=on,x-evicted-compress=on",
          "x-evicted-compress" },
    };

    check_bad_options(bad, ARRAY_SIZE(bad));
}

static const Case cases[] = {
    { "compress-attach", test_attach, ON_GL },
    { "compress-off", test_compress_off, ON_GL },
    { "compress-use", test_use, ON_GL },
    { "compress-scanout", test_scanout, ON_GL },
    { "compress-limit", test_limit, ON_GL },
    { "compress-discard", test_discard, ON_GL },
    { "compress-bad-properties", test_bad_properties, ON_GL_PCI },
};

/* Sanitizers abort if an allocation fails. */
static const Case memory_cases[] = {
    { "compress-no-memory", test_no_memory, ON_GL_PCI },
};

void add_compress_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
    add_cases("rss", memory_cases, ARRAY_SIZE(memory_cases));
}
