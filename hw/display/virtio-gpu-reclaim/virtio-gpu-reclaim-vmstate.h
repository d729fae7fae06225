/*
 * Virtio GPU: reclaim in migration and snapshots
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_VMSTATE_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_VMSTATE_H

#include "hw/virtio/virtio-gpu.h"

/**
 * virtio_gpu_reclaim_vmstate_free: Free state of an incomplete migration.
 * @r: the device's reclaim
 */
void virtio_gpu_reclaim_vmstate_free(VirtIOGPUReclaim *r);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_VMSTATE_H */
