/*
 * Guests with a virtio-gpu: a memory cgroup for several of them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include <sys/mount.h>
#include "virtio-gpu-vm-cgroup.h"

/* Names of files and fields in the two versions of cgroups. */
typedef struct Version {
    const char *type, *options;         /* to mount it */
    const char *controller;             /* in /proc/self/cgroup */
    const char *usage;
    const char *limit;
    const char *swap_limit;             /* may be missing */
    bool with_swap;                     /* swap_limit is of memory and swap */
    const char *inactive_file, *active_file;    /* in memory.stat */
    const char *events;
} Version;

static const Version versions[] = {
    {
        .type = "cgroup2", .controller = "0::", .usage = "memory.current",
        .limit = "memory.max", .swap_limit = "memory.swap.max",
        .inactive_file = "inactive_file ", .active_file = "active_file ",
        .events = "memory.events",
    }, {
        .type = "cgroup", .options = "memory", .controller = ":memory:",
        .usage = "memory.usage_in_bytes",
        .limit = "memory.limit_in_bytes",
        .swap_limit = "memory.memsw.limit_in_bytes", .with_swap = true,
        .inactive_file = "total_inactive_file ",
        .active_file = "total_active_file ",
        .events = "memory.oom_control",
    },
};

struct VmCgroup {
    const Version *version;
    int root;           /* the hierarchy */
    char *home;         /* cgroup of this process, below root, "." if that */
    char *path;         /* of this one, below root */
};

static char *read_file(const VmCgroup *cgroup, const char *dir,
                       const char *name)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    char text[8192];
    int fd = openat(cgroup->root, path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0) {
        close(fd);
    }
    return len < 0 ? NULL : g_strndup(text, len);
}

static bool write_file(const VmCgroup *cgroup, const char *dir,
                       const char *name, const char *text)
{
    g_autofree char *path = g_build_filename(dir, name, NULL);
    int fd = openat(cgroup->root, path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == strlen(text);

    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

/* The number after @name at the beginning of a line of @text, or 0. */
static uint64_t number_in(const char *text, const char *name)
{
    g_auto(GStrv) lines = g_strsplit(text ?: "", "\n", -1);
    size_t i;

    for (i = 0; lines[i]; i++) {
        if (g_str_has_prefix(lines[i], name)) {
            return g_ascii_strtoull(lines[i] + strlen(name), NULL, 10);
        }
    }
    return 0;
}

/*
 * The root of the hierarchy, which is not left mounted: the build root has
 * none, and it is the system's.
 */
static int open_hierarchy(const Version *version)
{
    g_autofree char *dir = g_dir_make_tmp("cgroup-XXXXXX", NULL);
    int fd = -1;

    if (!dir) {
        return -1;
    }
    if (!mount(version->type, dir, version->type, MS_NOSUID | MS_NODEV,
               version->options)) {
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        umount2(dir, MNT_DETACH);
    }
    rmdir(dir);
    return fd;
}

/* The cgroup of this process, below the root of the hierarchy. */
static char *find_home(const Version *version)
{
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    size_t i;

    if (!g_file_get_contents("/proc/self/cgroup", &text, NULL, NULL)) {
        return NULL;
    }
    lines = g_strsplit(text, "\n", -1);
    for (i = 0; lines[i]; i++) {
        const char *at = strstr(lines[i], version->controller);

        if (at) {
            at += strlen(version->controller);
            at += strspn(at, "/");
            return g_strdup(at[0] ? at : ".");
        }
    }
    return NULL;
}

/*
 * In version 2 a cgroup with processes has no children with controllers: there
 * it is beside that of this process, else in it.
 */
static bool make(VmCgroup *cgroup, const char *name)
{
    bool v2 = cgroup->version == &versions[0];
    g_autofree char *parent = v2 ? g_path_get_dirname(cgroup->home)
                                 : g_strdup(cgroup->home);
    g_autofree char *usage = NULL;

    if (v2 && !write_file(cgroup, parent, "cgroup.subtree_control",
                          "+memory")) {
        return false;
    }
    cgroup->path = g_build_filename(parent, name, NULL);
    if (mkdirat(cgroup->root, cgroup->path, 0755) < 0) {
        g_clear_pointer(&cgroup->path, g_free);
        return false;
    }
    usage = read_file(cgroup, cgroup->path, cgroup->version->usage);
    return usage;
}

VmCgroup *vm_cgroup_new(const char *name, char **reason)
{
    g_autofree char *unique = g_strdup_printf("%s-%d", name, getpid());
    size_t i;

    for (i = 0; i < G_N_ELEMENTS(versions); i++) {
        VmCgroup *cgroup = g_new0(VmCgroup, 1);

        cgroup->version = &versions[i];
        cgroup->root = open_hierarchy(cgroup->version);
        cgroup->home = find_home(cgroup->version);
        if (cgroup->root >= 0 && cgroup->home && make(cgroup, unique)) {
            return cgroup;
        }
        vm_cgroup_free(cgroup);
    }
    *reason = g_strdup("cannot make a memory cgroup, of version 2 or 1: not "
                       "root, or no memory controller here");
    return NULL;
}

static void move_to(VmCgroup *cgroup, const char *path)
{
    g_autofree char *pid = g_strdup_printf("%d", getpid());

    g_assert_true(write_file(cgroup, path, "cgroup.procs", pid));
}

void vm_cgroup_enter(VmCgroup *cgroup)
{
    move_to(cgroup, cgroup->path);
}

void vm_cgroup_leave(VmCgroup *cgroup)
{
    move_to(cgroup, cgroup->home);
}

uint64_t vm_cgroup_used(VmCgroup *cgroup)
{
    const Version *version = cgroup->version;
    g_autofree char *usage = read_file(cgroup, cgroup->path, version->usage);
    g_autofree char *stat = read_file(cgroup, cgroup->path, "memory.stat");
    uint64_t file = number_in(stat, version->inactive_file) +
                    number_in(stat, version->active_file);

    return number_in(usage, "") - file;
}

void vm_cgroup_set_limit(VmCgroup *cgroup, uint64_t bytes)
{
    const Version *version = cgroup->version;
    g_autofree char *text = g_strdup_printf("%" PRIu64, bytes);

    g_assert_true(write_file(cgroup, cgroup->path, version->limit, text));
    /* Where swap is not accounted there is no such file. */
    write_file(cgroup, cgroup->path, version->swap_limit,
               version->with_swap ? text : "0");
}

unsigned vm_cgroup_oom_kills(VmCgroup *cgroup)
{
    g_autofree char *events = read_file(cgroup, cgroup->path,
                                        cgroup->version->events);

    return number_in(events, "oom_kill ");
}

void vm_cgroup_free(VmCgroup *cgroup)
{
    if (cgroup->path) {
        unlinkat(cgroup->root, cgroup->path, AT_REMOVEDIR);
    }
    if (cgroup->root >= 0) {
        close(cgroup->root);
    }
    g_free(cgroup->home);
    g_free(cgroup->path);
    g_free(cgroup);
}
