/*
 * Virtio GPU: contexts and blobs that virglreclaim does not track
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_UNTRACKED_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_UNTRACKED_H

#include "virtio-gpu-reclaim-backend.h"

typedef struct VirtIOGPUUntracked VirtIOGPUUntracked;

VirtIOGPUUntracked *virtio_gpu_untracked_new(void);
void virtio_gpu_untracked_free(VirtIOGPUUntracked *u);
/* The renderer has been reset: there is nothing any more. */
void virtio_gpu_untracked_reset(VirtIOGPUUntracked *u);

/* Contexts of another capset than virgl's: their streams are not read. */

/**
 * virtio_gpu_untracked_ctx_create: Create a context of another capset.
 * @u: what is not tracked
 * @ctx: context id
 * @context_init: capset and flags, as in VIRTIO_GPU_CMD_CTX_CREATE
 * @name: not terminated
 * @len: of @name in bytes
 * @max: most such contexts; 0: no limit
 *
 * Returns: 0, -EEXIST, -ENOSPC, or -EINVAL if the renderer refuses.
 */
int virtio_gpu_untracked_ctx_create(VirtIOGPUUntracked *u, uint32_t ctx,
                                    uint32_t context_init, const char *name,
                                    uint32_t len, uint32_t max);
void virtio_gpu_untracked_ctx_destroy(VirtIOGPUUntracked *u, uint32_t ctx);
bool virtio_gpu_untracked_has_ctx(const VirtIOGPUUntracked *u, uint32_t ctx);
void virtio_gpu_untracked_ctx_foreach(const VirtIOGPUUntracked *u,
                                      VirtIOGPUReclaimCtxFunc func,
                                      void *opaque);

/**
 * virtio_gpu_untracked_attach: Attach a resource to a context, one untracked.
 * @u: what is not tracked
 * @ctx: context id
 * @id: resource id; a tracked resource is shared from here on
 */
void virtio_gpu_untracked_attach(VirtIOGPUUntracked *u, uint32_t ctx,
                                 uint32_t id);

/* Whether a context that is not tracked has got a tracked resource. */
bool virtio_gpu_untracked_is_shared(const VirtIOGPUUntracked *u, uint32_t id);
/* A tracked resource is destroyed. */
void virtio_gpu_untracked_forget(VirtIOGPUUntracked *u, uint32_t id);

/* Blobs, which the stock handlers create, map and destroy. */

typedef struct VirtIOGPUBlob {
    uint64_t size;              /* in bytes */
    bool has_backing;           /* may have guest pages */
    bool mapped;                /* in the device's host-visible memory */
} VirtIOGPUBlob;

/* Returns NULL if @id is no blob. */
VirtIOGPUBlob *virtio_gpu_untracked_blob(const VirtIOGPUUntracked *u,
                                         uint32_t id);
void
virtio_gpu_untracked_add_blob(VirtIOGPUUntracked *u,
                              const struct virtio_gpu_resource_create_blob *c);
void virtio_gpu_untracked_remove_blob(VirtIOGPUUntracked *u, uint32_t id);

/**
 * virtio_gpu_untracked_unmap_all: Unmap all blobs, for a reset.
 * @u: what is not tracked
 * @g: the device
 *
 * The memory behind them must stay until the device is no longer blocked.
 */
void virtio_gpu_untracked_unmap_all(VirtIOGPUUntracked *u, VirtIOGPU *g);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_UNTRACKED_H */
