/*
 * QTest testcase for virtio-gpu memory reclaim: helpers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-test.h"

const Device dev_2d = {
    "2d", "-device virtio-gpu-pci,id=" QVIRTIO_GPU_ID, false,
};
const Device dev_gl = {
    "gl", "-display egl-headless "
    "-device virtio-gpu-gl-pci,id=" QVIRTIO_GPU_ID, true,
};

const Device dev_2d_mmio = {
    "2d-mmio", "-device virtio-gpu-device,id=" QVIRTIO_GPU_ID, false, true,
};
const Device dev_gl_mmio = {
    "gl-mmio", "-display egl-headless "
    "-device virtio-gpu-gl-device,id=" QVIRTIO_GPU_ID, true, true,
};

char *temp_file(void)
{
    char *path;
    int fd = g_file_open_tmp("qtest-virtio-gpu-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    close(fd);
    return path;
}

QVirtioGPU *boot(const Device *dev, const char *args)
{
    return dev->mmio ? qvirtio_gpu_boot_mmio(args) : qvirtio_gpu_boot(args);
}

QVirtioGPU *start_with(const Device *dev, const char *props)
{
    g_autofree char *args = g_strconcat(dev->args, ",x-reclaim=on", props,
                                        NULL);
    QVirtioGPU *gpu = boot(dev, args);

    qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
    return gpu;
}

QVirtioGPU *start(const Device *dev)
{
    return start_with(dev, "");
}

QDict *get_stats(QVirtioGPU *gpu)
{
    g_autofree char *path = g_strconcat("/machine/peripheral/", gpu->id, NULL);

    return qtest_qmp(gpu->qts, "{'execute': 'qom-get', 'arguments': {"
                     "'path': %s, 'property': 'reclaim-stats'}}", path);
}

uint64_t get_stat(QVirtioGPU *gpu, const char *name)
{
    QDict *resp = get_stats(gpu);
    uint64_t value = qdict_get_int(qdict_get_qdict(resp, "return"), name);

    qobject_unref(resp);
    return value;
}

uint64_t get_in(QVirtioGPU *gpu, const char *group, const char *name)
{
    QDict *resp = get_stats(gpu);
    uint64_t value = qdict_get_int(
        qdict_get_qdict(qdict_get_qdict(resp, "return"), group), name);

    qobject_unref(resp);
    return value;
}

void advance_ms(QVirtioGPU *gpu, int64_t ms)
{
    qtest_clock_step(gpu->qts, ms * 1000 * 1000);
}

void wait_for(QVirtioGPU *gpu, const char *group, const char *name,
              uint64_t value)
{
    gint64 start = g_get_monotonic_time();

    while (get_in(gpu, group, name) != value) {
        if (g_get_monotonic_time() - start > HANG) {
            g_test_message("%s", group);
            g_assert_cmpuint(get_in(gpu, group, name), ==, value);
        }
        g_usleep(1000);
    }
}

QDict *try_target(QVirtioGPU *gpu, uint64_t bytes)
{
    g_autofree char *path = g_strconcat("/machine/peripheral/", gpu->id, NULL);

    return qtest_qmp(gpu->qts, "{'execute': 'qom-set', 'arguments': {"
                     "'path': %s, 'property': 'hostmem-target',"
                     "'value': %" PRIu64 "}}", path, bytes);
}

void set_target(QVirtioGPU *gpu, uint64_t bytes)
{
    QDict *resp = try_target(gpu, bytes);

    g_assert_true(qdict_haskey(resp, "return"));
    qobject_unref(resp);
}

void check_bad_options(const BadOptions *bad, size_t n)
{
    size_t i;

    for (i = 0; i < n; i++) {
        g_autofree char *line = g_strdup_printf(
            "%s -nodefaults -S -display egl-headless -device %s",
            getenv("QTEST_QEMU_BINARY"), bad[i].device);
        g_autofree char *error = NULL;
        int status;

        g_assert_true(g_spawn_command_line_sync(line, NULL, &error, &status,
                                                NULL));
        g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
        if (!strstr(error, bad[i].error)) {
            g_assert_cmpstr(error, ==, bad[i].error);
        }
    }
}

void check_stats(QVirtioGPU *gpu, Stats want)
{
    QDict *resp = get_stats(gpu);
    QDict *all = qdict_get_qdict(resp, "return");
    uint64_t arrays;
    QDict *in;

    in = qdict_get_qdict(all, "resident");
    CHECK(in, "resources", want.resident);
    CHECK(in, "host-bytes", want.resident_host);
    CHECK(in, "backing-bytes", want.resident_backing);
    arrays = qdict_get_int(in, "iov-bytes");
    g_assert_true(!arrays == !want.resident_backing);
    in = qdict_get_qdict(all, "evicted");
    CHECK(in, "resources", want.evicted);
    CHECK(in, "host-bytes", want.evicted_host);
    CHECK(in, "compressed-bytes", 0);
    in = qdict_get_qdict(all, "purged");
    CHECK(in, "resources", want.purged);
    CHECK(in, "released-bytes", want.purged_released);
    in = qdict_get_qdict(all, "deferred");
    CHECK(in, "resources", want.deferred);
    CHECK(in, "host-bytes", want.deferred_host);
    in = qdict_get_qdict(all, "blobs");
    CHECK(in, "resources", want.blobs);
    CHECK(in, "host-bytes", want.blob_host);
    CHECK(in, "backing-bytes", want.blob_backing);
    CHECK(all, "host-bytes", want.host + arrays);
    CHECK(all, "attaches", want.attaches);
    CHECK(all, "detaches", want.detaches);
    CHECK(all, "purges", want.purges);
    CHECK(all, "restores", want.restores);
    CHECK(all, "errors", want.errors);
    CHECK(all, "released-bytes-total", want.released_total);
    qobject_unref(resp);
}

struct virtio_gpu_resource_create_3d texture_3d(uint32_t id)
{
    return (struct virtio_gpu_resource_create_3d) {
        .resource_id = cpu_to_le32(id),
        .target = cpu_to_le32(TARGET_2D),
        .format = cpu_to_le32(FORMAT),
        .bind = cpu_to_le32(BIND_RENDER_TARGET),
        .width = cpu_to_le32(SIDE),
        .height = cpu_to_le32(SIDE),
        .depth = cpu_to_le32(1),
        .array_size = cpu_to_le32(1),
    };
}

struct virtio_gpu_resource_create_3d buffer_3d(uint32_t id, uint32_t bytes)
{
    return (struct virtio_gpu_resource_create_3d) {
        .resource_id = cpu_to_le32(id),
        .target = cpu_to_le32(TARGET_BUFFER),
        .format = cpu_to_le32(FORMAT_R8),
        .bind = cpu_to_le32(BIND_VERTEX_BUFFER),
        .width = cpu_to_le32(bytes),
        .height = cpu_to_le32(1),
        .depth = cpu_to_le32(1),
        .array_size = cpu_to_le32(1),
    };
}

void make(QVirtioGPU *gpu, uint32_t id)
{
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, id, FORMAT, SIDE, SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, id, HERE, BYTES), ==, OK);
}

uint32_t purge_one(QVirtioGPU *gpu, uint32_t id)
{
    uint32_t result;

    g_assert_cmphex(qvirtio_gpu_purge(gpu, &id, 1, &result), ==,
                    VIRTIO_GPU_RESP_OK_PURGE);
    return result;
}

void fill_ram(QVirtioGPU *gpu, uint64_t addr, size_t bytes, uint32_t pixel)
{
    uint32_t *p = (uint32_t *)(gpu->ram + addr);

    while (bytes) {
        *p++ = cpu_to_le32(pixel);
        bytes -= sizeof(*p);
    }
}

void check_ram(QVirtioGPU *gpu, uint64_t addr, size_t bytes, uint32_t pixel)
{
    uint32_t *p = (uint32_t *)(gpu->ram + addr);

    while (bytes) {
        /* The X of BGRX is undefined. */
        g_assert_cmphex(le32_to_cpu(*p++) & 0xffffff, ==, pixel & 0xffffff);
        bytes -= sizeof(*p);
    }
}

