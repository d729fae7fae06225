/*
 * QTest testcase for virtio-gpu memory reclaim: attach and detach
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

/* spec: Device 2, 3. */
static void test_round_trip(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);

    make(gpu, 1);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                               .resident_backing = BYTES, .host = BYTES,
                               .attaches = 1 });
    set_contents(gpu, 1, HERE, RED);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    check_stats(gpu, (Stats) { .evicted = 1, .evicted_host = BYTES,
                               .host = BYTES, .attaches = 1, .detaches = 1 });

    /* The guest can reuse the detached pages. */
    fill_ram(gpu, HERE, BYTES, 0x123456);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, THERE, BYTES + PAGE), ==, OK);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                               .resident_backing = BYTES + PAGE, .host = BYTES,
                               .attaches = 2, .detaches = 1 });
    check_contents(dev, gpu, 1, THERE, RED);
    check_ram(gpu, HERE, BYTES, 0x123456);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 5. */
static void test_attach_twice(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);

    make(gpu, 1);
    set_contents(gpu, 1, HERE, RED);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, THERE, BYTES), ==, UNSPEC);
    check_contents(dev, gpu, 1, HERE, RED);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                               .resident_backing = BYTES, .host = BYTES,
                               .attaches = 1, .errors = 1 });
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 6. */
static void test_detach_unbacked(const void *data)
{
    QVirtioGPU *gpu = start(data);

    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, BAD_RESOURCE);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 1, FORMAT, SIDE, SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, UNSPEC);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, UNSPEC);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, UNSPEC);
    check_stats(gpu, (Stats) { .purged = 1, .purged_released = BYTES,
                               .attaches = 1, .detaches = 1, .purges = 1,
                               .errors = 4, .released_total = BYTES });
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 5. */
static void test_attach_bad_count(const void *data)
{
    QVirtioGPU *gpu = start(data);
    struct virtio_gpu_resource_attach_backing cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING),
        .resource_id = cpu_to_le32(1),
    };
    static const uint32_t counts[] = { 0, 1, 16384, 16389, 1u << 28,
                                       UINT32_MAX };
    int i;

    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, BAD_RESOURCE);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 1, FORMAT, SIDE, SIDE), ==, OK);
    /* No entries follow, whatever nr_entries is. */
    for (i = 0; i < ARRAY_SIZE(counts); i++) {
        cmd.nr_entries = cpu_to_le32(counts[i]);
        g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL,
                                        sizeof(cmd.hdr)), ==, BAD_PARAMETER);
    }
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, 0), ==, BAD_PARAMETER);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                               .host = BYTES,
                               .errors = ARRAY_SIZE(counts) + 2 });
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 5. */
static void test_attach_bad_address(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    static const uint64_t bad[] = {
        QVIRTIO_GPU_RAM,                        /* beyond RAM */
        QVIRTIO_GPU_RAM - PAGE,                 /* partly beyond RAM */
        0xfee00000,                             /* MMIO: the local APIC */
        0xfffc0000,                             /* ROM */
        1ull << 45, UINT64_MAX - PAGE,
    };
    struct virtio_gpu_mem_entry entries[2] = {
        { .addr = cpu_to_le64(HERE), .length = cpu_to_le32(BYTES) },
    };
    struct virtio_gpu_mem_entry many[17];
    int i;

    reverse_pages(many, ARRAY_SIZE(many) - 1, HERE);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 1, FORMAT, SIDE, SIDE), ==, OK);
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        /* First alone, then after a valid entry, and after many. */
        g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, bad[i], 2 * PAGE), ==,
                        BAD_PARAMETER);
        entries[1].addr = cpu_to_le64(bad[i]);
        entries[1].length = cpu_to_le32(2 * PAGE);
        g_assert_cmphex(qvirtio_gpu_attach_entries(gpu, 1, entries, 2), ==,
                        BAD_PARAMETER);
        many[ARRAY_SIZE(many) - 1] = entries[1];
        g_assert_cmphex(qvirtio_gpu_attach_entries(gpu, 1, many,
                                                   ARRAY_SIZE(many)), ==,
                        BAD_PARAMETER);
    }
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = BYTES,
                               .host = BYTES,
                               .errors = 3 * ARRAY_SIZE(bad) });
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    set_contents(gpu, 1, HERE, RED);
    check_contents(dev, gpu, 1, HERE, RED);
    qvirtio_gpu_shutdown(gpu);
}

/* Fill @entries with pages from both ends in turn, which cannot be merged. */
static void scatter_pages(struct virtio_gpu_mem_entry *entries, uint32_t n,
                          uint64_t addr)
{
    uint32_t i;

    for (i = 0; i < n; i++) {
        uint32_t page = i % 2 ? n - 1 - i / 2 : i / 2;

        entries[i].addr = cpu_to_le64(addr + (uint64_t)page * PAGE);
        entries[i].length = cpu_to_le32(PAGE);
    }
}

/* spec: Device 4. */
static void test_attach_many(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    const uint32_t side = 4096, n = side * side * 4 / PAGE + 16384;
    g_autofree struct virtio_gpu_mem_entry *entries =
        g_new0(struct virtio_gpu_mem_entry, n + 1);
    const uint64_t size = side * side * 4;

    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 1, FORMAT, side, side), ==, OK);
    scatter_pages(entries, n, HERE);
    g_assert_cmphex(qvirtio_gpu_attach_entries(gpu, 1, entries, n), ==, OK);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = size,
                               .resident_backing = (uint64_t)n * PAGE,
                               .host = size, .attaches = 1 });
    /* The second page of the image is the last one of the backing in RAM. */
    fill_ram(gpu, HERE, (uint64_t)n * PAGE, RED);
    fill_ram(gpu, HERE + (uint64_t)(n - 1) * PAGE, PAGE, 0x00ff00);
    g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, 1, side, side, 0), ==, OK);
    if (dev->gl) {
        memset(gpu->ram + HERE, 0, (uint64_t)n * PAGE);
        g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, false, 0, 1, side, side),
                        ==, OK);
        check_ram(gpu, HERE, PAGE, RED);
        check_ram(gpu, HERE + (uint64_t)(n - 1) * PAGE, PAGE, 0x00ff00);
    }
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach_entries(gpu, 1, entries, n + 1), ==,
                    BAD_PARAMETER);
    qvirtio_gpu_shutdown(gpu);
}

