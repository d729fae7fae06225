/* SPDX-License-Identifier: MIT */
/* Compressed contents that overflow into a file, and disks that fail. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "commands.h"
#include "renderer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SIZE = 1 << 20, CTX = 1 };

/* The disk: what the library calls instead of the C library's functions. */
static struct {
    int write_error, read_error, flush_error;   /* errno, or 0 */
    size_t most;                /* bytes of a write or read; 0: any */
    bool held;                  /* writes, and reads of other threads, wait */
    unsigned waiting;
    unsigned own_reads;         /* by the thread of the tests */
    GMutex lock;
    GCond changed;
} disk;

static void wait_while_held(void)
{
    g_mutex_lock(&disk.lock);
    disk.waiting++;
    g_cond_broadcast(&disk.changed);
    while (disk.held) {
        g_cond_wait(&disk.changed, &disk.lock);
    }
    disk.waiting--;
    g_mutex_unlock(&disk.lock);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    wait_while_held();
    if (disk.write_error) {
        errno = disk.write_error;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data,
                   disk.most && size > disk.most ? disk.most : size, at);
}

ssize_t pread(int fd, void *data, size_t size, off_t at)
{
    if (syscall(SYS_gettid) == getpid()) {
        disk.own_reads++;
    } else {
        wait_while_held();
    }
    if (disk.read_error) {
        errno = disk.read_error;
        return -1;
    }
    return syscall(SYS_pread64, fd, data,
                   disk.most && size > disk.most ? disk.most : size, at);
}

int sync_file_range(int fd, off_t at, off_t size, unsigned flags)
{
    if (disk.flush_error) {
        errno = disk.flush_error;
        return -1;
    }
    return syscall(SYS_sync_file_range, fd, at, size, flags);
}

static void hold(bool held)
{
    g_mutex_lock(&disk.lock);
    disk.held = held;
    g_cond_broadcast(&disk.changed);
    g_mutex_unlock(&disk.lock);
}

static void wait_until_held(void)
{
    g_mutex_lock(&disk.lock);
    while (!disk.waiting) {
        g_cond_wait(&disk.changed, &disk.lock);
    }
    g_mutex_unlock(&disk.lock);
}

/* Events */

static void log_compressed(uint32_t id, uint64_t bytes, void *opaque)
{
    GString *log = opaque;

    g_string_append_printf(log, "%s%u ", bytes ? "memory" : "file", id);
}

static void log_written(uint32_t id, void *opaque)
{
    GString *log = opaque;

    g_string_append_printf(log, "written%u ", id);
}

static void log_failed(uint32_t id, int error, bool write, void *opaque)
{
    GString *log = opaque;

    g_string_append_printf(log, "%s%u:%s ", write ? "write" : "read", id,
                           g_strerror(-error));
}

static void check_log(GString *log, const char *want)
{
    g_assert_cmpstr(log->str, ==, want);
    g_string_truncate(log, 0);
}

/* A file, and an instance that has it. */

typedef struct File {
    GString *log;
    int fd;
    uint64_t one;               /* memory that the contents of one take */
} File;

static struct virgl_reclaim_stats stats_of(Fixture *f)
{
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    virgl_reclaim_get_stats(f->vr, &stats);
    return stats;
}

static void compress(Fixture *f, uint32_t id)
{
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, id), ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, id), ==,
                    VIRGL_RECLAIM_COMPRESSED);
}

/* Noise, but for every second block: they compress to about a half. */
static uint32_t *noise(uint32_t seed)
{
    uint32_t *data = g_malloc0(SIZE);

    for (uint32_t i = 0; i < SIZE / 4; i++) {
        seed = seed * 1664525 + 1013904223;
        data[i] = i / 1024 % 2 ? 0 : seed ^ seed >> 15;
    }
    return data;
}

static void make_buffer_of(Fixture *f, uint32_t id, void *data, uint32_t size)
{
    struct virgl_renderer_resource_create_args args = buffer_args(id, size);

    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    g_assert_cmpint(write_bytes(id, 0, data, size, size, 1), ==, 0);
}

