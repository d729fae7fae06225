/*
 * Virtio GPU: watch the host's memory pressure
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_PSI_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_PSI_H

#include "virtio-gpu-policy.h"

typedef struct VirtIOGPUPSI VirtIOGPUPSI;

/**
 * virtio_gpu_psi_new: Watch the pressure of QEMU's cgroup, or of the system.
 * @file: the file to read in place of both, or NULL
 * @errp: set if there is none that can be read
 *
 * Returns: the watch, to be freed by virtio_gpu_psi_free(); NULL on error.
 */
VirtIOGPUPSI *virtio_gpu_psi_new(const char *file, Error **errp);
void virtio_gpu_psi_free(VirtIOGPUPSI *psi);

/**
 * virtio_gpu_psi_read: The level of pressure now.
 * @psi: the watch
 *
 * Reads one short file, which the kernel updates every two seconds. If that is
 * gone, as after a move to another cgroup, the file is looked up again.
 */
VirtIOGPUPressure virtio_gpu_psi_read(VirtIOGPUPSI *psi);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_PSI_H */
