/*
 * QTest testcase for virtio-gpu memory reclaim: the host's memory pressure
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include "virtio-gpu-reclaim-test.h"

static bool is_pressure(QVirtioGPU *gpu, const char *level)
{
    QDict *resp = get_stats(gpu);
    bool is = g_str_equal(qdict_get_str(qdict_get_qdict(resp, "return"),
                                        "pressure"), level);

    qobject_unref(resp);
    return is;
}

static void wait_for_pressure(QVirtioGPU *gpu, const char *level)
{
    gint64 start = g_get_monotonic_time();

    while (!is_pressure(gpu, level)) {
        g_assert_cmpint(g_get_monotonic_time() - start, <, HANG);
        g_usleep(1000);
    }
}

/* In place: QEMU keeps the file open. */
static void write_pressure(const char *path, const char *some, const char *full)
{
    FILE *f = fopen(path, "r+");

    g_assert_nonnull(f);
    fprintf(f, "some avg10=%s avg60=0.00 avg300=0.00 total=0\n"
            "full avg10=%s avg60=0.00 avg300=0.00 total=0\n", some, full);
    g_assert_cmpint(fclose(f), ==, 0);
}

/* Under some pressure what is idle for ten seconds leaves, under full, one. */
static void test_pressure(const void *data)
{
    const Device *dev = data;
    g_autofree char *path = temp_file();
    g_autofree char *props = g_strdup_printf(
        ",x-reclaim-pressure=psi,x-reclaim-pressure-file=%s", path);
    QVirtioGPU *gpu;

    write_pressure(path, "00.00", "00.00");
    gpu = start_with(dev, props);
    make_filled(gpu, 1, RED);
    advance_ms(gpu, 9000);
    make_filled(gpu, 2, GREEN);
    wait_for_pressure(gpu, "none");
    g_assert_cmpuint(get_stat(gpu, "asked-bytes"), ==, 0);

    write_pressure(path, "12.50", "00.00");
    advance_ms(gpu, 2000);
    wait_for_pressure(gpu, "some");
    g_assert_cmpuint(get_stat(gpu, "asked-bytes"), >, 0);
    wait_for(gpu, "compressed", "resources", 1);
    wait_for(gpu, "stays", "recently-used", BYTES);
    g_assert_cmpuint(get_in(gpu, "compressed", "compressions"), ==, 1);

    write_pressure(path, "12.50", "05.00");
    advance_ms(gpu, 1000);
    wait_for_pressure(gpu, "full");
    wait_for(gpu, "compressed", "resources", 2);

    write_pressure(path, "05.00", "01.99");
    advance_ms(gpu, 1000);
    wait_for_pressure(gpu, "some");
    write_pressure(path, "04.99", "01.99");
    advance_ms(gpu, 1000);
    wait_for_pressure(gpu, "none");
    g_assert_true(use(dev, gpu, 1, RED));
    g_assert_true(use(dev, gpu, 2, GREEN));
    unlink(path);
    qvirtio_gpu_shutdown(gpu);
}

/* Whether QEMU has a file open whose path ends with @end. */
static bool has_open(QVirtioGPU *gpu, const char *end)
{
    g_autofree char *dir = g_strdup_printf("/proc/%d/fd", gpu->pid);
    g_autoptr(GDir) fds = g_dir_open(dir, 0, NULL);
    const char *fd;

    g_assert_nonnull(fds);
    while ((fd = g_dir_read_name(fds))) {
        g_autofree char *link = g_build_filename(dir, fd, NULL);
        g_autofree char *path = g_file_read_link(link, NULL);

        if (path && g_str_has_suffix(path, end)) {
            return true;
        }
    }
    return false;
}

/* Without a cgroup of its own QEMU watches the system's pressure. */
static void test_pressure_system(const void *data)
{
    g_autofree char *text = NULL;
    QVirtioGPU *gpu;

    if (!g_file_get_contents("/proc/pressure/memory", &text, NULL, NULL)) {
        g_test_skip("this kernel has no pressure stall information");
        return;
    }
    gpu = start_with(data, ",x-reclaim-pressure=psi");
    g_assert_true(has_open(gpu, "/pressure/memory") ||
                  has_open(gpu, "/memory.pressure"));
    advance_ms(gpu, 2000);
    g_assert_cmpuint(get_stat(gpu, "protect-ms"), ==, 1000);
    qvirtio_gpu_shutdown(gpu);
}

static bool write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "r+");
    bool ok;

    if (!f) {
        return false;
    }
    ok = fputs(text, f) >= 0;
    return fclose(f) == 0 && ok;
}

