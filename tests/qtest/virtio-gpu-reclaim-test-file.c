/*
 * QTest testcase for virtio-gpu memory reclaim: compressed contents in a file
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mount.h>
#include "virtio-gpu-reclaim-test.h"

/* virglrenderer protocol: bind resource 1 as colour buffer by surface 77. */
#define BIND_WORDS { SET_FRAMEBUFFER, 1, 0, 77 }

/* Of each resource, of which about a half is left by compression. */
static uint32_t noise(uint32_t id, uint32_t i)
{
    uint32_t word = (id * 16384 + i) * 2654435761u;

    /* The X of BGRX is undefined. */
    return i / 64 % 2 ? 0 : (word ^ word >> 15) & 0xffffff;
}

static void make_noise(QVirtioGPU *gpu, uint32_t id)
{
    uint32_t *ram = (uint32_t *)(gpu->ram + backing(id));
    uint32_t i;

    make_filled(gpu, id, 0);
    for (i = 0; i < BYTES / 4; i++) {
        ram[i] = cpu_to_le32(noise(id, i));
    }
    g_assert_cmphex(qvirtio_gpu_to_host_2d(gpu, id, SIDE, SIDE, 0), ==, OK);
    advance_ms(gpu, 100);
}

static uint32_t read_back(QVirtioGPU *gpu, uint32_t id)
{
    memset(gpu->ram + backing(id), 0x55, BYTES);
    return qvirtio_gpu_transfer_3d(gpu, false, 0, id, SIDE, SIDE);
}

static void check_noise(QVirtioGPU *gpu, uint32_t id)
{
    const uint32_t *ram = (uint32_t *)(gpu->ram + backing(id));
    uint32_t i;

    g_assert_cmphex(read_back(gpu, id), ==, OK);
    for (i = 0; i < BYTES / 4; i++) {
        g_assert_cmphex(le32_to_cpu(ram[i]) & 0xffffff, ==, noise(id, i));
    }
}

/* With a file in @dir and memory for @max bytes of compressed contents. */
static QVirtioGPU *start_with_file(const Device *dev, const char *dir,
                                   unsigned max, const char *props)
{
    g_autofree char *all = g_strdup_printf(
        ",x-compressed-max=%u,x-compressed-file=%s%s", max, dir, props);

    return start_with(dev, all);
}

/* Wait until @n resources are compressed, all that are idle. */
static void compress_idle(QVirtioGPU *gpu, uint32_t n)
{
    gint64 start = g_get_monotonic_time();

    advance_ms(gpu, 100000);
    while (get_in(gpu, "compressed", "resources") != n) {
        g_assert_cmpint(g_get_monotonic_time() - start, <, HANG);
        advance_ms(gpu, 1000);
        g_usleep(10000);
    }
}

/* What was used least recently leaves memory, and comes back. */
static void test_overflow(const void *data)
{
    const uint32_t n = 8;
    const unsigned max = 24 * KiB;
    QVirtioGPU *gpu = start_with_file(data, g_get_tmp_dir(), max,
                                      ",hostmem-target=1");
    uint64_t in_memory, in_file, reads;
    uint32_t id;

    for (id = 1; id <= n; id++) {
        make_noise(gpu, id);
    }
    compress_idle(gpu, n);
    in_memory = get_in(gpu, "compressed", "compressed-bytes");
    in_file = get_in(gpu, "file", "resources");
    g_assert_cmpuint(in_memory, <=, max);
    g_assert_cmpuint(in_memory, >, 0);
    g_assert_cmpuint(in_file, >, n / 2);
    g_assert_cmpuint(in_file, <, n);
    g_assert_cmpuint(get_in(gpu, "file", "bytes"), >=, in_file * 4096);
    g_assert_cmpuint(get_in(gpu, "file", "bytes"), <, in_file * BYTES);
    g_assert_cmpuint(get_in(gpu, "file", "writes"), ==, in_file);
    g_assert_cmpuint(get_in(gpu, "compressed", "uncompressed-bytes"), ==,
                     n * BYTES);
    g_assert_cmpuint(get_in(gpu, "resident", "host-bytes"), ==, 0);
    g_assert_cmpuint(get_in(gpu, "resident", "compressed-bytes"), ==,
                     in_memory);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, in_memory +
                     get_in(gpu, "resident", "iov-bytes"));

    set_target(gpu, 0);
    for (id = 1; id <= n; id++) {
        reads = get_in(gpu, "file", "reads");
        check_noise(gpu, id);
        /* The last ones used are in memory. */
        g_assert_cmpuint(get_in(gpu, "file", "reads"), ==,
                         reads + (id <= in_file));
    }
    g_assert_cmpuint(get_in(gpu, "file", "resources"), ==, 0);
    g_assert_cmpuint(get_in(gpu, "file", "bytes"), ==, 0);
    g_assert_cmpuint(get_in(gpu, "file", "errors"), ==, 0);
    g_assert_cmpuint(get_in(gpu, "compressed", "decompressions"), ==, n);
    g_assert_cmpuint(get_stat(gpu, "host-bytes"), ==, n * BYTES +
                     get_in(gpu, "resident", "iov-bytes"));
    qvirtio_gpu_shutdown(gpu);
}

