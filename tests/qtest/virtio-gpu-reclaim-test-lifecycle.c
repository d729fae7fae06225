/*
 * QTest testcase for virtio-gpu memory reclaim: unref, reset, unplug
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

/* spec: Errors 1. */
static void test_unref(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    uint32_t id;

    for (id = 1; id <= 3; id++) {
        make(gpu, id);
    }
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 2), ==, OK);
    g_assert_cmphex(purge_one(gpu, 3), ==, PURGED);
    for (id = 1; id <= 3; id++) {
        g_assert_cmphex(qvirtio_gpu_unref(gpu, id), ==, OK);
        g_assert_cmphex(qvirtio_gpu_unref(gpu, id), ==, BAD_RESOURCE);
    }
    check_stats(gpu, (Stats) { .attaches = 3, .detaches = 1, .purges = 1,
                               .errors = 3, .released_total = BYTES });
    g_assert_cmpuint(get_stat(gpu, "host-bytes-peak"), ==,
                     3 * (BYTES + IOV_BYTES(dev)));
    /* The ids can be reused. */
    make(gpu, 3);
    qvirtio_gpu_shutdown(gpu);
}

/* A reset releases all resources and keeps the counters. */
static void check_reset(QVirtioGPU *gpu, int times)
{
    check_stats(gpu, (Stats) { .attaches = 4 * times, .detaches = times,
                               .purges = times,
                               .released_total = times * BYTES });
}

/* spec: Device 19. */
static void test_reset(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);

    populate(gpu);
    qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
    check_reset(gpu, 1);
    populate(gpu);
    qtest_qmp_assert_success(gpu->qts, "{'execute': 'system_reset'}");
    qtest_qmp_eventwait(gpu->qts, "RESET");
    check_reset(gpu, 2);
    qvirtio_gpu_shutdown(gpu);
}

static void test_reset_without_driver(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);

    populate(gpu);
    /* No driver starts afterwards: the reset must not depend on one. */
    gpu->vdev->bus->set_status(gpu->vdev, 0);
    check_reset(gpu, 1);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 19. Contexts are destroyed, and their ids can be reused. */
static void test_reset_contexts(const void *data)
{
    QVirtioGPU *gpu = start(data);
    int i;

    for (i = 0; i < 3; i++) {
        QDict *resp = get_stats(gpu);

        g_assert_true(qlist_empty(qdict_get_qlist(
            qdict_get_qdict(resp, "return"), "contexts")));
        qobject_unref(resp);
        make(gpu, 1);
        g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0),
                        ==, OK);
        g_assert_cmphex(qvirtio_gpu_ctx(gpu,
                                        VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                        1, 1), ==, OK);
        qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
    }
    qvirtio_gpu_shutdown(gpu);
}

/* Devices are independent. (QEMU supports only one GL device.) */
static void test_two_devices(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *a = start_with(dev, " -device virtio-gpu-pci,id=gpu1,"
                                    "x-reclaim=on,max_hostmem=1M");
    QVirtioGPU *b = qvirtio_gpu_second(a, "gpu1");

    qvirtio_gpu_start(b, RECLAIM);
    g_assert_cmpuint(get_stat(b, "host-bytes-limit"), ==, MiB);
    make(a, 1);
    set_contents(a, 1, HERE, RED);
    g_assert_cmphex(purge_one(b, 1), ==, UNKNOWN);
    make(b, 1);
    make(b, 2);
    g_assert_cmphex(purge_one(b, 1), ==, PURGED);
    check_contents(dev, a, 1, HERE, RED);
    check_stats(a, (Stats) { .resident = 1, .resident_host = BYTES,
                             .resident_backing = BYTES, .host = BYTES,
                             .attaches = 1 });
    qvirtio_gpu_start(b, RECLAIM);
    check_stats(b, (Stats) { .attaches = 2, .purges = 1, .errors = 1,
                             .released_total = BYTES });
    check_contents(dev, a, 1, HERE, RED);
    g_assert_cmphex(purge_one(a, 1), ==, PURGED);
    qvirtio_gpu_shutdown(b);
    qvirtio_gpu_shutdown(a);
}

