/*
 * QTest testcase for virtio-gpu memory reclaim: QEMU's memory usage
 *
 * The cases check RssAnon of the QEMU process.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"
#include "fuzz/virtio-gpu-fuzz-queue.h"

/* Wait until RssAnon has fallen from @from by 95 % of @by. */
static void check_rss_falls(QVirtioGPU *gpu, uint64_t from, uint64_t by)
{
    gint64 start = g_get_monotonic_time();

    while (rss_anon(gpu) > from - by / 100 * 95) {
        /* Documented as 100 ms; longer for busy machines. */
        g_assert_cmpint(g_get_monotonic_time() - start, <,
                        5 * G_USEC_PER_SEC);
        g_usleep(10000);
    }
    g_test_message("%" PRIu64 " MiB returned within %" PRIi64 " ms", by / MiB,
                   (g_get_monotonic_time() - start) / 1000);
}

static void fill_host(QVirtioGPU *gpu, uint32_t side, uint32_t n)
{
    uint32_t id;

    memset(gpu->ram + HERE, 0xa5, side * side * 4);
    for (id = 1; id <= n; id++) {
        g_assert_cmphex(qvirtio_gpu_create_2d(gpu, id, FORMAT, side, side), ==,
                        OK);
        g_assert_cmphex(qvirtio_gpu_attach(gpu, id, HERE, side * side * 4), ==,
                        OK);
        g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, id, side, side, 0), ==, OK);
    }
}

/* spec: Device 13. */
static void test_purge(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    uint32_t ids[16], i;
    uint64_t before;

    fill_host(gpu, 1024, 16);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==,
                     64 * MiB + 16 * IOV_BYTES(dev));
    before = rss_anon(gpu);
    g_assert_cmpuint(before, >, 64 * MiB);
    for (i = 0; i < 16; i++) {
        ids[i] = i + 1;
    }
    g_assert_cmphex(qvirtio_gpu_purge(gpu, ids, 16, NULL), ==,
                    VIRTIO_GPU_RESP_OK_PURGE);
    check_rss_falls(gpu, before, 64 * MiB);
    qvirtio_gpu_shutdown(gpu);
}

static void wait_for_trim(QVirtioGPU *gpu, uint64_t before)
{
    gint64 start = g_get_monotonic_time();

    while (get_stat(gpu, "trims") == before) {
        g_assert_cmpint(g_get_monotonic_time() - start, <,
                        30 * G_USEC_PER_SEC);
        g_usleep(10000);
    }
}

/*
 * The heap is trimmed once per burst of commands, not once per command. A busy
 * machine may delay each command so that each is a burst of its own, so retry.
 */
static void test_trims(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    uint64_t before, trims;
    uint32_t id;
    int tries;

    for (tries = 0; tries < 50; tries++) {
        fill_host(gpu, 512, 32);
        before = rss_anon(gpu);
        trims = get_stat(gpu, "trims");
        for (id = 1; id <= 32; id++) {
            g_assert_cmphex(purge_one(gpu, id), ==, PURGED);
        }
        wait_for_trim(gpu, trims);
        check_rss_falls(gpu, before, 32 * MiB);
        trims = get_stat(gpu, "trims") - trims;
        if (trims < 32) {
            break;
        }
        for (id = 1; id <= 32; id++) {
            g_assert_cmphex(qvirtio_gpu_unref(gpu, id), ==, OK);
        }
    }
    g_test_message("%" PRIu64 " trims in %" PRIu64 " us", trims,
                   get_stat(gpu, "trim-us"));
    g_assert_cmpuint(trims, <, 32);
    qvirtio_gpu_shutdown(gpu);
}

static void test_unref(const void *data)
{
    QVirtioGPU *gpu = start(data);
    uint64_t before;
    uint32_t id;

    fill_host(gpu, 1024, 16);
    before = rss_anon(gpu);
    for (id = 1; id <= 16; id++) {
        g_assert_cmphex(qvirtio_gpu_unref(gpu, id), ==, OK);
    }
    check_rss_falls(gpu, before, 64 * MiB);
    qvirtio_gpu_shutdown(gpu);
}

/* Deferred storage is returned when its last reference is dropped. */
static void test_deferred(const void *data)
{
    QVirtioGPU *gpu = start(data);
    uint32_t create[] = { CREATE_SURFACE, 77, 1, FORMAT, 0, 0 };
    uint32_t destroy[] = { DESTROY_SURFACE, 77 };
    const uint64_t size = 2048 * 2048 * 4;
    uint64_t before;

    fill_host(gpu, 2048, 1);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                    1, 1), ==, OK);
    g_assert_cmphex(submit(gpu, 1, create, ARRAY_SIZE(create), sizeof(create)),
                    ==, OK);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, OK);
    /* The surface references the storage, which stays allocated. */
    make(gpu, 2);
    set_contents(gpu, 2, HERE, RED);
    g_usleep(200000);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==,
                     size + BYTES + IOV_BYTES(&dev_gl));
    before = rss_anon(gpu);
    g_assert_cmpuint(before, >, size);
    g_assert_cmphex(submit(gpu, 1, destroy, ARRAY_SIZE(destroy),
                           sizeof(destroy)), ==, OK);
    check_rss_falls(gpu, before, size);
    qvirtio_gpu_shutdown(gpu);
}

