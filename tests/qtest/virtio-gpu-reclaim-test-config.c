/*
 * QTest testcase: reclaim of virtio-gpu's memory: feature, properties, traces
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

static void test_feature(const void *data)
{
    const Device *dev = data;
    g_autofree char *on = g_strconcat(dev->args, ",x-reclaim=on", NULL);
    QVirtioGPU *gpu = boot(dev, on);

    g_assert_cmphex(qvirtio_gpu_start(gpu, 0) & RECLAIM, ==, RECLAIM);
    qvirtio_gpu_shutdown(gpu);

    gpu = boot(dev, dev->args);
    g_assert_cmphex(qvirtio_gpu_start(gpu, 0) & RECLAIM, ==, 0);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 6. */
static void test_off(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = boot(dev, dev->args);
    uint32_t id = 1;
    QDict *resp;

    qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
    resp = get_stats(gpu);
    g_assert_true(qdict_haskey(resp, "error"));
    qobject_unref(resp);
    make(gpu, id);
    g_assert_cmphex(qvirtio_gpu_purge(gpu, &id, 1, NULL), ==, UNSPEC);
    set_contents(gpu, id, HERE, RED);
    check_contents(dev, gpu, id, HERE, RED);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, id), ==, OK);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, id), ==, OK);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 13. What is no command at all, with reclaim and without. */
static void test_no_command(const void *data)
{
    static const uint32_t types[] = {
        0, VIRTIO_GPU_RESP_OK_NODATA, VIRTIO_GPU_RESP_OK_PURGE,
        VIRTIO_GPU_CMD_RESOURCE_PURGE + 1, UINT32_MAX,
    };
    const Device *dev = data;
    g_autofree char *on = g_strconcat(dev->args, ",x-reclaim=on", NULL);
    const char *args[] = { dev->args, on };
    int i, j;

    for (i = 0; i < ARRAY_SIZE(args); i++) {
        QVirtioGPU *gpu = boot(dev, args[i]);

        qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
        for (j = 0; j < ARRAY_SIZE(types); j++) {
            struct virtio_gpu_ctrl_hdr cmd = { .type = cpu_to_le32(types[j]) };

            g_assert_cmphex(qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL,
                                            sizeof(cmd)), ==, UNSPEC);
        }
        qvirtio_gpu_shutdown(gpu);
    }
}

/* spec: Device 6. */
static void test_not_negotiated(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    uint32_t id = 1;

    qvirtio_gpu_start(gpu, VIRGL);
    make(gpu, id);
    set_contents(gpu, id, HERE, RED);
    g_assert_cmphex(qvirtio_gpu_purge(gpu, &id, 1, NULL), ==, UNSPEC);
    check_contents(dev, gpu, id, HERE, RED);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, id), ==, OK);
    check_stats(gpu, (Stats) { .evicted = 1, .evicted_host = BYTES,
                               .host = BYTES, .attaches = 1, .detaches = 1,
                               .refused = 1 });
    qvirtio_gpu_shutdown(gpu);
}

static void test_properties(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start(dev);
    QDict *resp;
    char *text;

    check_stats(gpu, (Stats) { });
    g_assert_cmpuint(get_stat(gpu, "host-bytes-limit"), ==,
                     dev->gl ? 0 : 256 * MiB);
    resp = qtest_qmp(gpu->qts, "{'execute': 'qom-set', 'arguments': {"
                     "'path': '/machine/peripheral/" QVIRTIO_GPU_ID "',"
                     "'property': 'reclaim-stats', 'value': 1}}");
    g_assert_true(qdict_haskey(resp, "error"));
    qobject_unref(resp);
    text = qtest_hmp(gpu->qts, "info qtree");
    g_assert_nonnull(strstr(text, "reclaim-stats = 0 host bytes"));
    g_free(text);
    qvirtio_gpu_shutdown(gpu);
}

static void test_vga(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = qvirtio_gpu_boot(
        dev->gl ? "-display egl-headless "
                  "-device virtio-vga-gl,x-reclaim=on,id=" QVIRTIO_GPU_ID
                : "-device virtio-vga,x-reclaim=on,id=" QVIRTIO_GPU_ID);

    check_stats(gpu, (Stats) { });
    qvirtio_gpu_shutdown(gpu);
}

/* Whether @text has a line with @event and @what in it. */
static bool has_line(const char *text, const char *event, const char *what)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    int i;

    for (i = 0; lines[i]; i++) {
        if (strstr(lines[i], event) && strstr(lines[i], what)) {
            return true;
        }
    }
    return false;
}

/*
 * Events of the module, turned on by a command line that QEMU has read before
 * there was a module; and reasons in the log of guest errors.
 */
static void test_trace(const void *data)
{
    const Device *dev = data;
    static const char *const options[] = {
        " -trace enable=virtio_gpu_reclaim_*", " -trace virtio_gpu_reclaim_*",
        " -d trace:virtio_gpu_reclaim_*,guest_errors",
    };
    int i;

    for (i = 0; i < ARRAY_SIZE(options); i++) {
        g_autofree char *path = temp_file();
        g_autofree char *props = NULL;
        g_autofree char *text = NULL;
        QVirtioGPU *gpu;

        props = g_strconcat(options[i], " -D ", path, NULL);
        gpu = start_with(dev, props);
        make(gpu, 1);
        g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
        g_assert_cmphex(qvirtio_gpu_detach(gpu, 7), ==, BAD_RESOURCE);
        g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
        g_assert_cmphex(purge_one(gpu, 8), ==, UNKNOWN);
        g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
        qvirtio_gpu_shutdown(gpu);

        g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
        g_assert_true(has_line(text, "virtio_gpu_reclaim_attach",
                               "res 0x1, 16384 bytes in 1 mappings"));
        g_assert_true(has_line(text, "virtio_gpu_reclaim_detach",
                               "res 0x1, 16384 bytes"));
        g_assert_true(has_line(text, "virtio_gpu_reclaim_refuse",
                               "0x107, error 0x1203: there is no resource 7"));
        g_assert_true(has_line(text, "virtio_gpu_reclaim_purge",
                               "res 0x1, 16384 bytes, 16384 of them"));
        g_assert_true(has_line(text, "virtio_gpu_reclaim_not_purged",
                               "res 0x8: no such resource"));
        g_assert_true(has_line(text, "virtio_gpu_reclaim_restore",
                               "res 0x1, 16384 bytes, ret 0, "));
        g_assert_true(has_line(text, "virtio-gpu: command 0x107 refused",
                               "there is no resource 7") == (i == 2));
        unlink(path);
    }
}

static const Case cases[] = {
    { "feature", test_feature, ON_ALL },
    { "off", test_off, ON_ALL },
    { "no-command", test_no_command, ON_PCI },
    { "not-negotiated", test_not_negotiated, ON_PCI },
    { "properties", test_properties, ON_ALL },
    { "vga", test_vga, ON_PCI },
    { "trace", test_trace, ON_PCI },
};

void add_config_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