static void make_buffer(Fixture *f, uint32_t id)
{
    g_autofree uint32_t *data = noise(id);

    make_buffer_of(f, id, data, SIZE);
}

static void check_buffer(uint32_t id)
{
    g_autofree uint32_t *data = noise(id), *out = g_malloc0(SIZE);

    g_assert_cmpint(read_bytes(id, 0, out, SIZE, SIZE, 1), ==, 0);
    g_assert_cmpmem(data, SIZE, out, SIZE);
}

static void check_restored(Fixture *f, uint32_t id)
{
    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, id), ==, 0);
    check_buffer(id);
}

static uint64_t allocated(const File *file)
{
    struct stat st;

    g_assert_cmpint(fstat(file->fd, &st), ==, 0);
    return (uint64_t)st.st_blocks * 512;
}

static uint64_t file_size(const File *file)
{
    struct stat st;

    g_assert_cmpint(fstat(file->fd, &st), ==, 0);
    return st.st_size;
}

/* Resources 1 to @n, each used after the one before; room for @room in memory. */
static File set_up(Fixture *f, uint32_t n, double room)
{
    g_autofree char *path = NULL;
    File file = { .log = g_string_new("") };

    file.fd = g_file_open_tmp("virglreclaim-XXXXXX", &path, NULL);
    g_assert_cmpint(file.fd, >=, 0);
    unlink(path);
    for (uint32_t id = 1; id <= n; id++) {
        virgl_reclaim_set_time(f->vr, id);
        make_buffer(f, id);
    }
    virgl_reclaim_set_time(f->vr, n + 1);
    /* What one takes. */
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    compress(f, n);
    file.one = stats_of(f).compressed_bytes;
    g_assert_cmpuint(file.one, >, 64 << 10);
    check_restored(f, n);
    virgl_reclaim_set_time(f->vr, n + 2);
    virgl_reclaim_set_compress_max(f->vr, room * file.one);
    g_assert_cmpint(virgl_reclaim_set_compress_file(f->vr, file.fd), ==, 0);
    return file;
}

static void use_log(Fixture *f, File *file)
{
    static const struct virgl_reclaim_events events = {
        .compressed = log_compressed,
        .written = log_written,
        .file_failed = log_failed,
    };

    virgl_reclaim_set_events(f->vr, &events, file->log);
}

static void tear_down(Fixture *f, File *file)
{
    hold(false);
    disk.write_error = disk.read_error = disk.flush_error = 0;
    disk.most = 0;
    virgl_renderer_reset();
    virgl_reclaim_free(f->vr);
    f->vr = virgl_reclaim_new();
    close(file->fd);
    g_string_free(file->log, true);
}

/* Tests */

/* The least recently used ones leave memory, and all come back. */
static void test_overflow(Fixture *f, gconstpointer data)
{
    File file = set_up(f, 5, 2.5);
    struct virgl_reclaim_stats stats;

    (void)data;
    use_log(f, &file);
    compress(f, 3);
    compress(f, 2);
    check_log(file.log, "memory3 memory2 ");
    g_assert_cmpuint(stats_of(f).file, ==, 0);
    compress(f, 4);
    check_log(file.log, "written2 memory4 ");
    /* What is compressed last can be what was used least recently. */
    compress(f, 1);
    check_log(file.log, "file1 ");
    compress(f, 5);
    check_log(file.log, "written3 memory5 ");

    stats = stats_of(f);
    g_assert_cmpuint(stats.compressed, ==, 5);
    g_assert_cmpuint(stats.uncompressed_bytes, ==, 5ull * SIZE);
    g_assert_cmpuint(stats.compressed_bytes, <=, 2.5 * file.one);
    g_assert_cmpuint(stats.compressed_bytes, >, 1.5 * file.one);
    g_assert_cmpuint(stats.file, ==, 3);
    g_assert_cmpuint(stats.file_bytes, >, 3 * file.one / 100 * 98);
    g_assert_cmpuint(stats.file_bytes, <, 3 * file.one + 3 * 4096);
    g_assert_cmpuint(stats.file_bytes, ==, allocated(&file));
    g_assert_cmpuint(stats.file_writes, ==, 3);
    g_assert_cmpint(virgl_reclaim_set_compress_file(f->vr, -1), ==, -EBUSY);

    for (uint32_t id = 1; id <= 5; id++) {
        check_restored(f, id);
    }
    for (uint32_t id = 0, next = 1; next <= 6; id = next++) {
        uint64_t last_use;

        g_assert_cmpuint(virgl_reclaim_lru_next(f->vr, id, &last_use), ==,
                         next % 6);
    }
    stats = stats_of(f);
    g_assert_cmpuint(stats.compressed_bytes, ==, 0);
    g_assert_cmpuint(stats.file, ==, 0);
    g_assert_cmpuint(stats.file_bytes, ==, 0);
    g_assert_cmpuint(stats.file_reads, ==, 3);
    g_assert_cmpuint(stats.file_errors, ==, 0);
    tear_down(f, &file);
}