/* Attaches that fail at the last of 16384 entries free their arrays. */
static void test_attach_leak(const void *data)
{
    QVirtioGPU *gpu = start(data);
    const uint32_t n = 16384;
    g_autofree struct virtio_gpu_mem_entry *entries =
        g_new0(struct virtio_gpu_mem_entry, n);
    uint64_t before = 0;
    int i;

    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 1, FORMAT, SIDE, SIDE), ==, OK);
    reverse_pages(entries, n, HERE);
    entries[n - 1].addr = cpu_to_le64(1ull << 45);
    for (i = 0; i < 220; i++) {
        g_assert_cmphex(qvirtio_gpu_attach_entries(gpu, 1, entries, n), ==,
                        BAD_PARAMETER);
        if (i == 20) {
            before = rss_anon(gpu);
        }
    }
    /* 200 leaked arrays would be more than 50 MiB. */
    g_assert_cmpuint(rss_anon(gpu), <, before + 16 * MiB);
    qvirtio_gpu_shutdown(gpu);
}

/* Send @cmd @n times, in batches. All must succeed if @good, else fail. */
static void send_creates(FuzzQueue *queue,
                         const struct virtio_gpu_resource_create_2d *cmd,
                         unsigned n, bool good)
{
    unsigned i;

    while (n) {
        fuzz_queue_clear(queue);
        for (i = 0; i < MIN(n, 32); i++) {
            g_assert_true(fuzz_queue_add(queue, NULL, cmd, sizeof(*cmd),
                                         sizeof(cmd->hdr)));
        }
        fuzz_queue_kick(queue);
        g_assert_true(fuzz_queue_wait(queue));
        for (n -= i; i--; ) {
            uint32_t type = ldl_le_p(fuzz_queue_get(queue, i)->in);

            g_assert_true(good ? type == OK : type >= UNSPEC);
        }
    }
}

/* Failed creates do not leak. */
static void test_create_leak(const void *data)
{
    const Device *dev = data;
    /* The renderer reports each error on stderr. */
    QVirtioGPU *gpu = start_with(dev, ",max_hostmem=1M 2>/dev/null");
    struct virtio_gpu_resource_create_2d bad[] = {
        { .resource_id = cpu_to_le32(2), .format = cpu_to_le32(0x7777) },
        { .resource_id = cpu_to_le32(1), .format = cpu_to_le32(FORMAT) },
        { .resource_id = 0, .format = cpu_to_le32(FORMAT) },
        { .resource_id = cpu_to_le32(2), .format = cpu_to_le32(FORMAT) },
    };
    const unsigned n = 20000;
    FuzzQueue *queue;
    uint64_t before;
    int i;

    queue = fuzz_queue_new(gpu, gpu->ctrl, 0, false);
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        bad[i].hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_CREATE_2D);
        bad[i].width = cpu_to_le32(i == 3 ? 32768 : SIDE);
        bad[i].height = cpu_to_le32(SIDE);
        if (le32_to_cpu(bad[i].resource_id) == 1) {
            send_creates(queue, &bad[i], 1, true);
        }
        send_creates(queue, &bad[i], 1000, false);
        before = rss_anon(gpu);
        send_creates(queue, &bad[i], n, false);
        /* The smallest possible leak is a resource structure, 100 bytes. */
        g_assert_cmpuint(rss_anon(gpu), <, before + n * 50);
    }
    fuzz_queue_free(queue);
    qvirtio_gpu_shutdown(gpu);
}

/* What a GL driver has for contexts is back when they end. */
static void test_contexts(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    uint64_t before, with;
    uint32_t ctx;

    before = rss_anon(gpu);
    for (ctx = 1; ctx <= 8; ctx++) {
        g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, ctx, 0),
                        ==, OK);
    }
    with = rss_anon(gpu);
    g_assert_cmpuint(with, >, before + 8 * MiB);
    for (ctx = 1; ctx <= 8; ctx++) {
        g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_DESTROY, ctx,
                                        0), ==, OK);
    }
    check_rss_falls(gpu, with, (with - before) / 2);
    qvirtio_gpu_shutdown(gpu);
}

static const Case cases[] = {
    { "purge", test_purge, ON_PCI },
    { "trims", test_trims, ON_PCI },
    { "unref", test_unref, ON_PCI },
    { "contexts", test_contexts, ON_GL_PCI },
    { "deferred", test_deferred, ON_GL_PCI },
    { "attach-leak", test_attach_leak, ON_PCI },
    { "create-leak", test_create_leak, ON_PCI },
};

void add_rss_cases(void)
{
    add_cases("rss", cases, ARRAY_SIZE(cases));
}