char *screendump(QVirtioGPU *gpu, size_t *len)
{
    g_autofree char *path = temp_file();
    char *ppm;

    qtest_qmp_assert_success(gpu->qts, "{'execute': 'screendump', 'arguments':"
                             " {'filename': %s}}", path);
    g_assert_true(g_file_get_contents(path, &ppm, len, NULL));
    unlink(path);
    return ppm;
}

void check_screen(const Device *dev, QVirtioGPU *gpu, uint32_t pixel)
{
    g_autofree char *head = g_strdup_printf("P6\n%d %d\n255\n", SIDE, SIDE);
    g_autofree char *ppm = NULL;
    size_t len, i;

    if (dev->gl) {
        return;
    }
    ppm = screendump(gpu, &len);
    g_assert_true(g_str_has_prefix(ppm, head));
    g_assert_cmpuint(len, ==, strlen(head) + SIDE * SIDE * 3);
    for (i = strlen(head); i < len; i += 3) {
        g_assert_cmphex((uint8_t)ppm[i] << 16 | (uint8_t)ppm[i + 1] << 8 |
                        (uint8_t)ppm[i + 2], ==, pixel & 0xffffff);
    }
}

void check_contents(const Device *dev, QVirtioGPU *gpu, uint32_t id,
                    uint64_t addr, uint32_t pixel)
{
    if (dev->gl) {
        fill_ram(gpu, addr, BYTES, ~pixel);
        g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, false, 0, id, SIDE, SIDE),
                        ==, OK);
        check_ram(gpu, addr, BYTES, pixel);
    } else {
        g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, id, SIDE, SIDE), ==, OK);
        g_assert_cmphex(qvirtio_gpu_flush(gpu, id, SIDE, SIDE), ==, OK);
        check_screen(dev, gpu, pixel);
        g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 0, 0, 0), ==, OK);
    }
}

