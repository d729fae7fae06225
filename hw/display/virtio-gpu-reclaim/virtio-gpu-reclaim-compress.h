/*
 * Virtio GPU: compress resources in the background
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_COMPRESS_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_COMPRESS_H

#include "virtio-gpu-ledger.h"
#include "virtio-gpu-reclaim-backend.h"

/* Returns the id of the resource to be compressed next, or 0. */
typedef uint32_t (*VirtIOGPUReclaimCompressNext)(VirtIOGPU *g);

/**
 * virtio_gpu_reclaim_compress_init: Prepare for compressing.
 * @g: the device
 * @next: chooses the resources, when one is to be begun
 */
void virtio_gpu_reclaim_compress_init(VirtIOGPU *g,
                                      VirtIOGPUReclaimCompressNext next);
void virtio_gpu_reclaim_compress_free(VirtIOGPU *g);

/**
 * virtio_gpu_reclaim_compress_start: There may be something to compress.
 * @g: the device
 *
 * Resources are compressed one after the other, in slices between which
 * commands are carried out, until there is no next one.
 */
void virtio_gpu_reclaim_compress_start(VirtIOGPU *g);

/**
 * virtio_gpu_reclaim_progress: The backend's thread has done its part.
 * @g: the device
 *
 * Of compressing, or of restoring for a command that is suspended: either goes
 * on in the main loop. Any thread.
 */
void virtio_gpu_reclaim_progress(VirtIOGPU *g);

/**
 * virtio_gpu_reclaim_compress_reset: All resources end; stop.
 * @g: the device
 */
void virtio_gpu_reclaim_compress_reset(VirtIOGPU *g);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_COMPRESS_H */
