/*
 * QTest testcase for virtio-gpu memory reclaim: feature, properties, traces
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

static uint32_t max_purge(QVirtioGPU *gpu)
{
    return qvirtio_config_readl(gpu->vdev, VIRTIO_GPU_CONFIG_MAX_PURGE);
}

static uint32_t num_scanouts(QVirtioGPU *gpu)
{
    return qvirtio_config_readl(gpu->vdev, offsetof(struct virtio_gpu_config,
                                                    num_scanouts));
}

/* spec: Device 1. */
static void test_feature(const void *data)
{
    const Device *dev = data;
    g_autofree char *on = g_strconcat(dev->args, ",x-reclaim=on", NULL);
    QVirtioGPU *gpu = boot(dev, on);

    g_assert_cmphex(qvirtio_gpu_start(gpu, 0) & RECLAIM, ==, RECLAIM);
    g_assert_cmpuint(max_purge(gpu), ==, QVIRTIO_GPU_MAX_PURGE);
    g_assert_cmpuint(num_scanouts(gpu), ==, 1);
    qvirtio_gpu_start(gpu, RECLAIM);
    g_assert_cmpuint(max_purge(gpu), ==, QVIRTIO_GPU_MAX_PURGE);
    qvirtio_gpu_shutdown(gpu);

    gpu = boot(dev, dev->args);
    g_assert_cmphex(qvirtio_gpu_start(gpu, 0) & RECLAIM, ==, 0);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 7. */
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

/* What the renderer refuses is answered with an error without reclaim, too. */
static void test_off_errors(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = boot(dev, dev->args);
    struct virtio_gpu_resource_create_3d bad = texture_3d(3);

    qvirtio_gpu_start(gpu, VIRGL);
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, 2, 0x7777, SIDE, SIDE), ==,
                    BAD_PARAMETER);
    bad.format = cpu_to_le32(0x7777);
    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &bad), ==, BAD_PARAMETER);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 2, HERE, BYTES), ==, UNSPEC);
    /* The ids are free. */
    make(gpu, 2);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 2, THERE, BYTES), ==, UNSPEC);
    set_contents(gpu, 2, HERE, RED);
    check_contents(dev, gpu, 2, HERE, RED);
    qvirtio_gpu_shutdown(gpu);
}

/* A guest blob that is detached is not scanned out any more. */
static void test_off_detach(const void *data)
{
    const Device *dev = data;
    g_autofree char *args = g_strconcat(dev->args, WITH_BLOBS, NULL);
    const ScanoutBlob whole = {
        .width = SIDE, .height = SIDE, .stride = SIDE * 4,
        .r_width = SIDE, .r_height = SIDE,
    };
    g_autofree char *ppm = NULL;
    QVirtioGPU *gpu;
    size_t len;

    if (!preload_udmabuf()) {
        return;
    }
    gpu = boot(dev, args);
    g_unsetenv("LD_PRELOAD");
    qvirtio_gpu_start(gpu, 1ull << VIRTIO_GPU_F_RESOURCE_BLOB);
    fill_ram(gpu, HERE, BYTES, RED);
    g_assert_cmphex(create_blob(gpu, 1, 1, BYTES, BYTES), ==, OK);
    g_assert_cmphex(scanout_blob(gpu, &whole), ==, OK);
    check_screen(dev, gpu, RED);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    ppm = screendump(gpu, &len);
    g_assert_cmpuint((uint8_t)ppm[len - 3], !=, 0xff);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, OK);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Errors 1. Unknown command types, with reclaim and without. */
static void test_unknown_command(const void *data)
{
    static const uint32_t types[] = {
        0, VIRTIO_GPU_RESP_OK_NODATA, VIRTIO_GPU_RESP_OK_PURGE,
        VIRTIO_GPU_CMD_GET_RECLAIM_TARGET + 1, UINT32_MAX,
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
        if (i) {
            g_assert_cmpuint(get_stat(gpu, "errors"), ==, ARRAY_SIZE(types));
        }
        qvirtio_gpu_shutdown(gpu);
    }
}

/* spec: Device 7. */
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
                               .errors = 1 });
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

/* Count the lines of @text that contain @event and @args. */
static unsigned count_lines(const char *text, const char *event,
                            const char *args)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    unsigned n = 0;
    int i;

    for (i = 0; lines[i]; i++) {
        n += strstr(lines[i], event) && strstr(lines[i], args);
    }
    return n;
}

static bool has_line(const char *text, const char *event, const char *args)
{
    return count_lines(text, event, args);
}

/* Enable the trace events that match @pattern; they go to QEMU's log. */
static void enable_trace(QVirtioGPU *gpu, const char *pattern)
{
    qtest_qmp_assert_success(gpu->qts, "{'execute': 'trace-event-set-state', "
                             "'arguments': {'name': %s, 'enable': true}}",
                             pattern);
}

/* Return QEMU's log of some commands, with the events that match @pattern. */
static char *trace(const Device *dev, const char *pattern)
{
    g_autofree char *path = temp_file();
    g_autofree char *props = g_strconcat(" -d guest_errors -D ", path, NULL);
    QVirtioGPU *gpu = start_with(dev, props);
    char *text;

    enable_trace(gpu, pattern);
    make(gpu, 1);
    set_contents(gpu, 1, HERE, RED);
    check_contents(dev, gpu, 1, HERE, RED);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 7), ==, BAD_RESOURCE);
    g_assert_cmphex(purge_one(gpu, 1), ==, PURGED);
    g_assert_cmphex(purge_one(gpu, 8), ==, UNKNOWN);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 1), ==, OK);
    qvirtio_gpu_shutdown(gpu);

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    unlink(path);
    return text;
}