/* A cgroup of a test, with a hierarchy mounted for it. */
typedef struct Cgroup {
    char *mount_point, *path;
} Cgroup;

/* Returns NULL, or why there is none. */
static const char *make_cgroup(Cgroup *c, const char *type, const char *options)
{
    g_autofree char *name = g_strdup_printf("virtio-gpu-reclaim-%d", getpid());

    c->mount_point = g_dir_make_tmp("cgroup-XXXXXX", NULL);
    c->path = g_build_filename(c->mount_point, name, NULL);
    if (mount("none", c->mount_point, type, 0, options) < 0) {
        return "cannot mount cgroups: needs root and a Linux with them";
    }
    return mkdir(c->path, 0755) < 0 ? "cannot make a cgroup" : NULL;
}

/* Processes that are in it end before. */
static void remove_cgroup(Cgroup *c)
{
    if (c->path) {
        rmdir(c->path);
        umount(c->mount_point);
        rmdir(c->mount_point);
        g_free(c->path);
        g_free(c->mount_point);
    }
}

static bool write_in(const char *dir, const char *file, const char *text)
{
    g_autofree char *path = g_build_filename(dir, file, NULL);

    return write_text(path, text);
}

static char *read_in(const char *dir, const char *file)
{
    g_autofree char *path = g_build_filename(dir, file, NULL);
    char *text = NULL;

    g_file_get_contents(path, &text, NULL, NULL);
    return text;
}

static bool enter(const char *dir)
{
    return write_in(dir, "cgroup.procs", "0");
}

/* A cgroup of version 2 in which pressure is measured. */
static const char *make_unified(Cgroup *c)
{
    const char *why = make_cgroup(c, "cgroup2", NULL);
    g_autofree char *text = why ? NULL : read_in(c->path, "memory.pressure");

    return why ? why : text ? NULL : "cgroups have no memory.pressure here";
}

/* In a cgroup, it watches the pressure of that. */
static void test_pressure_cgroup(const void *data)
{
    g_autofree char *end = g_strdup_printf(
        "/virtio-gpu-reclaim-%d/memory.pressure", getpid());
    Cgroup c = { 0 };
    const char *why = make_unified(&c);
    QVirtioGPU *gpu;

    if (!why && !enter(c.path)) {
        why = "cannot enter a cgroup";
    }
    if (why) {
        g_test_skip(why);
    } else {
        gpu = start_with(data, ",x-reclaim-pressure=psi");
        g_assert_true(has_open(gpu, end));
        qvirtio_gpu_shutdown(gpu);
        g_assert_true(enter(c.mount_point));
    }
    remove_cgroup(&c);
}

/* Programs that read a file larger than the memory that they have. */
#define HOGS 6
#define HOG_BYTES (64 * MiB)
#define HOG_LIMIT (12 * MiB)

typedef struct Hogs {
    char *path;
    int fd;
    pid_t pids[HOGS];
} Hogs;

/* The file is on the disk, and in no page cache. */
static void make_hog_file(Hogs *h)
{
    g_autofree char *mib = g_malloc(MiB);
    int i;

    /* The directory for temporary files can be in memory. */
    h->path = g_strdup("build/hogs-XXXXXX");
    h->fd = g_mkstemp(h->path);
    g_assert_cmpint(h->fd, >=, 0);
    for (i = 0; i < HOG_BYTES / MiB; i++) {
        memset(mib, i + 1, MiB);
        g_assert_cmpint(write(h->fd, mib, MiB), ==, MiB);
    }
    g_assert_cmpint(fsync(h->fd), ==, 0);
    posix_fadvise(h->fd, 0, 0, POSIX_FADV_DONTNEED);
}

static void G_GNUC_NORETURN run_hog(const Hogs *h, int i)
{
    /* Volatile: a read is a page fault, and its value is not used. */
    const volatile char *file = mmap(NULL, HOG_BYTES, PROT_READ, MAP_SHARED,
                                     h->fd, 0);
    size_t at = i * 37 * PAGE;

    while (file != MAP_FAILED && getppid() != 1) {
        (void)file[at];
        at = (at + 17 * PAGE) % HOG_BYTES;
    }
    _exit(0);
}

/* In the cgroups @dirs, which NULL ends. */
static void start_hogs(Hogs *h, const char *const *dirs)
{
    int i, j;

    for (i = 0; i < HOGS; i++) {
        h->pids[i] = fork();
        g_assert_cmpint(h->pids[i], >=, 0);
        if (h->pids[i] == 0) {
            for (j = 0; dirs[j]; j++) {
                if (!enter(dirs[j])) {
                    _exit(1);
                }
            }
            run_hog(h, i);
        }
    }
}