static int run_steps(Fixture *f, uint32_t id)
{
    int ret = virgl_reclaim_compress_begin(f->vr, id);

    while (ret == 0 || ret == -EAGAIN) {
        g_usleep(100);
        ret = virgl_reclaim_compress_run(f->vr);
        if (ret == 0) {
            return 0;
        }
    }
    return ret;
}

/* In steps, none of which waits for the disk. */
static void test_steps(Fixture *f, gconstpointer data)
{
    File file = set_up(f, 3, 1.5);

    (void)data;
    use_log(f, &file);
    g_assert_cmpint(run_steps(f, 1), ==, 0);
    hold(true);
    g_assert_cmpint(virgl_reclaim_compress_begin(f->vr, 2), ==, 0);
    while (!disk.waiting) {
        g_assert_cmpint(virgl_reclaim_compress_run(f->vr), ==, -EAGAIN);
        g_usleep(100);
    }
    for (int i = 0; i < 10; i++) {
        g_assert_cmpint(virgl_reclaim_compress_run(f->vr), ==, -EAGAIN);
    }
    check_log(file.log, "memory1 ");
    hold(false);
    while (virgl_reclaim_compress_run(f->vr) == -EAGAIN) {
        g_usleep(100);
    }
    check_log(file.log, "written1 memory2 ");
    g_assert_cmpint(run_steps(f, 3), ==, 0);
    check_log(file.log, "written2 memory3 ");
    for (uint32_t id = 1; id <= 3; id++) {
        check_restored(f, id);
    }
    tear_down(f, &file);
}

enum { SLOT = 64 << 10, ZEROES = 48 << 10, MAX_TAIL = 2 * SLOT };

/*
 * A buffer of zeroes, and of as much noise as leaves compressed data whose last
 * two bytes, of zstd's checksum, are the only ones in the second slot.
 */
static void make_straddling(Fixture *f, uint32_t id)
{
    g_autofree uint32_t *random = noise(id);
    g_autofree uint8_t *data = g_malloc0(ZEROES + MAX_TAIL);
    uint32_t tail = SLOT - 64;
    uint64_t before, size;

    for (uint32_t i = 0; i < MAX_TAIL; i++) {
        data[ZEROES + i] = random[i / 1024 * 2048 % (SIZE / 4) + i % 1024] >> 8;
    }
    do {
        make_buffer_of(f, id, data, ZEROES + tail);
        before = stats_of(f).compressed_bytes;
        compress(f, id);
        /* What chunks take has a header of 16 bytes for each 64 KiB. */
        size = stats_of(f).compressed_bytes - before;
        size -= 16 * ((size + SLOT - 1) / SLOT);
        if (size != SLOT + 2) {
            tail += SLOT + 2 - size;
            g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, id), ==, 0);
        }
    } while (size != SLOT + 2);
}

