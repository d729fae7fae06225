/*
 * Virtio GPU: private copies of requests
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_REQUEST_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_REQUEST_H

#include "hw/virtio/virtio-gpu.h"

/**
 * virtio_gpu_reclaim_reject: Fail a command.
 * @cmd: the command; its error is set, and why is logged and traced
 * @error: the response
 * @fmt: why, a format for what follows
 */
void G_GNUC_PRINTF(3, 4)
virtio_gpu_reclaim_reject(struct virtio_gpu_ctrl_command *cmd,
                          enum virtio_gpu_ctrl_type error,
                          const char *fmt, ...);

/**
 * virtio_gpu_reclaim_reject_errno: Fail a command for an error of a backend.
 * @cmd: the command
 * @resource_id: the resource it is about
 * @err: negative errno value; with -EAGAIN it does not fail: it is suspended
 */
void virtio_gpu_reclaim_reject_errno(struct virtio_gpu_ctrl_command *cmd,
                                     uint32_t resource_id, int err);

/**
 * virtio_gpu_reclaim_suspend: Process a command again later.
 * @cmd: the command, not answered
 *
 * The caller has arranged for virtio_gpu_suspend_resume() to be called.
 */
static inline void
virtio_gpu_reclaim_suspend(struct virtio_gpu_ctrl_command *cmd)
{
    cmd->reclaim.suspended = true;
}

/**
 * virtio_gpu_reclaim_request_read: Read the fixed part of a request.
 * @cmd: the command, whose request has been fetched
 * @buf: where to put it, little-endian
 * @size: of the structure that the command's type has
 */
void virtio_gpu_reclaim_request_read(const struct virtio_gpu_ctrl_command *cmd,
                                     void *buf, size_t size);

/**
 * virtio_gpu_reclaim_request_fetch_tail: Copy what follows the fixed part.
 * @cmd: the command
 * @size: bytes; the same each time, and copied once
 *
 * Returns: the copy, which lives as long as the request; NULL if the request is
 * not that long or there is no memory, and then @cmd is rejected.
 */
void *
virtio_gpu_reclaim_request_fetch_tail(struct virtio_gpu_ctrl_command *cmd,
                                      size_t size);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_REQUEST_H */
