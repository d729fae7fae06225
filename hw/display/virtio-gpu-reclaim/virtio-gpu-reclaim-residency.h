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
 * The least recently used ones, as long as @more does not fit the limit: at
 * most 64 resources, with less storage than twice @more and 16 MiB, whether
 * they get smaller or not. The command is suspended while one is compressed,
 * and between two of them (virtio_gpu_reclaim_room_next()).
 *
 * Returns: 0 if @more bytes stay below the limit; -EAGAIN if the command is to
 * be suspended; -ENOMEM.
 */
int virtio_gpu_reclaim_make_room(VirtIOGPU *g, uint64_t more);

/**
 * virtio_gpu_reclaim_room_next: Choose what leaves for a suspended command.
 * @g: the device
 *
 * Returns: the id of the resource to be compressed next; 0 if there is none, or
 * no room is wanted.
 */
uint32_t virtio_gpu_reclaim_room_next(VirtIOGPU *g);

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
 * virtio_gpu_reclaim_restore: Give a resource its storage again, in slices.
 * @g: the device
 * @entry: the resource; left alone if it has storage, but for compressing that
 *         is under way, which ends
 *
 * Room is made if there has to be. Compressed contents are restored even if
 * there is none.
 *
 * Returns: 0; -EAGAIN if the command is to be suspended; -ENOMEM also if a
 * purged one would go over the limit. After an error the resource is as it was.
 */
int virtio_gpu_reclaim_restore(VirtIOGPU *g, VirtIOGPULedgerEntry *entry);

/**
 * virtio_gpu_reclaim_restore_now: The same, in the caller's time.
 * @g: the device
 * @entry: the resource
 *
 * Returns: as virtio_gpu_reclaim_restore(), but for -EAGAIN.
 */
int virtio_gpu_reclaim_restore_now(VirtIOGPU *g, VirtIOGPULedgerEntry *entry);

/**
 * virtio_gpu_reclaim_submit: Submit a command stream.
 * @g: the device
 * @ctx: the context
 * @commands: the stream; the same when the command is processed again
 * @words: its length
 *
 * What it uses is restored before, in slices.
 *
 * Returns: -EAGAIN if the command is to be suspended; or what the backend says.
 */
int virtio_gpu_reclaim_submit(VirtIOGPU *g, uint32_t ctx, void *commands,
                              size_t words);

/**
 * virtio_gpu_reclaim_residency_end: A command has been carried out.
 * @g: the device
 *
 * What was restored and kept for it may leave again.
 */
void virtio_gpu_reclaim_residency_end(VirtIOGPU *g);

/**
 * virtio_gpu_reclaim_residency_reset: The same when all resources end.
 * @g: the device; the backend is not called
 */
void virtio_gpu_reclaim_residency_reset(VirtIOGPU *g);

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