/* Nor does a step of a restore: large ones, small ones, and the last bytes. */
static void test_restore_steps(Fixture *f, gconstpointer data)
{
    enum { LARGE = 1, SMALL, STRADDLING, LAST };
    File file = set_up(f, 1, 1.1);
    g_autofree uint32_t *small = noise(SMALL);
    struct virgl_reclaim_stats stats;
    unsigned waits;
    int ret;

    (void)data;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    compress(f, LARGE);
    make_buffer_of(f, SMALL, small, 16 << 10);
    compress(f, SMALL);
    make_straddling(f, STRADDLING);
    virgl_reclaim_set_time(f->vr, 10);
    make_buffer(f, LAST);
    virgl_reclaim_set_compress_max(f->vr, 1.1 * file.one);
    compress(f, LAST);
    stats = stats_of(f);
    g_assert_cmpuint(stats.file, ==, LAST - 1);

    for (uint32_t id = LARGE; id < LAST; id++) {
        disk.own_reads = 0;
        waits = 0;
        hold(true);
        ret = virgl_reclaim_restore_begin(f->vr, id);
        g_assert_cmpint(ret, ==, -EAGAIN);
        while (ret) {
            ret = virgl_reclaim_restore_run(f->vr);
            g_assert_true(ret >= 0 || ret == -EAGAIN);
            if (ret == -EAGAIN && ++waits == 3) {
                hold(false);
            }
            g_usleep(100);
        }
        virgl_reclaim_restore_end(f->vr);
        g_assert_cmpuint(waits, >=, 3);
        g_assert_cmpuint(disk.own_reads, ==, 0);
        g_assert_cmpuint(stats_of(f).file_reads, ==, id);
    }
    check_buffer(LARGE);
    tear_down(f, &file);
}

/* What is used, purged or destroyed while it is written, or waits for that. */
static void test_meanwhile(Fixture *f, gconstpointer data)
{
    File file = set_up(f, 4, 1.5);
    struct virgl_reclaim_stats stats;

    (void)data;
    for (int i = 0; i < 5; i++) {
        compress(f, 1);
        hold(true);
        g_assert_cmpint(virgl_reclaim_compress_begin(f->vr, 2), ==, 0);
        while (!disk.waiting) {
            g_assert_cmpint(virgl_reclaim_compress_run(f->vr), ==, -EAGAIN);
        }
        wait_until_held();
        switch (i) {
        case 0:
            check_restored(f, 1);
            break;
        case 1:
            check_restored(f, 2);
            break;
        case 2:
            g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, 1, NULL), ==,
                            0);
            break;
        case 3:
            g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, 1), ==, 0);
            make_buffer(f, 1);
            break;
        default:
            virgl_renderer_reset();
            virgl_reclaim_reset(f->vr);
            break;
        }
        hold(false);
        while (virgl_reclaim_compress_run(f->vr) == -EAGAIN) {
            g_usleep(100);
        }
        if (i == 2) {
            g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, 1), ==, 0);
            make_buffer(f, 1);
        }
        if (i < 4) {
            check_restored(f, 1);
            check_restored(f, 2);
        }
        stats = stats_of(f);
        g_assert_cmpuint(stats.compressed, ==, 0);
        g_assert_cmpuint(stats.compressed_bytes, ==, 0);
        g_assert_cmpuint(stats.file, ==, 0);
        g_assert_cmpuint(stats.file_bytes, ==, 0);
    }
    tear_down(f, &file);
}

/* The result of a write is taken also if what it was for is used meanwhile. */
static void test_collect(Fixture *f, gconstpointer data)
{
    File file = set_up(f, 3, 1.5);

    (void)data;
    compress(f, 1);
    hold(true);
    g_assert_cmpint(virgl_reclaim_compress_begin(f->vr, 2), ==, 0);
    while (!disk.waiting) {
        g_assert_cmpint(virgl_reclaim_compress_run(f->vr), ==, -EAGAIN);
    }
    g_assert_cmpint(virgl_reclaim_resource_purge(f->vr, 2, NULL), ==, 0);
    hold(false);
    while (virgl_reclaim_collect(f->vr)) {
        g_usleep(100);
    }
    g_assert_cmpuint(stats_of(f).file, ==, 1);
    g_assert_cmpuint(stats_of(f).compressed_bytes, ==, 0);
    check_restored(f, 1);
    tear_down(f, &file);
}

