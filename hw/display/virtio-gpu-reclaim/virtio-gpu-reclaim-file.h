/*
 * Virtio GPU: a file for compressed contents
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_FILE_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_FILE_H

#include "virtio-gpu-reclaim-backend.h"

/**
 * virtio_gpu_reclaim_file_open: Make the file that a device is to have, if any.
 * @conf: properties of the device, which then have the descriptor
 * @errp: why there is none
 *
 * It has no name, and is gone when it is closed. Does nothing if there is one.
 */
bool virtio_gpu_reclaim_file_open(VirtIOGPUReclaimConf *conf, Error **errp);

/**
 * virtio_gpu_reclaim_file_close: Close the file of a device, if it has one.
 * @conf: properties of the device
 */
void virtio_gpu_reclaim_file_close(VirtIOGPUReclaimConf *conf);

/**
 * virtio_gpu_reclaim_file_fd: The file of a device.
 * @conf: properties of the device
 *
 * Returns: the descriptor, which stays the device's; -1 if it has none.
 */
int virtio_gpu_reclaim_file_fd(const VirtIOGPUReclaimConf *conf);

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
