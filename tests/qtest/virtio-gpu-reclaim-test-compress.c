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

/* Generous: only a failure takes this long. */
#define TIMEOUT_US (30 * G_USEC_PER_SEC)

/* Get a number from the member "compressed", or from its member "skipped". */
static uint64_t compress_stat(QVirtioGPU *gpu, const char *name)
{
    QDict *resp = get_stats(gpu);
    QDict *in = qdict_get_qdict(qdict_get_qdict(resp, "return"),
                                "compressed");
    uint64_t value;

    if (!qdict_haskey(in, name)) {
        in = qdict_get_qdict(in, "skipped");
    }
    value = qdict_get_int(in, name);
    qobject_unref(resp);
    return value;
}

static void wait_for(QVirtioGPU *gpu, const char *name, uint64_t value)
{
    gint64 start = g_get_monotonic_time();

    while (compress_stat(gpu, name) != value) {
        g_assert_cmpint(g_get_monotonic_time() - start, <, TIMEOUT_US);
        qtest_clock_step(gpu->qts, 10 * 1000 * 1000);
        g_usleep(10000);
    }
}

static void evict(QVirtioGPU *gpu, uint32_t id, uint32_t pixel)
{
    make(gpu, id);
    set_contents(gpu, id, HERE, pixel);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, id), ==, OK);
}

/* Attaching decompresses the resource without loss. */
static void check_decompressed(const Device *dev, QVirtioGPU *gpu, uint32_t id,
                       uint32_t pixel)
{
    g_assert_cmphex(qvirtio_gpu_attach(gpu, id, THERE, BYTES), ==, OK);
    check_contents(dev, gpu, id, THERE, pixel);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, id), ==, OK);
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
    wait_for(gpu, "resources", 2);
    compressed = compress_stat(gpu, "compressed-bytes");
    g_assert_cmpuint(compressed, >, 0);
    g_assert_cmpuint(compressed, <, BYTES);
    g_assert_cmpuint(compress_stat(gpu, "uncompressed-bytes"), ==, 2 * BYTES);
    g_assert_cmpuint(compress_stat(gpu, "ratio-percent"), ==,
                     compressed * 100 / (2 * BYTES));
    g_assert_cmpuint(compress_stat(gpu, "compressions"), ==, 2);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, compressed);
    resp = get_stats(gpu);
    in = qdict_get_qdict(qdict_get_qdict(resp, "return"), "evicted");
    CHECK(in, "resources", 2);
    CHECK(in, "host-bytes", 0);
    CHECK(in, "compressed-bytes", compressed);
    qobject_unref(resp);

    check_decompressed(dev, gpu, 1, RED);
    check_decompressed(dev, gpu, 2, GREEN);
    g_assert_cmpuint(compress_stat(gpu, "decompressions"), ==, 2);
    g_assert_cmpuint(sum_of_times(gpu), ==, 2);
    qvirtio_gpu_shutdown(gpu);
}

static void test_compress_off(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);

    evict(gpu, 1, RED);
    qtest_clock_step(gpu->qts, 300 * 1000 * 1000);
    g_usleep(300000);
    g_assert_cmpuint(compress_stat(gpu, "compressions"), ==, 0);
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
    wait_for(gpu, "resources", 1);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==, OK);
    g_assert_cmpuint(compress_stat(gpu, "resources"), ==, 0);
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 1, SIDE, SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 0, 0, 0), ==, OK);
    check_decompressed(dev, gpu, 1, RED);

    wait_for(gpu, "resources", 1);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                    1, 1), ==, OK);
    g_assert_cmphex(submit(gpu, 1, create, ARRAY_SIZE(create), sizeof(create)),
                    ==, OK);
    g_assert_cmpuint(compress_stat(gpu, "resources"), ==, 0);

    /* The storage leaves in spite of the surface, and is back to be used. */
    check_decompressed(dev, gpu, 1, RED);
    wait_for(gpu, "resources", 1);
    g_assert_cmphex(submit(gpu, 1, bind, ARRAY_SIZE(bind), sizeof(bind)), ==,
                    OK);
    g_assert_cmpuint(compress_stat(gpu, "resources"), ==, 0);
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
    wait_for(gpu, "compressions", 1);
    qtest_clock_step(gpu->qts, 300 * 1000 * 1000);
    g_usleep(300000);
    g_assert_cmpuint(compress_stat(gpu, "compressions"), ==, 1);
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 1, SIDE, SIDE), ==, OK);
    qvirtio_gpu_shutdown(gpu);
}

static void test_limit(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start_with(dev, COMPRESS ",x-compressed-max=1");

    evict(gpu, 1, RED);
    wait_for(gpu, "limit", 1);
    g_assert_cmpuint(compress_stat(gpu, "resources"), ==, 0);
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
    wait_for(gpu, "resources", 3);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmpuint(get_stat(gpu, "released-bytes-total"), ==, BYTES);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    check_contents(data, gpu, 1, HERE, 0);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 2), ==, OK);
    g_assert_cmpuint(compress_stat(gpu, "resources"), ==, 1);

    qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
    g_assert_cmpuint(compress_stat(gpu, "resources"), ==, 0);
    g_assert_cmpuint(compress_stat(gpu, "compressed-bytes"), ==, 0);
    evict(gpu, 3, GREEN);
    wait_for(gpu, "resources", 1);
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
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                    1, 1), ==, OK);
    wait_for(gpu, "resources", 1);

    limit_memory(gpu, 64 * MiB);
    for (i = 0; i < 3; i++) {
        g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==,
                        NO_MEMORY);
        g_assert_cmphex(submit(gpu, 1, bind, ARRAY_SIZE(bind), sizeof(bind)),
                        ==, NO_MEMORY);
    }
    g_assert_cmpuint(compress_stat(gpu, "resources"), ==, 1);
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
    static const struct {
        const char *device, *error;
    } bad[] = {
        { "virtio-gpu-gl-pci,x-evicted-compress=on", "needs x-reclaim=on" },
        { "virtio-gpu-gl-pci,x-compressed-max=1M", "needs x-reclaim=on" },
        { "virtio-gpu-gl-pci,x-reclaim=on,x-evicted-compress=disk",
          "x-evicted-compress" },
        { "virtio-gpu-pci,x-reclaim=on,x-evicted-compress=on",
          "x-evicted-compress" },
    };
    int i;

    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        g_autofree char *line = g_strdup_printf(
            "%s -nodefaults -S -display egl-headless -device %s",
            getenv("QTEST_QEMU_BINARY"), bad[i].device);
        g_autofree char *error = NULL;
        int status;

        g_assert_true(g_spawn_command_line_sync(line, NULL, &error, &status,
                                                NULL));
        g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
        g_assert_nonnull(strstr(error, bad[i].error));
    }
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