/* An object keeps contents that are in the file after unref. */
static void test_object(Fixture *f, gconstpointer data)
{
    struct virgl_renderer_resource_create_args args = texture_args(10, 512,
                                                                   512);
    g_autofree uint32_t *in = noise(1);
    File file = set_up(f, 1, 0.01);
    struct virgl_reclaim_stats stats;

    (void)data;
    if (g_getenv("VIRGLRECLAIM_TEST_GLES")) {
        g_test_skip("no lossless readback of textures with GLES");
        tear_down(f, &file);
        return;
    }
    args.bind |= VIRGL_RES_BIND_RENDER_TARGET | VIRGL_RES_BIND_SAMPLER_VIEW;
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    args.handle = 11;
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    g_assert_cmpint(write_bytes(10, 0, in, SIZE, 512, 512), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"), ==, 0);
    for (uint32_t id = 10; id <= 11; id++) {
        g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, CTX, id), ==,
                        0);
    }
    g_assert_cmpint(COMMAND(f->vr, CTX, VR_CREATE_OBJECT, VR_OBJECT_SURFACE,
                            20, 10, args.format, 0, 0), ==, 0);
    compress(f, 10);
    g_assert_cmpuint(stats_of(f).file, ==, 1);
    g_assert_cmpuint(stats_of(f).compressed_bytes, ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, 10), ==, 0);
    stats = stats_of(f);
    g_assert_cmpuint(stats.file, ==, 1);
    g_assert_cmpuint(stats.deferred, ==, 1);
    g_assert_cmpuint(stats.deferred_bytes, ==, 0);

    /* Binding the surface brings the storage back, and ends the contents. */
    g_assert_cmpint(COMMAND(f->vr, CTX, VR_SET_FRAMEBUFFER_STATE, 0, 1, 0, 20),
                    ==, 0);
    stats = stats_of(f);
    g_assert_cmpuint(stats.file, ==, 0);
    g_assert_cmpuint(stats.file_reads, ==, 1);
    g_assert_cmpuint(stats.deferred, ==, 1);
    g_assert_cmpuint(stats.deferred_bytes, ==, 512 * 512 * 4);
    /* And without being bound: with the object. */
    g_assert_cmpint(COMMAND(f->vr, CTX, VR_CREATE_OBJECT, VR_OBJECT_SURFACE,
                            21, 11, args.format, 0, 0), ==, 0);
    g_assert_cmpint(write_bytes(11, 0, in, SIZE, 512, 512), ==, 0);
    compress(f, 11);
    g_assert_cmpint(virgl_reclaim_resource_unref(f->vr, 11), ==, 0);
    g_assert_cmpuint(stats_of(f).file, ==, 1);
    g_assert_cmpint(destroy_object(f->vr, CTX, 21), ==, 0);
    g_assert_cmpuint(stats_of(f).file, ==, 0);
    tear_down(f, &file);
}

/* Space is reused: the file does not grow, and is empty in the end. */
static void test_reuse(Fixture *f, gconstpointer data)
{
    enum { N = 6 };
    File file = set_up(f, N, 0.5);
    uint64_t size = 0;

    (void)data;
    for (int turn = 0; turn < 8; turn++) {
        for (uint32_t id = 1; id <= N; id++) {
            compress(f, id);
        }
        g_assert_cmpuint(stats_of(f).file, ==, N);
        if (turn == 0) {
            size = file_size(&file);
            g_assert_cmpuint(size, <, N * (file.one + (64 << 10)));
        }
        for (uint32_t i = 0; i < N; i++) {
            check_restored(f, (i * 5 + turn) % N + 1);
        }
    }
    /* The last ones may not have been free yet when others were written. */
    g_assert_cmpuint(file_size(&file), <=, 2 * size);
    for (int i = 0; allocated(&file) && i < 10000; i++) {
        g_usleep(1000);
    }
    g_assert_cmpuint(allocated(&file), ==, 0);
    tear_down(f, &file);
}