void set_contents(QVirtioGPU *gpu, uint32_t id, uint64_t addr, uint32_t pixel)
{
    fill_ram(gpu, addr, BYTES, pixel);
    g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, id, SIDE, SIDE, 0), ==, OK);
}

uint64_t backing(uint32_t id)
{
    return HERE + id * MiB;
}

void make_filled(QVirtioGPU *gpu, uint32_t id, uint32_t pixel)
{
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, id, FORMAT, SIDE, SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, id, backing(id), BYTES), ==, OK);
    set_contents(gpu, id, backing(id), pixel);
}

bool use(const Device *dev, QVirtioGPU *gpu, uint32_t id, uint32_t pixel)
{
    uint64_t before = get_in(gpu, "compressed", "decompressions");

    check_contents(dev, gpu, id, backing(id), pixel);
    return get_in(gpu, "compressed", "decompressions") != before;
}

void make_large(QVirtioGPU *gpu, uint32_t id, uint32_t pixel)
{
    g_assert_cmphex(qvirtio_gpu_create_2d(gpu, id, FORMAT, LARGE_SIDE,
                                          LARGE_SIDE), ==, OK);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, id, THERE, LARGE_BYTES), ==, OK);
    fill_ram(gpu, THERE, LARGE_BYTES, pixel);
    g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, id, LARGE_SIDE, LARGE_SIDE, 0),
                    ==, OK);
}

void check_large(QVirtioGPU *gpu, uint32_t id, uint32_t pixel)
{
    fill_ram(gpu, THERE, LARGE_BYTES, ~pixel);
    g_assert_cmphex(qvirtio_gpu_transfer_3d(gpu, false, 0, id, LARGE_SIDE,
                                            LARGE_SIDE), ==, OK);
    check_ram(gpu, THERE, LARGE_BYTES, pixel);
}

void populate(QVirtioGPU *gpu)
{
    struct virtio_gpu_update_cursor cursor = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_UPDATE_CURSOR),
        .resource_id = cpu_to_le32(2),
    };
    uint32_t id;

    for (id = 1; id <= 4; id++) {
        make(gpu, id);
    }
    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==, OK);
    qvirtio_gpu_cursor(gpu, &cursor);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 3), ==, OK);
    g_assert_cmphex(purge_one(gpu, 4), ==, PURGED);
}

void reverse_pages(struct virtio_gpu_mem_entry *entries, uint32_t n,
                   uint64_t addr)
{
    uint32_t i;

    for (i = 0; i < n; i++) {
        entries[i].addr = cpu_to_le64(addr + (uint64_t)(n - 1 - i) * PAGE);
        entries[i].length = cpu_to_le32(PAGE);
    }
}

/* How QEMU names the files of 2D images, if it has them in files. */
#define IMAGE_FILE "/memfd:virtio-gpu res"

