/*
 * Virtio GPU: validate requests for stock handlers
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_VALIDATE_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_VALIDATE_H

#include "hw/virtio/virtio-gpu.h"
#include "virtio-gpu-ledger.h"

/**
 * virtio_gpu_reclaim_lookup: Find the resource of a command.
 * @g: the device
 * @cmd: the command; rejected if there is no such resource
 * @id: resource id
 *
 * Returns: the resource or NULL.
 */
VirtIOGPULedgerEntry *
virtio_gpu_reclaim_lookup(VirtIOGPU *g, struct virtio_gpu_ctrl_command *cmd,
                          uint32_t id);

/**
 * virtio_gpu_reclaim_validate: Validate a request for its stock handler.
 * @g: the device
 * @cmd: the command, whose request has been fetched; rejected if the stock
 *       handler must not carry it out
 *
 * A resource that is going to be scanned out has storage afterwards.
 */
void virtio_gpu_reclaim_validate(VirtIOGPU *g,
                                 struct virtio_gpu_ctrl_command *cmd);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_VALIDATE_H */
