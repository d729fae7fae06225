/*
 * Virtio GPU: a file for compressed contents
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_FILE_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_FILE_H

#include "virtio-gpu-reclaim-backend.h"

/**
 * virtio_gpu_reclaim_file_check: Whether there can be a file.
 * @conf: properties of a device
 * @errp: why not
 */
bool virtio_gpu_reclaim_file_check(const VirtIOGPUReclaimConf *conf,
                                   Error **errp);

/**
 * virtio_gpu_reclaim_file_open: Make the file of a device.
 * @conf: properties of the device
 *
 * It has no name, and is gone when it is closed.
 *
 * Returns: a descriptor; -1 if none is wanted or, with a warning, if it failed.
 */
int virtio_gpu_reclaim_file_open(const VirtIOGPUReclaimConf *conf);

/**
 * virtio_gpu_reclaim_file_failed: Report that the file failed.
 * @g: the device
 * @id: the resource whose contents were written or read
 * @error: negative errno value
 * @write: what was done
 *
 * Once a minute at most, because a guest can bring it about; reclaim-stats has
 * the number.
 */
void virtio_gpu_reclaim_file_failed(VirtIOGPU *g, uint32_t id, int error,
                                    bool write);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_FILE_H */