/* A display cannot be unplugged: an error, and the device keeps working. */
static void test_unplug(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    QDict *resp;

    populate(gpu);
    resp = qtest_qmp(gpu->qts, "{'execute': 'device_del', 'arguments':"
                     " {'id': '" QVIRTIO_GPU_ID "'}}");
    g_assert_true(qdict_haskey(resp, "error"));
    qobject_unref(resp);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 4, HERE, BYTES), ==, OK);
    check_contents(dev, gpu, 4, HERE, 0);
    qvirtio_gpu_shutdown(gpu);
}

/* Guest address of the hotpluggable memory. */
#define DIMM 0x100000000ull

#define DIMM_RESOURCE 9

/* Boot with @args and a DIMM, and attach pages of the DIMM to a resource. */
static QVirtioGPU *start_with_dimm(const Device *dev, const char *args,
                                   uint64_t features, char **path)
{
    g_autofree char *all = NULL;
    QVirtioGPU *gpu;

    *path = temp_file();
    all = g_strdup_printf("%s -m slots=1,maxmem=1G "
                          "-object memory-backend-file,id=dimm,size=128M,"
                          "share=on,mem-path=%s -device pc-dimm,memdev=dimm",
                          args, *path);
    gpu = boot(dev, all);
    qvirtio_gpu_start(gpu, features);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, DIMM_RESOURCE, FORMAT, SIDE,
                                          SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, DIMM_RESOURCE, DIMM, BYTES), ==,
                    OK);
    return gpu;
}

/* Unplug the DIMM. Returns whether QEMU still maps its memory. */
static bool unplug_dimm(QVirtioGPU *gpu, const char *path, bool wait)
{
    g_autofree char *maps = g_strdup_printf("/proc/%d/maps", gpu->pid);
    gint64 start = g_get_monotonic_time();
    bool mapped;

    /* Eject slot 0 as the guest's ACPI code does. */
    qtest_outl(gpu->qts, 0xa00, 0);
    qtest_outb(gpu->qts, 0xa14, 8);
    qtest_qmp_assert_success(gpu->qts, "{'execute': 'object-del',"
                             " 'arguments': {'id': 'dimm'}}");
    do {
        g_autofree char *text = NULL;

        qtest_clock_step(gpu->qts, 1000000);
        g_usleep(10000);
        g_assert_true(g_file_get_contents(maps, &text, NULL, NULL));
        mapped = strstr(text, path);
    } while (mapped && wait &&
             g_get_monotonic_time() - start < 20 * G_USEC_PER_SEC);
    unlink(path);
    return mapped;
}

/* So many entries are looked up in another way than one. */
#define SCATTERED 16

/* Fill @entries with pages of the DIMM and of the other RAM in turns. */
static void scatter_dimm(struct virtio_gpu_mem_entry *entries)
{
    int i;

    for (i = 0; i < SCATTERED; i++) {
        entries[i].addr = cpu_to_le64((i % 2 ? DIMM : HERE) +
                                      (uint64_t)(SCATTERED - i) * PAGE);
        entries[i].length = cpu_to_le32(PAGE);
    }
}

/* Attach these in place of the pages of the DIMM alone. */
static void attach_scattered(const Device *dev, QVirtioGPU *gpu)
{
    struct virtio_gpu_mem_entry entries[SCATTERED];
    uint32_t page[PAGE / sizeof(uint32_t)];
    int i;

    scatter_dimm(entries);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, DIMM_RESOURCE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach_entries(gpu, DIMM_RESOURCE, entries,
                                               SCATTERED), ==, OK);
    for (i = 0; i < ARRAY_SIZE(page); i++) {
        page[i] = cpu_to_le32(RED);
    }
    for (i = 0; i < SCATTERED; i++) {
        qtest_memwrite(gpu->qts, le64_to_cpu(entries[i].addr), page, PAGE);
    }
    g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, DIMM_RESOURCE, SIDE, SIDE, 0),
                    ==, OK);
    if (!dev->gl) {
        check_contents(dev, gpu, DIMM_RESOURCE, HERE, RED);
        return;
    }
    for (i = 0; i < SCATTERED; i++) {
        qtest_memset(gpu->qts, le64_to_cpu(entries[i].addr), 0, PAGE);
    }
    g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, false, 0, DIMM_RESOURCE, SIDE,
                                            SIDE), ==, OK);
    for (i = 0; i < BYTES / PAGE; i++) {
        g_assert_cmphex(qtest_readl(gpu->qts, le64_to_cpu(entries[i].addr)) &
                        0xffffff, ==, RED);
    }
}

