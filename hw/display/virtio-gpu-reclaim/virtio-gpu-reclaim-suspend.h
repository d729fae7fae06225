/*
 * Virtio GPU: suspended commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_SUSPEND_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_SUSPEND_H

#include "virtio-gpu-reclaim-backend.h"

void virtio_gpu_suspend_init(VirtIOGPU *g);
void virtio_gpu_suspend_free(VirtIOGPU *g);

/**
 * virtio_gpu_suspend_may: Whether a command may be suspended.
 * @g: the device
 *
 * Returns: false while the VM is stopped: commands in the queue would not be
 * part of its state, so they are carried out to their end.
 */
bool virtio_gpu_suspend_may(VirtIOGPU *g);

/* Steps of work in one turn of the main loop. */
#define VIRTIO_GPU_SUSPEND_STEPS 8

/**
 * virtio_gpu_suspend_begin: The first command in the queue is suspended.
 * @g: the device
 * @cmd: the command; the device model sees it as neither answered nor fenced
 */
void virtio_gpu_suspend_begin(VirtIOGPU *g,
                              struct virtio_gpu_ctrl_command *cmd);

/**
 * virtio_gpu_suspend_end: It has been carried out, or the queue was emptied.
 * @g: the device
 */
void virtio_gpu_suspend_end(VirtIOGPU *g);

/**
 * virtio_gpu_suspend_is_pending: Whether a command is suspended.
 * @g: the device
 */
bool virtio_gpu_suspend_is_pending(VirtIOGPU *g);

/**
 * virtio_gpu_suspend_resume: Have what is suspended carried on soon.
 * @g: the device
 *
 * In another turn of the main loop; nothing happens if none is suspended.
 */
void virtio_gpu_suspend_resume(VirtIOGPU *g);

/**
 * virtio_gpu_suspend_count_slice: Count a slice of a command.
 * @g: the device
 * @steps: of work in it
 */
void virtio_gpu_suspend_count_slice(VirtIOGPU *g, uint32_t steps);

typedef struct VirtIOGPUSuspendStats {
    uint64_t commands;          /* that were suspended */
    uint64_t slices;            /* of these, and of others with such work */
    uint64_t max_steps;         /* in one slice */
} VirtIOGPUSuspendStats;

const VirtIOGPUSuspendStats *virtio_gpu_suspend_stats(const VirtIOGPU *g);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_SUSPEND_H */