/* Adjacent entries are merged into one mapping with the same contents. */
static void test_attach_merge(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    struct virtio_gpu_mem_entry entries[4] = {
        { .addr = cpu_to_le64(THERE), .length = cpu_to_le32(PAGE) },
        { .addr = cpu_to_le64(THERE + PAGE), .length = cpu_to_le32(PAGE) },
        { .addr = cpu_to_le64(HERE), .length = cpu_to_le32(PAGE) },
        { .addr = cpu_to_le64(HERE + PAGE), .length = cpu_to_le32(PAGE) },
    };

    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 1, FORMAT, SIDE, SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach_entries(gpu, 1, entries, 4), ==, OK);
    fill_ram(gpu, THERE, 2 * PAGE, RED);
    fill_ram(gpu, HERE, 2 * PAGE, RED);
    g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, 1, SIDE, SIDE, 0), ==, OK);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    check_contents(dev, gpu, 1, HERE, RED);
    qvirtio_gpu_shutdown(gpu);
}

/* Entries may overlap. */
static void test_attach_overlap(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    struct virtio_gpu_mem_entry entries[BYTES / PAGE + 1];
    int i;

    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 1, FORMAT, SIDE, SIDE), ==, OK);
    for (i = 0; i < ARRAY_SIZE(entries); i++) {
        entries[i].addr = cpu_to_le64(HERE);
        entries[i].length = cpu_to_le32(PAGE);
    }
    entries[1].length = cpu_to_le32(PAGE / 2);
    g_assert_cmphex(qvirtio_gpu_attach_entries(gpu, 1, entries,
                                               ARRAY_SIZE(entries)), ==, OK);
    fill_ram(gpu, HERE, PAGE, RED);
    g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, 1, SIDE, SIDE, 0), ==, OK);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, THERE, BYTES), ==, OK);
    check_contents(dev, gpu, 1, THERE, RED);
    qvirtio_gpu_shutdown(gpu);
}

/* Host memory is accounted per mapping, after entries have been merged. */
static void test_attach_iov_bytes(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    struct virtio_gpu_mem_entry entries[100];
    uint32_t i;

    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 1, FORMAT, SIDE, SIDE), ==, OK);
    for (i = 0; i < ARRAY_SIZE(entries); i++) {
        entries[i].addr = cpu_to_le64(HERE + i * PAGE);
        entries[i].length = cpu_to_le32(PAGE);
    }
    g_assert_cmphex(qvirtio_gpu_attach_entries(gpu, 1, entries, 100), ==, OK);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, BYTES + IOV_BYTES(dev));
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, BYTES);
    reverse_pages(entries, 100, HERE);
    g_assert_cmphex(qvirtio_gpu_attach_entries(gpu, 1, entries, 100), ==, OK);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==,
                     BYTES + 100 * IOV_BYTES(dev));
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, 0);
    qvirtio_gpu_shutdown(gpu);
}

/*
 * spec: Device 4. 256 MiB in 65536 entries that cannot be merged, four times
 * the limit of the stock device. The guest has less RAM, so pages repeat.
 */
static void test_attach_256m(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start_with(dev, ",max_hostmem=1G");
    const uint32_t side = 8192, n = side * side / PAGE * 4;
    const uint32_t pages = 128 * MiB / PAGE;
    const uint64_t size = 256 * MiB;
    g_autofree struct virtio_gpu_mem_entry *entries =
        g_new0(struct virtio_gpu_mem_entry, n);

    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 1, FORMAT, side, side), ==, OK);
    reverse_pages(entries, pages, HERE);
    memcpy(entries + pages, entries, (n - pages) * sizeof(*entries));
    g_assert_cmphex(qvirtio_gpu_attach_entries(gpu, 1, entries, n), ==, OK);
    check_stats(gpu, (Stats) { .resident = 1, .resident_host = size,
                               .resident_backing = size, .host = size,
                               .attaches = 1 });
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==,
                     size + n * IOV_BYTES(dev));
    /* The last row is in the last entries. */
    g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, 1, side, 1,
                                           size - side * 4), ==, OK);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach_entries(gpu, 1, entries, n), ==, OK);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, 0);
    qvirtio_gpu_shutdown(gpu);
}

static const Case cases[] = {
    { "round-trip", test_round_trip, ON_ALL },
    { "attach-twice", test_attach_twice, ON_ALL },
    { "detach-unbacked", test_detach_unbacked, ON_ALL },
    { "attach-bad-count", test_attach_bad_count, ON_ALL },
    { "attach-bad-address", test_attach_bad_address, ON_ALL },
    { "attach-many", test_attach_many, ON_ALL },
    { "attach-merge", test_attach_merge, ON_ALL },
    { "attach-overlap", test_attach_overlap, ON_ALL },
    { "attach-iov-bytes", test_attach_iov_bytes, ON_ALL },
    { "attach-256m", test_attach_256m, ON_ALL },
};

void add_backing_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
