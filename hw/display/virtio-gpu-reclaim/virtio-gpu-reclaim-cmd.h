/*
 * Virtio GPU: commands that change where the memory of a resource is
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_CMD_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_CMD_H

#include "hw/virtio/virtio-gpu.h"

/**
 * virtio_gpu_reclaim_may_create: Whether a resource may be created.
 * @g: the device
 * @cmd: the command, which is rejected if not
 * @id: resource id
 * @size: bytes of storage
 * @overhead: host memory besides, in bytes
 */
bool virtio_gpu_reclaim_may_create(VirtIOGPU *g,
                                   struct virtio_gpu_ctrl_command *cmd,
                                   uint32_t id, uint64_t size,
                                   uint64_t overhead);

/**
 * virtio_gpu_reclaim_cmd_resource: Carry out a command of resources.
 * @g: the device, which has a backend
 * @cmd: the command, whose request has been fetched
 *
 * Returns: false if it is another command.
 */
bool virtio_gpu_reclaim_cmd_resource(VirtIOGPU *g,
                                     struct virtio_gpu_ctrl_command *cmd);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_CMD_H */
