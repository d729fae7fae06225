/*
 * Virtio GPU: commands of rendering contexts
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_CMD_3D_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_CMD_3D_H

#include "hw/virtio/virtio-gpu.h"

/**
 * virtio_gpu_reclaim_cmd_3d: Carry out a command of contexts or a transfer.
 * @g: the device, whose backend has contexts
 * @cmd: the command, whose request has been fetched
 *
 * Returns: false if it is another command.
 */
bool virtio_gpu_reclaim_cmd_3d(VirtIOGPU *g,
                               struct virtio_gpu_ctrl_command *cmd);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_CMD_3D_H */
