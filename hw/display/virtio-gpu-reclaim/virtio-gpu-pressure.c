/*
 * Virtio GPU: the host's memory pressure
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * qemu/osdep.h is left out on purpose: the unit test compiles this file on its
 * own, with GLib and nothing else.
 */

#include <string.h>

#include "virtio-gpu-pressure.h"

/* The share, in percent, of the line that begins with @kind. */
static bool virtio_gpu_pressure_share(const char *text, const char *kind,
                                      double *share)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", 0);
    g_autofree char *head = g_strconcat(kind, " avg10=", NULL);
    int i;

    for (i = 0; lines[i]; i++) {
        if (g_str_has_prefix(lines[i], head)) {
            const char *number = lines[i] + strlen(head);
            char *end;

            *share = g_ascii_strtod(number, &end);
            return end != number && *end == ' ' && *share >= 0;
        }
    }
    return false;
}

VirtIOGPUPressure virtio_gpu_pressure_level(VirtIOGPUPressure before,
                                            const char *text)
{
    bool was_some = before >= VIRTIO_GPU_PRESSURE_SOME;
    bool was_full = before >= VIRTIO_GPU_PRESSURE_FULL;
    double some, full;

    if (!virtio_gpu_pressure_share(text, "some", &some) ||
        !virtio_gpu_pressure_share(text, "full", &full)) {
        return before;
    }
    if (full >= (was_full ? VIRTIO_GPU_PRESSURE_FULL_FALL :
                            VIRTIO_GPU_PRESSURE_FULL_RISE)) {
        return VIRTIO_GPU_PRESSURE_FULL;
    }
    return some >= (was_some ? VIRTIO_GPU_PRESSURE_SOME_FALL :
                               VIRTIO_GPU_PRESSURE_SOME_RISE) ?
           VIRTIO_GPU_PRESSURE_SOME : VIRTIO_GPU_PRESSURE_NONE;
}

const char *virtio_gpu_pressure_name(VirtIOGPUPressure level)
{
    static const char *const names[] = {
        [VIRTIO_GPU_PRESSURE_NONE] = "none",
        [VIRTIO_GPU_PRESSURE_SOME] = "some",
        [VIRTIO_GPU_PRESSURE_FULL] = "full",
    };

    return names[level];
}

/* The path behind "0::" in @cgroup: of the unified hierarchy. */
static char *virtio_gpu_pressure_cgroup(const char *cgroup)
{
    g_auto(GStrv) lines = g_strsplit(cgroup, "\n", 0);
    int i;

    for (i = 0; lines[i]; i++) {
        if (g_str_has_prefix(lines[i], "0::/")) {
            return g_strdup(lines[i] + strlen("0::"));
        }
    }
    return NULL;
}

/*
 * Whether a line of mountinfo is a mount of the unified hierarchy: "ID PARENT
 * DEVICE ROOT WHERE OPTIONS [FIELD...] - TYPE ...", with \040 for a space.
 */
static bool virtio_gpu_pressure_mount(const char *line, char **root,
                                      char **where)
{
    g_auto(GStrv) fields = g_strsplit(line, " ", 0);
    guint i, n = g_strv_length(fields);

    for (i = 6; i + 1 < n && strcmp(fields[i], "-"); i++) {
        /* Optional fields. */
    }
    if (i + 1 >= n || strcmp(fields[i + 1], "cgroup2")) {
        return false;
    }
    *root = g_strcompress(fields[3]);
    *where = g_strcompress(fields[4]);
    return true;
}

char *virtio_gpu_pressure_cgroup_file(const char *cgroup,
                                      const char *mountinfo)
{
    g_autofree char *path = virtio_gpu_pressure_cgroup(cgroup);
    g_auto(GStrv) lines = g_strsplit(mountinfo, "\n", 0);
    int i;

    for (i = 0; path && lines[i]; i++) {
        g_autofree char *root = NULL;
        g_autofree char *where = NULL;
        const char *below;

        if (!virtio_gpu_pressure_mount(lines[i], &root, &where)) {
            continue;
        }
        below = g_str_equal(root, "/") ? path :
                g_str_has_prefix(path, root) ? path + strlen(root) : NULL;
        if (below && (*below == '/' || *below == '\0')) {
            return g_build_filename(where, below, "memory.pressure", NULL);
        }
    }
    return NULL;
}