uint64_t rss_anon(QVirtioGPU *gpu)
{
    g_autofree char *status = g_strdup_printf("/proc/%d/status", gpu->pid);
    g_autofree char *smaps = g_strdup_printf("/proc/%d/smaps", gpu->pid);
    g_autofree char *text = NULL, *maps = NULL;
    const char *line, *image;
    uint64_t kib;

    g_assert_true(g_file_get_contents(status, &text, NULL, NULL));
    line = strstr(text, "RssAnon:");
    g_assert_nonnull(line);
    kib = g_ascii_strtoull(line + strlen("RssAnon:"), NULL, 10);

    g_assert_true(g_file_get_contents(smaps, &maps, NULL, NULL));
    for (image = strstr(maps, IMAGE_FILE); image;
         image = strstr(line, IMAGE_FILE)) {
        line = strstr(image, "\nRss:");
        g_assert_nonnull(line);
        kib += g_ascii_strtoull(line + strlen("\nRss:"), NULL, 10);
    }
    return kib * KiB;
}

uint32_t submit(QVirtioGPU *gpu, uint32_t ctx, const uint32_t *words,
                uint32_t n, uint32_t claimed_size)
{
    size_t size = sizeof(struct virtio_gpu_cmd_submit) + n * sizeof(*words);
    g_autofree struct virtio_gpu_cmd_submit *cmd = g_malloc0(size);

    cmd->hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_SUBMIT_3D);
    cmd->hdr.ctx_id = cpu_to_le32(ctx);
    cmd->size = cpu_to_le32(claimed_size);
    memcpy(cmd + 1, words, n * sizeof(*words));
    return qvirtio_gpu_cmd(gpu, cmd, size, NULL,
                           sizeof(struct virtio_gpu_ctrl_hdr));
}

uint32_t enqueue(QVirtioGPU *gpu, int slot, const void *cmd, size_t len)
{
    uint64_t out = gpu->out + slot * PAGE, in = gpu->in + slot * PAGE;
    uint32_t head;

    memcpy(gpu->ram + out, cmd, len);
    head = qvirtqueue_add(gpu->qts, gpu->ctrl, out, len, false, true);
    qvirtqueue_add(gpu->qts, gpu->ctrl, in, PAGE, true, false);
    return head;
}

bool preload_udmabuf(void)
{
    const char *shim = g_getenv("VIRTIO_GPU_UDMABUF_SHIM");

    if (access("/dev/udmabuf", R_OK | W_OK)) {
        if (!shim || access(shim, R_OK)) {
            g_test_skip("neither /dev/udmabuf nor its shim is available");
            return false;
        }
        g_setenv("LD_PRELOAD", shim, true);
    }
    return true;
}

QVirtioGPU *start_with_blobs(const Device *dev, const char *options)
{
    g_autofree char *all = g_strconcat(WITH_BLOBS, options, NULL);
    QVirtioGPU *gpu;

    if (!preload_udmabuf()) {
        return NULL;
    }
    gpu = start_with(dev, all);
    g_unsetenv("LD_PRELOAD");
    qvirtio_gpu_start(gpu, RECLAIM | 1ull << VIRTIO_GPU_F_RESOURCE_BLOB);
    return gpu;
}

uint32_t create_blob(QVirtioGPU *gpu, uint32_t id, uint32_t entries,
                     uint32_t bytes, uint64_t size)
{
    struct {
        struct virtio_gpu_resource_create_blob blob;
        struct virtio_gpu_mem_entry entry;
    } cmd = {
        .blob.hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB),
        .blob.resource_id = cpu_to_le32(id),
        .blob.blob_mem = cpu_to_le32(VIRTIO_GPU_BLOB_MEM_GUEST),
        .blob.nr_entries = cpu_to_le32(entries),
        .blob.size = cpu_to_le64(size),
        .entry.addr = cpu_to_le64(HERE),
        .entry.length = cpu_to_le32(bytes),
    };

    return qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL, sizeof(cmd.blob.hdr));
}

uint32_t scanout_blob(QVirtioGPU *gpu, const ScanoutBlob *image)
{
    struct virtio_gpu_set_scanout_blob cmd = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_SET_SCANOUT_BLOB),
        .resource_id = cpu_to_le32(1),
        .r.x = cpu_to_le32(image->x),
        .r.y = cpu_to_le32(image->y),
        .r.width = cpu_to_le32(image->r_width),
        .r.height = cpu_to_le32(image->r_height),
        .width = cpu_to_le32(image->width),
        .height = cpu_to_le32(image->height),
        .format = cpu_to_le32(FORMAT),
        .strides[0] = cpu_to_le32(image->stride),
        .offsets[0] = cpu_to_le32(image->offset),
    };

    return qvirtio_gpu_cmd(gpu, &cmd, sizeof(cmd), NULL, sizeof(cmd.hdr));
}
