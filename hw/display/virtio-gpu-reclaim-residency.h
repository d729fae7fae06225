/*
 * Virtio GPU: residency of one resource
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_RESIDENCY_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_RESIDENCY_H

#include "virtio-gpu-ledger.h"
#include "virtio-gpu-reclaim-backend.h"

/**
 * virtio_gpu_reclaim_make_room: Compress idle resources until more memory fits.
 * @g: the device
 * @more: bytes that are to be allocated
 *
 * The least recently used ones, as long as @more does not fit the limit. They
 * are compressed at once, in the caller's time: at most 64 resources, with less
 * storage than twice @more and 16 MiB, whether they get smaller or not.
 *
 * Returns: whether @more bytes stay below the limit.
 */
bool virtio_gpu_reclaim_make_room(VirtIOGPU *g, uint64_t more);

/**
 * virtio_gpu_reclaim_compress_result: Account an attempt to compress.
 * @g: the device
 * @entry: the resource
 * @ret: what the backend returned
 * @us: microseconds that it took
 */
void virtio_gpu_reclaim_compress_result(VirtIOGPU *g,
                                        VirtIOGPULedgerEntry *entry, int ret,
                                        int64_t us);

/**
 * virtio_gpu_reclaim_restore: Give a resource its storage again.
 * @g: the device
 * @entry: the resource; left alone if it has storage, but for compressing that
 *         is under way, which ends
 *
 * Room is made if there has to be. Compressed contents are restored even if
 * there is none.
 *
 * Returns: 0; -ENOMEM also if a purged one would go over the limit. After an
 * error the resource is as it was.
 */
int virtio_gpu_reclaim_restore(VirtIOGPU *g, VirtIOGPULedgerEntry *entry);

/**
 * virtio_gpu_reclaim_purge: Release the contents of a resource.
 * @g: the device
 * @entry: the resource; its backing is detached, if there is any
 *
 * Returns: 0; -EBUSY if it is scanned out or a cursor, -ENOTSUP if resources of
 * its type cannot be purged. After an error it is as it was.
 */
int virtio_gpu_reclaim_purge(VirtIOGPU *g, VirtIOGPULedgerEntry *entry);

/**
 * virtio_gpu_reclaim_is_scanned_out: Whether a scanout or a cursor shows it.
 * @g: the device
 * @id: resource id
 */
bool virtio_gpu_reclaim_is_scanned_out(VirtIOGPU *g, uint32_t id);

/**
 * virtio_gpu_reclaim_disable_scanouts: Stop showing a resource.
 * @g: the device
 * @id: resource id; of scanouts and cursors
 */
void virtio_gpu_reclaim_disable_scanouts(VirtIOGPU *g, uint32_t id);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_RESIDENCY_H */
