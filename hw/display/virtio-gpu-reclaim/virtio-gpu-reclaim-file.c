/*
 * Virtio GPU: a file for compressed contents
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The file is made when the device is: later QEMU may have lost the right to.
 * It is written and read by the backend.
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/timer.h"
#include "virtio-gpu-reclaim-file.h"

#define REPORT_MS (60 * 1000)

static int virtio_gpu_reclaim_file_make(const char *dir, Error **errp)
{
    /* O_EXCL: nobody can give it a name. */
    int fd = open(dir, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);

    if (fd >= 0) {
        return fd;
    }
    /* The latter is what kernels say that do not know O_TMPFILE. */
    if (errno == EOPNOTSUPP || errno == EISDIR) {
        error_setg(errp, "x-compressed-file: the file system of %s has no "
                   "unnamed files (O_TMPFILE)", dir);
    } else {
        error_setg_errno(errp, errno,
                         "x-compressed-file: cannot make a file in %s", dir);
    }
    return -1;
}

bool virtio_gpu_reclaim_file_open(VirtIOGPUReclaimConf *conf, Error **errp)
{
    if (!conf->compressed_file || conf->has_compressed_fd) {
        return true;
    }
    if (!conf->compressed_max) {
        error_setg(errp, "x-compressed-file needs x-compressed-max, the memory "
                   "of compressed contents from which on it is used");
        return false;
    }
    conf->compressed_fd = virtio_gpu_reclaim_file_make(conf->compressed_file,
                                                       errp);
    conf->has_compressed_fd = conf->compressed_fd >= 0;
    return conf->has_compressed_fd;
}

void virtio_gpu_reclaim_file_close(VirtIOGPUReclaimConf *conf)
{
    if (conf->has_compressed_fd) {
        close(conf->compressed_fd);
        conf->has_compressed_fd = false;
    }
}

int virtio_gpu_reclaim_file_fd(const VirtIOGPUReclaimConf *conf)
{
    return conf->has_compressed_fd ? conf->compressed_fd : -1;
}

void virtio_gpu_reclaim_file_failed(VirtIOGPU *g, uint32_t id, int error,
                                    bool write)
{
    VirtIOGPUReclaim *r = g->reclaim;
    int64_t now = qemu_clock_get_ms(QEMU_CLOCK_REALTIME);

    if (r->file_reported && now - r->file_reported < REPORT_MS) {
        return;
    }
    r->file_reported = now;
    error_report("virtio-gpu: cannot %s contents of resource %u %s "
                 "x-compressed-file=%s: %s", write ? "write" : "read", id,
                 write ? "to" : "from", g->reclaim_conf.compressed_file,
                 strerror(-error));
}
