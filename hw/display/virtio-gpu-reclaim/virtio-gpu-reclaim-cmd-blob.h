/*
 * Virtio GPU: commands of blobs of GL devices
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_CMD_BLOB_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_CMD_BLOB_H

#include "hw/virtio/virtio-gpu.h"

/**
 * virtio_gpu_reclaim_cmd_blob: Prepare a command that a stock handler runs.
 * @g: the device, whose backend has blob_created()
 * @cmd: the command, whose request has been fetched; may be suspended and come
 * here again
 *
 * Returns: false if it is another command, or not about a blob; else cmd->error
 * is set if it was rejected.
 */
bool virtio_gpu_reclaim_cmd_blob(VirtIOGPU *g,
                                 struct virtio_gpu_ctrl_command *cmd);

/**
 * virtio_gpu_reclaim_cmd_blob_done: Account what a stock handler has done.
 * @g: the device, whose backend has blob_created()
 * @cmd: the command, carried out and not suspended
 */
void virtio_gpu_reclaim_cmd_blob_done(VirtIOGPU *g,
                                      struct virtio_gpu_ctrl_command *cmd);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_CMD_BLOB_H */