/* Short writes and reads are gone on with. */
static void test_short(Fixture *f, gconstpointer data)
{
    File file = set_up(f, 2, 0.5);

    (void)data;
    disk.most = 1000;
    compress(f, 1);
    compress(f, 2);
    g_assert_cmpuint(stats_of(f).file, ==, 2);
    check_restored(f, 1);
    check_restored(f, 2);
    tear_down(f, &file);
}

/* A disk that does not take contents: nothing is lost, and others are not hurt. */
static void check_write_error(Fixture *f, const char *why)
{
    File file = set_up(f, 3, 1.5);
    g_autofree char *failed = g_strdup_printf("write1:%s ", why);
    struct rlimit limit = { 64 << 10, RLIM_INFINITY };
    struct rlimit old;
    unsigned tries;

    if (g_str_equal(why, g_strerror(EFBIG))) {
        g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &old), ==, 0);
        limit.rlim_max = old.rlim_max;
        g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    }
    compress(f, 1);
    use_log(f, &file);
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, 2), ==, -ENOSPC);
    check_log(file.log, failed);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, 2), ==,
                    VIRGL_RECLAIM_RESIDENT);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, 1), ==,
                    VIRGL_RECLAIM_COMPRESSED);
    check_buffer(2);
    g_assert_cmpuint(stats_of(f).file_errors, ==, 1);
    g_assert_cmpuint(stats_of(f).file, ==, 0);
    g_assert_cmpuint(stats_of(f).skipped[VIRGL_RECLAIM_SKIPPED_LIMIT], ==, 1);
    /* Soon it is not tried each time. */
    for (int i = 0; i < 128; i++) {
        g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, 2), ==,
                        -ENOSPC);
    }
    g_assert_cmpuint(stats_of(f).file_errors, >, 4);
    g_assert_cmpuint(stats_of(f).file_errors, <, 10);
    check_restored(f, 1);
    compress(f, 1);

    /* When there is space again, it is used. */
    disk.write_error = disk.flush_error = 0;
    if (g_str_equal(why, g_strerror(EFBIG))) {
        g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &old), ==, 0);
    }
    for (tries = 0; virgl_reclaim_resource_compress(f->vr, 2) == -ENOSPC &&
                    tries < 100; tries++) {
        /* Some are left out. */
    }
    g_assert_cmpuint(tries, <, 64);
    g_assert_cmpuint(stats_of(f).file, ==, 1);
    compress(f, 3);
    g_assert_cmpuint(stats_of(f).file, ==, 2);
    for (uint32_t id = 1; id <= 3; id++) {
        check_restored(f, id);
    }
    tear_down(f, &file);
}

static void test_full(Fixture *f, gconstpointer data)
{
    (void)data;
    disk.write_error = ENOSPC;
    check_write_error(f, g_strerror(ENOSPC));
}

static void test_write_error(Fixture *f, gconstpointer data)
{
    (void)data;
    disk.write_error = EIO;
    check_write_error(f, g_strerror(EIO));
}

/* What the page cache has taken, and the disk has not. */
static void test_flush_error(Fixture *f, gconstpointer data)
{
    (void)data;
    disk.flush_error = EIO;
    check_write_error(f, g_strerror(EIO));
}

/* A real limit, which signals as well. */
static void test_file_limit(Fixture *f, gconstpointer data)
{
    (void)data;
    check_write_error(f, g_strerror(EFBIG));
}

