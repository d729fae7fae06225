/*
 * QTest testcase for virtio-gpu memory reclaim: blob resources
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/socket.h>
#include <sys/un.h>
#include "virtio-gpu-reclaim-test.h"

/* An image that fills a blob of the default size. */
static const ScanoutBlob whole = {
    .width = SIDE, .height = SIDE, .stride = SIDE * 4,
    .r_width = SIDE, .r_height = SIDE,
};

/* spec: Device 22. */
static void test_blob(const void *data)
{
    QVirtioGPU *gpu = start_with_blobs(data, "");

    if (!gpu) {
        return;
    }
    g_assert_cmphex(create_blob(gpu, 1, 1, BYTES, BYTES), ==, OK);
    g_assert_cmphex(create_blob(gpu, 1, 1, BYTES, BYTES), ==, BAD_RESOURCE);
    g_assert_cmphex(create_blob(gpu, 0, 1, BYTES, BYTES), ==, BAD_RESOURCE);
    g_assert_cmphex(create_blob(gpu, 2, 1, BYTES, BYTES + 1), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(create_blob(gpu, 2, 0, BYTES, BYTES), ==, BAD_PARAMETER);
    g_assert_cmphex(create_blob(gpu, 2, 1, BYTES, 0), ==, BAD_PARAMETER);
    check_stats(gpu, (Stats) { .resident = 1, .resident_backing = BYTES,
                               .blobs = 1, .blob_backing = BYTES,
                               .attaches = 1, .errors = 5 });

    g_assert_cmphex(scanout_blob(gpu, &whole), ==, OK);
    /* The image is in its backing: without it there is no scanout. */
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(scanout_blob(gpu, &whole), ==, BAD_PARAMETER);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES - 1), ==,
                    BAD_PARAMETER);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    g_assert_cmphex(scanout_blob(gpu, &whole), ==, OK);
    qvirtio_gpu_shutdown(gpu);
}

/* spec: Device 11. A purge leaves a blob unchanged. */
static void test_blob_purge(const void *data)
{
    const Device *dev = data;
    QVirtioGPU *gpu = start_with_blobs(dev, "");
    uint32_t ids[] = { 1, 2, 3 }, results[3];

    if (!gpu) {
        return;
    }
    g_assert_cmphex(create_blob(gpu, 1, 1, BYTES, BYTES), ==, OK);
    make(gpu, 2);
    g_assert_cmphex(qvirtio_gpu_purge(gpu, ids, 3, results), ==,
                    VIRTIO_GPU_RESP_OK_PURGE);
    g_assert_cmphex(results[0], ==, UNSUPPORTED);
    g_assert_cmphex(results[1], ==, PURGED);
    g_assert_cmphex(results[2], ==, UNKNOWN);
    check_stats(gpu, (Stats) { .resident = 1, .resident_backing = BYTES,
                               .blobs = 1, .blob_backing = BYTES,
                               .purged = 1, .purged_released = BYTES,
                               .attaches = 2, .purges = 1, .errors = 2,
                               .released_total = BYTES });
    fill_ram(gpu, HERE, BYTES, RED);
    g_assert_cmphex(scanout_blob(gpu, &whole), ==, OK);
    g_assert_cmphex(qvirtio_gpu_flush(gpu, 1, SIDE, SIDE), ==, OK);
    check_screen(dev, gpu, RED);
    g_assert_cmphex(purge_one(gpu, 1), ==, UNSUPPORTED);

    /* The same with an evicted blob. */
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    g_assert_cmphex(purge_one(gpu, 1), ==, UNSUPPORTED);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    g_assert_cmphex(scanout_blob(gpu, &whole), ==, OK);
    check_screen(dev, gpu, RED);
    qvirtio_gpu_shutdown(gpu);
}

static void define_cursor(QVirtioGPU *gpu, uint32_t id)
{
    struct virtio_gpu_update_cursor cursor = {
        .hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_UPDATE_CURSOR),
        .resource_id = cpu_to_le32(id),
    };

    qvirtio_gpu_cursor(gpu, &cursor);
}

