/*
 * QTest testcase: reclaim of virtio-gpu's memory: life cycle
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

/* spec: Device 13. */
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
                               .refused = 3, .released_total = BYTES });
    g_assert_cmpuint(get_stat(gpu, "host-bytes-peak"), ==,
                     3 * (BYTES + ARRAY(dev)));
    /* The ids are free again. */
    make(gpu, 3);
    qvirtio_gpu_shutdown(gpu);
}

/* After a reset: nothing is left, but the counters. */
static void check_reset(QVirtioGPU *gpu, int times)
{
    check_stats(gpu, (Stats) { .attaches = 4 * times, .detaches = times,
                               .purges = times,
                               .released_total = times * BYTES });
}

/* spec: Device 15. */
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
    /* No driver takes over: the renderer must not wait for one. */
    gpu->vdev->bus->set_status(gpu->vdev, 0);
    check_reset(gpu, 1);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 15. Contexts go as well, and their ids are free. */
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

/* Devices keep to themselves. (QEMU has one renderer: not for GL.) */
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
    check_stats(b, (Stats) { .attaches = 2, .purges = 1, .refused = 1,
                             .released_total = BYTES });
    check_contents(dev, a, 1, HERE, RED);
    g_assert_cmphex(purge_one(a, 1), ==, PURGED);
    qvirtio_gpu_shutdown(b);
    qvirtio_gpu_shutdown(a);
}

/* A display cannot be unplugged: that is answered, and harms nobody. */
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

/* Memory that is plugged in, and where it ends up on the bus. */
#define DIMM 0x100000000ull

/* Boot with a DIMM, and attach it to resource 1. */
static QVirtioGPU *start_with_dimm(const Device *dev, char **path)
{
    g_autofree char *props = NULL;
    QVirtioGPU *gpu;

    *path = temp_file();
    props = g_strdup_printf(" -m slots=1,maxmem=1G "
                            "-object memory-backend-file,id=dimm,size=128M,"
                            "share=on,mem-path=%s -device pc-dimm,memdev=dimm",
                            *path);
    gpu = start_with(dev, props);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 1, FORMAT, SIDE, SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, DIMM, BYTES), ==, OK);
    return gpu;
}

/* Unplug the DIMM. Returns whether QEMU still has it mapped, for somebody. */
static bool unplug_dimm(QVirtioGPU *gpu, const char *path, bool wait)
{
    g_autofree char *maps = g_strdup_printf("/proc/%d/maps", gpu->pid);
    gint64 start = g_get_monotonic_time();
    bool mapped;

    /* What the guest's ACPI does: select slot 0, and eject. */
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

/*
 * spec: Device 1, 15. Nothing refers to what was let go: memory that can be
 * unplugged, and really goes, has no mapping left.
 */
static void test_nothing_mapped(const void *data)
{
    const Device *dev = data;
    g_autofree char *held = NULL;
    QVirtioGPU *gpu = start_with_dimm(dev, &held);
    int way;

    /* What is attached keeps it: it would be seen here. */
    g_assert_true(unplug_dimm(gpu, held, false));
    qvirtio_gpu_shutdown(gpu);

    for (way = 0; way < 5; way++) {
        g_autofree char *path = NULL;
        struct virtio_gpu_mem_entry entries[2] = {
            { .addr = cpu_to_le64(DIMM), .length = cpu_to_le32(PAGE) },
            { .addr = cpu_to_le64(1ull << 45), .length = cpu_to_le32(PAGE) },
        };

        gpu = start_with_dimm(dev, &path);
        switch (way) {
        case 0:
            g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
            break;
        case 1:
            g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
            break;
        case 2:
            g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, OK);
            break;
        case 3:
            gpu->vdev->bus->set_status(gpu->vdev, 0);
            break;
        case 4:
            /* An attach that fails half-way. */
            g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
            g_assert_cmphex(qvirtio_gpu_attach_entries(gpu, 1, entries, 2), ==,
                            BAD_PARAMETER);
            break;
        }
        g_assert_false(unplug_dimm(gpu, path, true));
        qvirtio_gpu_shutdown(gpu);
    }
}

static const Case cases[] = {
    { "unref", test_unref, ON_PCI },
    { "reset", test_reset, ON_ALL },
    { "reset-without-driver", test_reset_without_driver, ON_ALL },
    { "reset-contexts", test_reset_contexts, ON_GL_PCI },
    { "two-devices", test_two_devices, ON_2D_PCI },
    { "unplug", test_unplug, ON_PCI },
    { "nothing-mapped", test_nothing_mapped, ON_PCI },
};

void add_lifecycle_cases(void)
{
    add_cases(cases, ARRAY_SIZE(cases));
}