/* What cannot be read is an error each time, and comes back when it can be. */
static void test_read_error(Fixture *f, gconstpointer data)
{
    File file = set_up(f, 1, 0.5);
    struct virgl_reclaim_stats before, after;
    uint8_t byte, other;
    struct iovec iov = { &byte, sizeof(byte) };

    (void)data;
    g_assert_cmpint(virgl_reclaim_ctx_create(f->vr, CTX, 1, "1"), ==, 0);
    g_assert_cmpint(virgl_reclaim_ctx_attach_resource(f->vr, CTX, 1), ==, 0);
    compress(f, 1);
    use_log(f, &file);
    before = stats_of(f);
    disk.read_error = EIO;
    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, 1), ==, -EIO);
    g_assert_cmpint(virgl_reclaim_resource_attach_iov(f->vr, 1, &iov, 1), ==,
                    -EIO);
    g_assert_cmpint(set_vertex_buffer(f->vr, CTX, 1), ==, -EIO);
    check_log(file.log, "read1:Input/output error read1:Input/output error "
                         "read1:Input/output error ");
    disk.read_error = 0;

    /* Other bytes than were written are an error, too. */
    g_assert_cmpint(pread(file.fd, &byte, 1, file.one / 2), ==, 1);
    other = ~byte;
    g_assert_cmpint(pwrite(file.fd, &other, 1, file.one / 2), ==, 1);
    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, 1), ==, -EIO);
    check_log(file.log, "read1:Input/output error ");
    g_assert_cmpint(pwrite(file.fd, &byte, 1, file.one / 2), ==, 1);

    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, 1), ==,
                    VIRGL_RECLAIM_COMPRESSED);
    after = stats_of(f);
    before.file_errors = 4;
    g_assert_cmpmem(&before, sizeof(before), &after, sizeof(after));
    check_restored(f, 1);
    g_assert_cmpint(set_vertex_buffer(f->vr, CTX, 1), ==, 0);
    tear_down(f, &file);
}

/* Small contents stay in memory, where they are as good. */
static void test_small(Fixture *f, gconstpointer data)
{
    File file = set_up(f, 1, 0.5);
    uint64_t small;

    (void)data;
    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    make_small_buffer(f, 10, 16 << 10);
    make_small_buffer(f, 11, 16 << 10);
    compress(f, 10);
    small = stats_of(f).compressed_bytes;
    g_assert_cmpuint(small, <, 4096);
    virgl_reclaim_set_compress_max(f->vr, small);
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, 11), ==, -ENOSPC);
    g_assert_cmpuint(stats_of(f).file_writes, ==, 0);
    g_assert_cmpuint(stats_of(f).file_errors, ==, 0);
    /* Large ones move, if they cannot stay. */
    compress(f, 1);
    g_assert_cmpuint(stats_of(f).file, ==, 1);
    g_assert_cmpuint(stats_of(f).compressed_bytes, ==, small);
    tear_down(f, &file);
}

/* A limit of 0 disables compression, with a file, too. */
static void test_off(Fixture *f, gconstpointer data)
{
    File file = set_up(f, 1, 0);

    (void)data;
    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, 1), ==, -ENOSPC);
    g_assert_cmpuint(stats_of(f).file_writes, ==, 0);
    g_assert_cmpint(virgl_reclaim_set_compress_file(f->vr, -1), ==, 0);
    tear_down(f, &file);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_test("/file/overflow", test_overflow);
    add_test("/file/steps", test_steps);
    add_test("/file/restore-steps", test_restore_steps);
    add_test("/file/meanwhile", test_meanwhile);
    add_test("/file/collect", test_collect);
    add_test("/file/object", test_object);
    add_test("/file/reuse", test_reuse);
    add_test("/file/short", test_short);
    add_test("/file/full", test_full);
    add_test("/file/write-error", test_write_error);
    add_test("/file/flush-error", test_flush_error);
    add_test("/file/limit", test_file_limit);
    add_test("/file/read-error", test_read_error);
    add_test("/file/small", test_small);
    add_test("/file/off", test_off);
    return g_test_run();
}