/* RFB pseudo-encoding of cursors with an alpha channel, 4 bytes per pixel. */
#define ALPHA_CURSOR (-314)

static void receive(int fd, void *buf, size_t len)
{
    for (uint8_t *p = buf; len; ) {
        ssize_t n = read(fd, p, len);

        g_assert_cmpint(n, >, 0);
        p += n;
        len -= n;
    }
}

static void transmit(int fd, const void *buf, size_t len)
{
    g_assert_cmpint(write(fd, buf, len), ==, len);
}

/* Connect to a VNC server without a password: RFC 6143, 7.1 to 7.3. */
static int connect_vnc(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    char buf[24];
    uint8_t n;

    g_assert_cmpint(fd, >=, 0);
    g_strlcpy(addr.sun_path, path, sizeof(addr.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    receive(fd, buf, 12);
    transmit(fd, "RFB 003.008\n", 12);
    receive(fd, &n, 1);
    receive(fd, buf, n);
    transmit(fd, "\1", 1);
    receive(fd, buf, 4);
    g_assert_cmpuint(ldl_be_p(buf), ==, 0);
    transmit(fd, "\1", 1);
    receive(fd, buf, 24);
    for (uint32_t left = ldl_be_p(buf + 20); left; left--) {
        receive(fd, buf, 1);
    }
    return fd;
}

/* Get the cursor image that a VNC client receives, SIDE x SIDE pixels. */
static void get_cursor(const char *path, uint32_t *pixels)
{
    uint8_t set_encodings[8] = { 2, 0, 0, 1 };
    int fd = connect_vnc(path);
    uint8_t head[20];

    stl_be_p(set_encodings + 4, ALPHA_CURSOR);
    transmit(fd, set_encodings, sizeof(set_encodings));
    /* An update of one rectangle: its size, its encoding, its pixels. */
    receive(fd, head, sizeof(head));
    g_assert_cmpuint(lduw_be_p(head + 2), ==, 1);
    g_assert_cmpuint(lduw_be_p(head + 8), ==, SIDE);
    g_assert_cmpuint(lduw_be_p(head + 10), ==, SIDE);
    g_assert_cmpint((int32_t)ldl_be_p(head + 12), ==, ALPHA_CURSOR);
    receive(fd, pixels, SIDE * SIDE * sizeof(*pixels));
    close(fd);
}

/* The image of a cursor is read from the blob's current backing. */
static void test_cursor(const void *data)
{
    g_autofree char *path = temp_file();
    g_autofree char *props = g_strconcat(" -vnc unix:", path, NULL);
    g_autofree uint32_t *pixels = g_new(uint32_t, SIDE * SIDE);
    QVirtioGPU *gpu;
    int i;

    unlink(path);
    gpu = start_with_blobs(data, props);
    if (!gpu) {
        return;
    }
    fill_ram(gpu, HERE, BYTES, RED);
    g_assert_cmphex(create_blob(gpu, 1, 1, BYTES, BYTES), ==, OK);
    define_cursor(gpu, 1);
    get_cursor(path, pixels);
    for (i = 0; i < SIDE * SIDE; i++) {
        g_assert_cmphex(le32_to_cpu(pixels[i]), ==, RED);
    }

    /* Without backing there is no image, and the cursor does not change. */
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 1), ==, OK);
    fill_ram(gpu, HERE, BYTES, GREEN);
    define_cursor(gpu, 1);
    get_cursor(path, pixels);
    g_assert_cmphex(le32_to_cpu(pixels[0]), ==, RED);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 1, HERE, BYTES), ==, OK);
    define_cursor(gpu, 1);
    get_cursor(path, pixels);
    g_assert_cmphex(le32_to_cpu(pixels[0]), ==, GREEN);
    qvirtio_gpu_shutdown(gpu);
    unlink(path);
}

static const Case cases[] = {
    { "blob", test_blob, ON_2D },
    { "blob-purge", test_blob_purge, ON_2D },
};

static const Case cursor_cases[] = {
    { "blob", test_cursor, ON_2D },
};

void add_blob_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
    add_cases("cursor", cursor_cases, ARRAY_SIZE(cursor_cases));
}