/* Operations that release the mapping of backing. */
typedef enum UnmapOp {
    DETACH, UNREF, RESET, PURGE, FAILED_ATTACH, UNMAP_OPS
} UnmapOp;

static void unmap_dimm(QVirtioGPU *gpu, UnmapOp op)
{
    struct virtio_gpu_mem_entry entries[SCATTERED + 1] = {
        { .addr = cpu_to_le64(DIMM), .length = cpu_to_le32(PAGE) },
        { .addr = cpu_to_le64(1ull << 45), .length = cpu_to_le32(PAGE) },
    };

    switch (op) {
    case DETACH:
        g_assert_cmphex(qvirtio_gpu_detach(gpu, DIMM_RESOURCE), ==, OK);
        break;
    case UNREF:
        g_assert_cmphex(qvirtio_gpu_unref(gpu, DIMM_RESOURCE), ==, OK);
        break;
    case RESET:
        gpu->vdev->bus->set_status(gpu->vdev, 0);
        break;
    case PURGE:
        g_assert_cmphex(purge_one(gpu, DIMM_RESOURCE), ==, PURGED);
        break;
    case FAILED_ATTACH:
        /* Fails at the second entry, when the first one is mapped. */
        g_assert_cmphex(qvirtio_gpu_detach(gpu, DIMM_RESOURCE), ==, OK);
        g_assert_cmphex(qvirtio_gpu_attach_entries(gpu, DIMM_RESOURCE, entries,
                                                   2), ==, BAD_PARAMETER);
        entries[SCATTERED] = entries[1];
        scatter_dimm(entries);
        g_assert_cmphex(qvirtio_gpu_attach_entries(gpu, DIMM_RESOURCE, entries,
                                                   SCATTERED + 1), ==,
                        BAD_PARAMETER);
        break;
    default:
        g_assert_not_reached();
    }
}

static void check_unmap(const Device *dev, const char *args, uint64_t features,
                        UnmapOp op, bool scattered)
{
    g_autofree char *path = NULL;
    QVirtioGPU *gpu = start_with_dimm(dev, args, features, &path);

    if (scattered) {
        attach_scattered(dev, gpu);
    }
    unmap_dimm(gpu, op);
    g_assert_false(unplug_dimm(gpu, path, true));
    qvirtio_gpu_shutdown(gpu);
}

/*
 * spec: Device 2, 19. No mapping of released backing remains: QEMU unmaps an
 * unplugged DIMM only when its last reference is dropped.
 */
static void test_unmap(const void *data)
{
    const Device *dev = data;
    g_autofree char *on = g_strconcat(dev->args, ",x-reclaim=on", NULL);
    g_autofree char *held = NULL;
    QVirtioGPU *gpu = start_with_dimm(dev, on, RECLAIM | VIRGL, &held);
    UnmapOp op;

    /* Attached backing keeps the DIMM mapped: a leak would be detected. */
    g_assert_true(unplug_dimm(gpu, held, false));
    qvirtio_gpu_shutdown(gpu);

    for (op = 0; op < UNMAP_OPS; op++) {
        check_unmap(dev, on, RECLAIM | VIRGL, op, false);
        check_unmap(dev, on, RECLAIM | VIRGL, op, true);
    }
}

/*
 * The same without the feature, and on stock devices, except for the reset of
 * the stock GL device, which leaks its mappings.
 */
