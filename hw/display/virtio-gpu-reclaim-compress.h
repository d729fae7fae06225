/*
 * Virtio GPU: compress the contents of evicted resources
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_COMPRESS_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_COMPRESS_H

#include "virtio-gpu-ledger.h"
#include "virtio-gpu-reclaim-backend.h"

/*
 * All of these do nothing with x-evicted-compress=off, when
 * g->reclaim->compress is NULL.
 */

/**
 * virtio_gpu_reclaim_compress_init: Create the queue and its timer.
 * @g: the device
 */
void virtio_gpu_reclaim_compress_init(VirtIOGPU *g);
void virtio_gpu_reclaim_compress_free(VirtIOGPU *g);

/**
 * virtio_gpu_reclaim_compress_queue: Compress a resource some time later.
 * @g: the device
 * @id: resource id; ignored then unless it is EVICTED
 */
void virtio_gpu_reclaim_compress_queue(VirtIOGPU *g, uint32_t id);

/**
 * virtio_gpu_reclaim_compress_reset: Empty the queue.
 * @g: the device
 */
void virtio_gpu_reclaim_compress_reset(VirtIOGPU *g);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_COMPRESS_H */