static void stop_hogs(Hogs *h)
{
    int i, status;

    for (i = 0; i < HOGS; i++) {
        kill(h->pids[i], SIGKILL);
        g_assert_cmpint(waitpid(h->pids[i], &status, 0), ==, h->pids[i]);
        g_assert_true(WIFSIGNALED(status));
    }
    close(h->fd);
    unlink(h->path);
    g_free(h->path);
}

/*
 * Limit the memory of the hogs: in the cgroup of QEMU where version 2 has the
 * memory controller, else in one of version 1, which hogs alone enter. Returns
 * NULL, or why that cannot be.
 */
static const char *limit_memory(const Cgroup *unified, Cgroup *v1)
{
    g_autofree char *controllers = read_in(unified->mount_point,
                                           "cgroup.controllers");
    g_autofree char *current = NULL, *limit = NULL;

    if (controllers && strstr(controllers, "memory")) {
        if (!write_in(unified->mount_point, "cgroup.subtree_control",
                      "+memory")) {
            return "cannot have the memory controller in a cgroup";
        }
        current = read_in(unified->path, "memory.current");
        limit = g_strdup_printf("%" PRIu64, HOG_LIMIT +
                                g_ascii_strtoull(current ?: "", NULL, 10));
        return current && write_in(unified->path, "memory.max", limit) ? NULL :
               "cannot limit the memory of a cgroup";
    }
    if (make_cgroup(v1, "cgroup", "memory")) {
        return "there is no memory controller for cgroups";
    }
    limit = g_strdup_printf("%" PRIu64, (uint64_t)HOG_LIMIT);
    return write_in(v1->path, "memory.limit_in_bytes", limit) ? NULL :
           "cannot limit the memory of a cgroup";
}

/* Go on until the level is @level, or is not. */
static void advance_until(QVirtioGPU *gpu, const char *level, bool is)
{
    gint64 start = g_get_monotonic_time();

    while (is_pressure(gpu, level) != is) {
        g_assert_cmpint(g_get_monotonic_time() - start, <, 2 * HANG);
        g_usleep(200 * 1000);
        advance_ms(gpu, 1000);
    }
}

/*
 * The real thing: others in the same cgroup have too little memory. Idle
 * resources leave, and after it they stay.
 */
static void test_pressure_memory(const void *data)
{
    const Device *dev = data;
    Cgroup unified = { 0 }, v1 = { 0 };
    const char *why = make_unified(&unified);
    QVirtioGPU *gpu = NULL;
    Hogs hogs;

    if (!why && !enter(unified.path)) {
        why = "cannot enter a cgroup";
    }
    if (!why) {
        gpu = start_with(dev, ",x-reclaim-pressure=psi");
        g_assert_true(enter(unified.mount_point));
        why = limit_memory(&unified, &v1);
    }
    if (why) {
        g_test_skip(why);
    } else {
        const char *dirs[] = { unified.path, v1.path, NULL };

        make_filled(gpu, 1, RED);
        advance_ms(gpu, 20000);
        g_assert_true(is_pressure(gpu, "none"));
        g_assert_cmpuint(get_in(gpu, "compressed", "compressions"), ==, 0);

        make_hog_file(&hogs);
        start_hogs(&hogs, dirs);
        advance_until(gpu, "none", false);
        /* Some pressure is enough for what was not used for ten seconds. */
        wait_for(gpu, "compressed", "resources", 1);
        g_assert_cmpuint(get_stat(gpu, "asked-bytes"), >, 0);
        stop_hogs(&hogs);
        advance_until(gpu, "none", true);

        g_assert_cmpuint(get_stat(gpu, "asked-bytes"), ==, 0);
        g_assert_true(use(dev, gpu, 1, RED));
        advance_ms(gpu, 20000);
        g_usleep(300 * 1000);
        advance_ms(gpu, 20000);
        g_assert_true(is_pressure(gpu, "none"));
        g_assert_cmpuint(get_in(gpu, "compressed", "compressions"), ==, 1);
        g_assert_cmpuint(get_in(gpu, "resident", "host-bytes"), ==, BYTES);
    }
    if (gpu) {
        qvirtio_gpu_shutdown(gpu);
    }
    remove_cgroup(&v1);
    remove_cgroup(&unified);
}

static const Case cases[] = {
    { "pressure", test_pressure, ON_GL_PCI },
    { "pressure-system", test_pressure_system, ON_GL_PCI },
    { "pressure-cgroup", test_pressure_cgroup, ON_GL_PCI },
    { "pressure-memory", test_pressure_memory, ON_GL_PCI },
};

void add_pressure_cases(void)
{
    add_cases("reclaim", cases, ARRAY_SIZE(cases));
}