static void test_unmap_off(const void *data)
{
    const Device *dev = data;
    g_autofree char *on = g_strconcat(dev->args, ",x-reclaim=on", NULL);
    UnmapOp op;

    for (op = DETACH; op <= RESET; op++) {
        check_unmap(dev, on, VIRGL, op, false);
        if (!dev->gl || op != RESET) {
            check_unmap(dev, dev->args, VIRGL, op, false);
        }
    }
}

/* An empty SUBMIT_3D with a fence. */
static struct virtio_gpu_cmd_submit fence_command(uint64_t fence_id)
{
    return (struct virtio_gpu_cmd_submit) {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_SUBMIT_3D),
        .hdr.flags = cpu_to_le32(VIRTIO_GPU_FLAG_FENCE),
        .hdr.fence_id = cpu_to_le64(fence_id),
        .hdr.ctx_id = cpu_to_le32(1),
    };
}

/* The renderer truncates fence ids to 32 bits: this one is never signalled. */
#define NEVER (1ull << 32 | 1)

/* Whether the response buffer of the pending command is still unwritten. */
static bool is_pending(QVirtioGPU *gpu)
{
    uint8_t *resp = gpu->ram + gpu->in;
    size_t i = 0;

    qtest_clock_step(gpu->qts, 100 * 1000 * 1000);
    while (i < sizeof(struct virtio_gpu_ctrl_hdr) && resp[i] == 0xee) {
        i++;
    }
    return i == sizeof(struct virtio_gpu_ctrl_hdr);
}

/*
 * spec: Device 19. Unload the driver while the device has resources in each
 * state, contexts that use them, and a pending fence. The device releases all
 * of them, writes no more to guest memory, and is in its initial state for the
 * next driver.
 */
static void test_unload(const void *data)
{
    const Device *dev = data;
    g_autofree char *on = g_strconcat(dev->args, ",x-reclaim=on", NULL);
    g_autofree char *path = NULL;
    QVirtioGPU *gpu = start_with_dimm(dev, on, RECLAIM | VIRGL, &path);
    struct virtio_gpu_cmd_submit never = fence_command(NEVER);
    struct virtio_gpu_cmd_submit soon = fence_command(1);
    uint32_t id;
    QDict *resp;

    populate(gpu);
    if (dev->gl) {
        g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0),
                        ==, OK);
        for (id = 1; id <= 4; id++) {
            g_assert_cmphex(qvirtio_gpu_ctx(gpu,
                                            VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE,
                                            1, id), ==, OK);
        }
        memset(gpu->ram + gpu->in, 0xee, PAGE);
        gpu->ctrl->free_head = 0;
        qvirtqueue_kick(gpu->qts, gpu->vdev, gpu->ctrl,
                        enqueue(gpu, 0, &never, sizeof(never)));
        g_assert_true(is_pending(gpu));
    }

    gpu->vdev->bus->set_status(gpu->vdev, 0);
    check_stats(gpu, (Stats) { .attaches = 5, .detaches = 1, .purges = 1,
                               .released_total = BYTES });
    resp = get_stats(gpu);
    g_assert_true(qlist_empty(qdict_get_qlist(qdict_get_qdict(resp, "return"),
                                              "contexts")));
    qobject_unref(resp);
    g_assert_false(unplug_dimm(gpu, path, true));
    g_assert_true(!dev->gl || is_pending(gpu));

    qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
    populate(gpu);
    if (dev->gl) {
        g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0),
                        ==, OK);
        g_assert_cmphex(qvirtio_gpu_cmd(gpu, &soon, sizeof(soon), NULL,
                                        sizeof(soon.hdr)), ==, OK);
    }
    qvirtio_gpu_shutdown(gpu);
}

static const Case cases[] = {
    { "unref", test_unref, ON_ALL },
    { "reset", test_reset, ON_ALL },
    { "reset-without-driver", test_reset_without_driver, ON_ALL },
    { "reset-contexts", test_reset_contexts, ON_GL },
    { "two-devices", test_two_devices, ON_2D_PCI },
    { "unplug", test_unplug, ON_ALL },
    { "unload", test_unload, ON_PCI },
    { "unmap", test_unmap, ON_PCI },
    { "unmap-off", test_unmap_off, ON_PCI },
};

void add_lifecycle_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
