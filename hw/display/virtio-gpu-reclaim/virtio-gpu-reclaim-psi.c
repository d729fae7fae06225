/*
 * Virtio GPU: watch the host's memory pressure
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The file is read now and then, not polled for a trigger: a trigger needs
 * write access to it, which QEMU has for neither its cgroup's nor the system's
 * when a management layer has started it.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "virtio-gpu-pressure.h"
#include "virtio-gpu-reclaim-psi.h"
#include "hw/display/virtio-gpu-reclaim/trace-virtio_gpu_reclaim.h"

#define SYSTEM_FILE "/proc/pressure/memory"

/* Two lines of less than 100 bytes. */
#define TEXT_MAX 255

struct VirtIOGPUPSI {
    char *file;                 /* given by the user, or NULL */
    int fd;                     /* or -1 */
    VirtIOGPUPressure level;
};

/* The file is kept open: QEMU may lose the right to open it. */
static int virtio_gpu_psi_open_file(const char *file)
{
    char text[TEXT_MAX + 1];
    int fd = open(file, O_RDONLY | O_CLOEXEC);

    /* The kernel may have PSI and not account it: then reading fails. */
    if (fd >= 0 && pread(fd, text, TEXT_MAX, 0) < 0) {
        int err = errno;

        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

static int virtio_gpu_psi_open_cgroup(void)
{
    g_autofree char *cgroup = NULL;
    g_autofree char *mountinfo = NULL;
    g_autofree char *file = NULL;

    if (g_file_get_contents("/proc/self/cgroup", &cgroup, NULL, NULL) &&
        g_file_get_contents("/proc/self/mountinfo", &mountinfo, NULL, NULL)) {
        file = virtio_gpu_pressure_cgroup_file(cgroup, mountinfo);
    }
    return file ? virtio_gpu_psi_open_file(file) : -1;
}

/* Sets errno on failure. */
static bool virtio_gpu_psi_open(VirtIOGPUPSI *psi)
{
    if (psi->file) {
        psi->fd = virtio_gpu_psi_open_file(psi->file);
        return psi->fd >= 0;
    }
    psi->fd = virtio_gpu_psi_open_cgroup();
    if (psi->fd < 0) {
        psi->fd = virtio_gpu_psi_open_file(SYSTEM_FILE);
    }
    return psi->fd >= 0;
}

VirtIOGPUPSI *virtio_gpu_psi_new(const char *file, Error **errp)
{
    VirtIOGPUPSI *psi = g_new0(VirtIOGPUPSI, 1);

    psi->file = g_strdup(file);
    if (!virtio_gpu_psi_open(psi)) {
        error_setg_errno(errp, errno, "x-reclaim-pressure=psi: cannot read %s",
                         file ?: SYSTEM_FILE);
        virtio_gpu_psi_free(psi);
        return NULL;
    }
    return psi;
}

void virtio_gpu_psi_free(VirtIOGPUPSI *psi)
{
    if (psi) {
        if (psi->fd >= 0) {
            close(psi->fd);
        }
        g_free(psi->file);
        g_free(psi);
    }
}

VirtIOGPUPressure virtio_gpu_psi_read(VirtIOGPUPSI *psi)
{
    VirtIOGPUPressure before = psi->level;
    char text[TEXT_MAX + 1];
    ssize_t len = -1;

    if (psi->fd >= 0 || virtio_gpu_psi_open(psi)) {
        len = pread(psi->fd, text, TEXT_MAX, 0);
    }
    if (len < 0) {
        if (psi->fd >= 0) {
            close(psi->fd);
            psi->fd = -1;
        }
        psi->level = VIRTIO_GPU_PRESSURE_NONE;
    } else {
        text[len] = '\0';
        psi->level = virtio_gpu_pressure_level(before, text);
    }
    if (psi->level != before) {
        trace_virtio_gpu_reclaim_pressure(
            virtio_gpu_pressure_name(psi->level));
    }
    return psi->level;
}
