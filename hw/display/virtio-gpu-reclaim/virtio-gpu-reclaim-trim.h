/*
 * Virtio GPU: return freed heap memory to the operating system
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_TRIM_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_TRIM_H

/*
 * Drivers that do not purge free by unref. Trimming for every small one would
 * only make the next allocation fault its pages in again.
 */
#define VIRTIO_GPU_TRIM_UNREF_BYTES (4 * MiB)

/* What a GL driver frees with a context that has not drawn: of llvmpipe. */
#define VIRTIO_GPU_TRIM_CONTEXT_BYTES (2 * MiB)

typedef struct VirtIOGPUTrim VirtIOGPUTrim;

/**
 * virtio_gpu_trim_new: Make a trim timer in the main loop.
 * @trim: returns free heap memory to the operating system
 * @opaque: for @trim
 *
 * Returns: to be freed by virtio_gpu_trim_free().
 */
VirtIOGPUTrim *virtio_gpu_trim_new(void (*trim)(void *opaque), void *opaque);

/**
 * virtio_gpu_trim_free: Cancel what is scheduled and free the timer.
 * @t: the timer, or NULL
 */
void virtio_gpu_trim_free(VirtIOGPUTrim *t);

/**
 * virtio_gpu_trim_schedule: Storage was freed: trim the heap soon.
 * @t: the timer
 * @bytes: that were freed
 * @threshold: bytes freed since the last trim that are worth one
 */
void virtio_gpu_trim_schedule(VirtIOGPUTrim *t, uint64_t bytes,
                              uint64_t threshold);

/**
 * virtio_gpu_trim_count: How often the heap was trimmed.
 * @t: the timer
 * @us: where to put the microseconds that took in all
 */
uint64_t virtio_gpu_trim_count(const VirtIOGPUTrim *t, uint64_t *us);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_TRIM_H */