/* What is in the file does not count for the limit of memory. */
static void test_limit(const void *data)
{
    const uint64_t limit = 256 * KiB;
    QVirtioGPU *gpu = start_with_file(data, g_get_tmp_dir(), 8 * KiB,
                                      ",max_hostmem=262144");
    uint32_t n = 0, id;

    while (qvirtio_gpu_create_2d(gpu, n + 1, FORMAT, SIDE, SIDE) == OK) {
        g_assert_cmphex(qvirtio_gpu_unref(gpu, n + 1), ==, OK);
        make_noise(gpu, ++n);
        g_assert_cmpuint(get_stat(gpu, "used-bytes"), <, limit);
    }
    /* Half of what compression leaves would be over it. */
    g_assert_cmpuint(n, >, limit / BYTES * 3 / 2);
    g_assert_cmpuint(get_in(gpu, "file", "resources"), >, 0);
    g_assert_cmpuint(get_in(gpu, "compressed", "compressed-bytes"), <=,
                     8 * KiB);
    for (id = 1; id <= n; id++) {
        check_noise(gpu, id);
        g_assert_cmpuint(get_stat(gpu, "used-bytes"), <, limit);
        advance_ms(gpu, 1);
    }
    qvirtio_gpu_shutdown(gpu);
}

/* Commands on resources whose contents are there; and their end. */
static void test_commands(const void *data)
{
    uint32_t bind[] = BIND_WORDS;
    uint32_t create[] = { CREATE_SURFACE, 77, 5, FORMAT, 0, 0 };
    QVirtioGPU *gpu = start_with_file(data, g_get_tmp_dir(), 1,
                                      ",hostmem-target=1");
    uint32_t id;

    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    for (id = 1; id <= 5; id++) {
        make_noise(gpu, id);
    }
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1,
                                    5), ==, OK);
    g_assert_cmphex(submit(gpu, 1, create, ARRAY_SIZE(create), sizeof(create)),
                    ==, OK);
    compress_idle(gpu, 5);
    wait_for(gpu, "file", "resources", 5);
    g_assert_cmpuint(get_in(gpu, "compressed", "compressed-bytes"), ==, 0);
    set_target(gpu, 0);

    g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==, OK);
    g_assert_cmpuint(get_in(gpu, "file", "resources"), ==, 4);
    g_assert_cmphex(purge_one(gpu, 2), ==, PURGED);
    g_assert_cmpuint(get_in(gpu, "file", "resources"), ==, 3);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 3), ==, OK);
    g_assert_cmphex(qvirtio_gpu_unref(gpu, 3), ==, OK);
    g_assert_cmpuint(get_in(gpu, "file", "resources"), ==, 2);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 4), ==, OK);
    g_assert_cmpuint(get_in(gpu, "evicted", "compressed-bytes"), ==, 0);
    g_assert_cmpuint(get_in(gpu, "evicted", "host-bytes"), ==, 0);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 4, backing(4), BYTES), ==, OK);
    check_noise(gpu, 4);
    g_assert_cmphex(submit(gpu, 1, bind, ARRAY_SIZE(bind), sizeof(bind)), ==,
                    OK);
    check_noise(gpu, 5);
    g_assert_cmpuint(get_in(gpu, "file", "resources"), ==, 0);
    g_assert_cmpuint(get_in(gpu, "file", "bytes"), ==, 0);

    /* A reset frees what is in it. */
    set_target(gpu, 1);
    compress_idle(gpu, 2);
    wait_for(gpu, "file", "resources", 2);
    qvirtio_gpu_start(gpu, RECLAIM | VIRGL);
    wait_for(gpu, "file", "resources", 0);
    make_noise(gpu, 1);
    compress_idle(gpu, 1);
    check_noise(gpu, 1);
    qvirtio_gpu_shutdown(gpu);
}

/* A file system of @size, or NULL, and the test is skipped. */
static char *mount_small(const char *size, unsigned long flags)
{
    g_autofree char *dir = g_dir_make_tmp("qtest-virtio-gpu-XXXXXX", NULL);

    if (mount("none", dir, "tmpfs", flags, size) < 0) {
        g_test_skip("cannot mount tmpfs: needs root");
        rmdir(dir);
        return NULL;
    }
    return g_steal_pointer(&dir);
}