/* Trace events of reclaim, and errors in the log of guest errors. */
static void test_trace(const void *data)
{
    g_autofree char *text = trace(data, "virtio_gpu_reclaim_*");
    g_autofree char *some = trace(data, "virtio_gpu_reclaim_d*");

    g_assert_true(has_line(text, "virtio_gpu_reclaim_attach",
                           "res 0x1, 16384 bytes in 1 mappings"));
    g_assert_true(has_line(text, "virtio_gpu_reclaim_detach",
                           "res 0x1, 16384 bytes"));
    g_assert_true(has_line(text, "virtio_gpu_reclaim_reject",
                           "0x107, error 0x1203: there is no resource 7"));
    g_assert_true(has_line(text, "virtio_gpu_reclaim_purge",
                           "res 0x1, 16384 bytes, 16384 of them"));
    g_assert_true(has_line(text, "virtio_gpu_reclaim_not_purged",
                           "res 0x8: no such resource"));
    g_assert_true(has_line(text, "virtio_gpu_reclaim_restore",
                           "res 0x1, 16384 bytes, ret 0, "));
    g_assert_true(has_line(text, "virtio-gpu: command 0x107 rejected",
                           "there is no resource 7"));
    g_assert_true(has_line(text, "virtio-gpu: resource 8 not purged",
                           "no such resource"));
    g_assert_false(has_line(text, "virtio_gpu_cmd_", ""));

    g_assert_true(has_line(some, "virtio_gpu_reclaim_detach", "res 0x1"));
    g_assert_false(has_line(some, "virtio_gpu_reclaim_attach", ""));
}

/* Each command emits the stock trace event once, whichever handler runs. */
static void test_trace_stock(const void *data)
{
    static const struct {
        const char *event, *args;
        bool gl_only;
        unsigned times;
    } want[] = {
        { "virtio_gpu_cmd_res_create_2d ", "res 0x1, fmt 0x2, w 64, h 64",
          false, 1 },
        { "virtio_gpu_cmd_res_back_attach ", "res 0x1", false, 2 },
        { "virtio_gpu_cmd_res_back_detach ", "res 0x1", false, 1 },
        { "virtio_gpu_cmd_res_back_detach ", "res 0x7", false, 1 },
        { "virtio_gpu_cmd_res_xfer_toh_2d ", "res 0x1", false, 1 },
        { "virtio_gpu_cmd_res_xfer_fromh_3d ", "res 0x1", true, 1 },
        { "virtio_gpu_cmd_res_unref ", "res 0x1", false, 1 },
    };
    const Device *dev = data;
    g_autofree char *text = trace(dev, "virtio_gpu_cmd_*");
    int i;

    for (i = 0; i < ARRAY_SIZE(want); i++) {
        if (dev->gl || !want[i].gl_only) {
            g_assert_cmpuint(count_lines(text, want[i].event, want[i].args), ==,
                             want[i].times);
        }
    }
}

/* The same for GL commands. The name of a context may be unterminated. */
static void test_trace_stock_gl(const void *data)
{
    static const char *const want[][2] = {
        { "virtio_gpu_cmd_ctx_create ", "ctx 0x3, name aaaaaaaa" },
        { "virtio_gpu_cmd_ctx_res_attach ", "ctx 0x3, res 0x1" },
        { "virtio_gpu_cmd_res_create_3d ",
          "res 0x1, fmt 0x2, w 64, h 64, d 1" },
        { "virtio_gpu_cmd_res_xfer_toh_3d ", "res 0x1" },
        { "virtio_gpu_cmd_ctx_res_detach ", "ctx 0x3, res 0x1" },
        { "virtio_gpu_cmd_ctx_destroy ", "ctx 0x3" },
    };
    g_autofree char *path = temp_file();
    g_autofree char *props = g_strconcat(" -D ", path, NULL);
    QVirtioGPU *gpu = start_with(data, props);
    struct virtio_gpu_ctx_create create = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_CTX_CREATE),
        .hdr.ctx_id = cpu_to_le32(3),
        .nlen = cpu_to_le32(sizeof(create.debug_name)),
    };
    struct virtio_gpu_resource_create_3d res = texture_3d(1);
    g_autofree char *text = NULL;
    int i;

    enable_trace(gpu, "virtio_gpu_cmd_*");
    memset(create.debug_name, 'a', sizeof(create.debug_name));
    g_assert_cmphex(qvirtio_gpu_cmd(gpu, &create, sizeof(create), NULL,
                                    sizeof(create.hdr)), ==, OK);
    g_assert_cmphex(qvirtio_gpu_create_3d(gpu, &res), ==, OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 3,
                                    1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, true, 3, 1, SIDE, SIDE), ==,
                    OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, 3,
                                    1), ==, OK);
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_DESTROY, 3, 0), ==,
                    OK);
    qvirtio_gpu_shutdown(gpu);

    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    for (i = 0; i < ARRAY_SIZE(want); i++) {
        g_assert_cmpuint(count_lines(text, want[i][0], want[i][1]), ==, 1);
    }
    unlink(path);
}

static const Case cases[] = {
    { "feature", test_feature, ON_ALL },
    { "off", test_off, ON_ALL },
    { "off-errors", test_off_errors, ON_GL },
    { "off-detach", test_off_detach, ON_2D },
    { "unknown-command", test_unknown_command, ON_ALL },
    { "not-negotiated", test_not_negotiated, ON_ALL },
    { "properties", test_properties, ON_ALL },
    { "vga", test_vga, ON_PCI },
    { "trace", test_trace, ON_ALL },
    { "trace-stock", test_trace_stock, ON_ALL },
    { "trace-stock-gl", test_trace_stock_gl, ON_GL },
};

void add_config_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
