/*
 * Virtio GPU: map the guest memory of a resource
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_MAP_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_MAP_H

#include "hw/virtio/virtio-gpu.h"

/* Guest memory that is mapped for a resource. */
typedef struct VirtIOGPUReclaimMapping {
    struct iovec *iov;
    uint64_t *addrs;            /* guest address of each @iov */
    uint32_t iov_cnt;
    uint64_t bytes;
} VirtIOGPUReclaimMapping;

/**
 * virtio_gpu_reclaim_max_entries: Most memory entries of an attach.
 * @size: bytes of the resource
 */
uint64_t virtio_gpu_reclaim_max_entries(uint64_t size);

/**
 * virtio_gpu_reclaim_map: Map memory entries.
 * @g: the device
 * @entries: as on the wire, little-endian; host memory
 * @nr_entries: number of @entries
 * @map: where to put the mapping, to be released by
 *       virtio_gpu_reclaim_unmap()
 * @errp: why it failed; nothing is mapped then
 */
bool virtio_gpu_reclaim_map(VirtIOGPU *g,
                            const struct virtio_gpu_mem_entry *entries,
                            uint32_t nr_entries, VirtIOGPUReclaimMapping *map,
                            Error **errp);

/**
 * virtio_gpu_reclaim_unmap: Unmap guest memory and free the arrays.
 * @g: the device
 * @map: the mapping; cleared
 */
void virtio_gpu_reclaim_unmap(VirtIOGPU *g, VirtIOGPUReclaimMapping *map);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_MAP_H */