static void unmount(char *dir)
{
    umount2(dir, MNT_DETACH);
    rmdir(dir);
    g_free(dir);
}

/* When the disk is full, what is left stays in memory, and nothing is lost. */
static void test_full(const void *data)
{
    const uint32_t n = 12;
    char *dir = mount_small("size=48k", 0);
    g_autofree char *log = temp_file();
    g_autofree char *text = NULL;
    g_autofree char *redirect = g_strdup_printf(",hostmem-target=1 2>%s", log);
    uint64_t in_file;
    QVirtioGPU *gpu;
    uint32_t id;

    if (!dir) {
        unlink(log);
        return;
    }
    gpu = start_with_file(data, dir, 20 * KiB, redirect);
    for (id = 1; id <= n; id++) {
        make_noise(gpu, id);
    }
    advance_ms(gpu, 100000);
    wait_for(gpu, "file", "errors", 1);
    in_file = get_in(gpu, "file", "resources");
    g_assert_cmpuint(in_file, >, 2);
    g_assert_cmpuint(in_file, <, n - 3);
    g_assert_cmpuint(get_in(gpu, "compressed", "compressed-bytes"), <=,
                     20 * KiB);
    g_assert_cmpuint(get_in(gpu, "stays", "limit"), >, 0);
    g_assert_cmpuint(get_in(gpu, "resident", "host-bytes"), >=, 3 * BYTES);

    /* When there is space again, it is used. */
    for (id = 1; id <= in_file; id++) {
        g_assert_cmphex(qvirtio_gpu_detach(gpu, id), ==, OK);
        g_assert_cmphex(qvirtio_gpu_unref(gpu, id), ==, OK);
    }
    compress_idle(gpu, n - in_file);
    for (id = in_file + 1; id <= n; id++) {
        check_noise(gpu, id);
    }
    qvirtio_gpu_shutdown(gpu);
    unmount(dir);

    g_assert_true(g_file_get_contents(log, &text, NULL, NULL));
    g_assert_nonnull(strstr(text, "cannot write contents of resource"));
    g_assert_nonnull(strstr(text, "No space left on device"));
    unlink(log);
}

/* The file of a QEMU, which has no name. */
static int open_file(QVirtioGPU *gpu, const char *dir)
{
    g_autofree char *fds = g_strdup_printf("/proc/%d/fd", gpu->pid);
    g_autofree char *head = g_strconcat(dir, "/#", NULL);
    g_autoptr(GDir) list = g_dir_open(fds, 0, NULL);
    const char *name;
    int fd = -1;

    g_assert_nonnull(list);
    while ((name = g_dir_read_name(list))) {
        g_autofree char *link = g_build_filename(fds, name, NULL);
        g_autofree char *path = g_file_read_link(link, NULL);

        if (path && g_str_has_prefix(path, head)) {
            g_assert_cmpint(fd, ==, -1);
            fd = open(link, O_RDWR);
        }
    }
    g_assert_cmpint(fd, >=, 0);
    return fd;
}

/*
 * What cannot be read is an error response, each time it is used, and never
 * wrong pixels; it can be purged, or be read later.
 */
static void test_read_error(const void *data)
{
    g_autofree char *dir = g_dir_make_tmp("qtest-virtio-gpu-XXXXXX", NULL);
    g_autofree char *log = temp_file();
    g_autofree char *redirect = g_strdup_printf(",hostmem-target=1 2>%s", log);
    g_autofree char *text = NULL, *contents = NULL;
    uint32_t bind[] = BIND_WORDS;
    uint32_t create[] = { CREATE_SURFACE, 77, 1, FORMAT, 0, 0 };
    QVirtioGPU *gpu = start_with_file(data, dir, 1, redirect);
    struct stat st;
    uint32_t id;
    int fd, i;

    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_CREATE, 1, 0), ==,
                    OK);
    for (id = 1; id <= 3; id++) {
        make_noise(gpu, id);
    }
    g_assert_cmphex(qvirtio_gpu_ctx(gpu, VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, 1,
                                    1), ==, OK);
    g_assert_cmphex(submit(gpu, 1, create, ARRAY_SIZE(create), sizeof(create)),
                    ==, OK);
    compress_idle(gpu, 3);
    wait_for(gpu, "file", "resources", 3);
    g_assert_cmphex(qvirtio_gpu_detach(gpu, 3), ==, OK);
    set_target(gpu, 0);

    /* Cut it off, and write other bytes. */
    fd = open_file(gpu, dir);
    g_assert_cmpint(fstat(fd, &st), ==, 0);
    contents = g_malloc(st.st_size);
    g_assert_cmpint(pread(fd, contents, st.st_size, 0), ==, st.st_size);
    for (i = 0; i < 2; i++) {
        g_assert_cmpint(ftruncate(fd, 0), ==, 0);
        if (i == 1) {
            g_assert_cmpint(ftruncate(fd, st.st_size), ==, 0);
        }
        g_assert_cmphex(read_back(gpu, 1), ==, UNSPEC);
        check_ram(gpu, backing(1), BYTES, 0x55555555);
        g_assert_cmphex(submit(gpu, 1, bind, ARRAY_SIZE(bind), sizeof(bind)),
                        ==, UNSPEC);
        g_assert_cmphex(qvirtio_gpu_set_scanout(gpu, 1, SIDE, SIDE), ==,
                        UNSPEC);
        g_assert_cmphex(qvirtio_gpu_attach(gpu, 3, THERE, BYTES), ==, UNSPEC);
        g_assert_cmpuint(get_in(gpu, "file", "errors"), ==, 4 * (i + 1));
        g_assert_cmpuint(get_in(gpu, "compressed", "resources"), ==, 3);
    }
    g_assert_cmphex(purge_one(gpu, 2), ==, PURGED);
    g_assert_cmpint(pwrite(fd, contents, st.st_size, 0), ==, st.st_size);
    close(fd);
    g_assert_cmphex(submit(gpu, 1, bind, ARRAY_SIZE(bind), sizeof(bind)), ==,
                    OK);
    check_noise(gpu, 1);
    g_assert_cmphex(qvirtio_gpu_attach(gpu, 3, backing(3), BYTES), ==, OK);
    check_noise(gpu, 3);
    g_assert_cmpuint(get_in(gpu, "file", "resources"), ==, 0);
    qvirtio_gpu_shutdown(gpu);
    rmdir(dir);

    /* Once, however often a guest tries. */
    g_assert_true(g_file_get_contents(log, &text, NULL, NULL));
    g_assert_nonnull(strstr(text, "cannot read contents of resource 1 from "
                            "x-compressed-file="));
    g_assert_null(strstr(strstr(text, "cannot read contents") + 1,
                         "cannot read contents"));
    unlink(log);
}

static void test_properties(const void *data)
{
    static const BadOptions bad[] = {
        { "virtio-gpu-gl-pci,x-compressed-file=/tmp",
          "x-compressed-file needs x-reclaim=on" },
        { "virtio-gpu-gl-pci,x-reclaim=on,x-compressed-file=/tmp",
          "x-compressed-file needs x-compressed-max" },
        { "virtio-gpu-gl-pci,x-reclaim=on,x-compressed-max=1M,"
          "x-compressed-file=/nonexistent",
          "x-compressed-file: cannot make a file in /nonexistent: "
          "No such file or directory" },
        { "virtio-gpu-gl-pci,x-reclaim=on,x-compressed-max=1M,"
          "x-compressed-file=/dev/null",
          "x-compressed-file: cannot make a file in /dev/null: "
          "Not a directory" },
        { "virtio-gpu-gl-pci,x-reclaim=on,x-compressed-max=1M,"
          "x-compressed-file=/proc",
          "x-compressed-file: the file system of /proc has no unnamed files "
          "(O_TMPFILE)" },
        { "virtio-gpu-pci,x-reclaim=on,x-compressed-file=/tmp",
          "x-compressed-file" },
    };

    check_bad_options(bad, ARRAY_SIZE(bad));
}

static void test_read_only(const void *data)
{
    char *dir = mount_small("", MS_RDONLY);
    g_autofree char *device = NULL, *error = NULL;
    BadOptions bad;

    if (!dir) {
        return;
    }
    device = g_strdup_printf("virtio-gpu-gl-pci,x-reclaim=on,"
                             "x-compressed-max=1M,x-compressed-file=%s", dir);
    error = g_strdup_printf("x-compressed-file: cannot make a file in %s: "
                            "Read-only file system", dir);
    bad = (BadOptions) { device, error };
    check_bad_options(&bad, 1);
    unmount(dir);
}

static const Case cases[] = {
    { "file-overflow", test_overflow, ON_GL },
    { "file-limit", test_limit, ON_GL_PCI },
    { "file-commands", test_commands, ON_GL_PCI },
    { "file-full", test_full, ON_GL_PCI },
    { "file-read-error", test_read_error, ON_GL_PCI },
    { "file-properties", test_properties, ON_GL_PCI },
    { "file-read-only", test_read_only, ON_GL_PCI },
};

void add_file_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
