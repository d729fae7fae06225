/* SPDX-License-Identifier: MIT */
/*
 * What the files of reclaim share among themselves.
 */
#ifndef VIRTGPU_RECLAIM_INTERNAL_H
#define VIRTGPU_RECLAIM_INTERNAL_H

#include "virtgpu_drv.h"

/**
 * NR_BATCHES - scans under way at a time
 *
 * kswapd and a few of those that reclaim for themselves. Others find no batch
 * and look elsewhere for memory.
 */
#define NR_BATCHES		4

/**
 * struct virtio_gpu_reclaim_slot - a reserved command for one object
 *
 * Fields belong to the scan that has the batch until the command is queued, and
 * to whoever takes the answer from there on.
 */
struct virtio_gpu_reclaim_slot {
	/** @vbuf: for the queue; made of the fields below */
	struct virtio_gpu_vbuffer vbuf;
	/** @bo: the object, with a reference that the batch has */
	struct virtio_gpu_object *bo;
	/** @cmd: that, or RESOURCE_UNREF, which looks alike */
	struct virtio_gpu_resource_detach_backing cmd;
	/** @resp: the answer; all zero, which is none, if the device was reset */
	struct virtio_gpu_ctrl_hdr resp;
};

/**
 * struct virtio_gpu_reclaim_batch - a reserved request, as one command or many
 *
 * Guarded as the fields of struct virtio_gpu_reclaim_slot.
 */
struct virtio_gpu_reclaim_batch {
	/** @base: the generic part */
	struct drm_gem_shmem_reclaim_batch base;
	/** @slots: a command for each object ... */
	struct virtio_gpu_reclaim_slot slots[DRM_GEM_SHMEM_RECLAIM_BATCH];
	/** @vbuf: ... or RESOURCE_PURGE for all, made of the fields below */
	struct virtio_gpu_vbuffer vbuf;
	/** @bos: those that are in it, with references that the batch has */
	struct virtio_gpu_object *bos[DRM_GEM_SHMEM_RECLAIM_BATCH];
	/** @count: how many of @bos are set */
	u32 count;
	/** @purge: struct virtio_gpu_resource_purge */
	u8 purge[offsetof(struct virtio_gpu_resource_purge,
			  ids[DRM_GEM_SHMEM_RECLAIM_BATCH])] __aligned(8);
	/** @resp: struct virtio_gpu_resp_purge */
	u8 resp[offsetof(struct virtio_gpu_resp_purge,
			 result[DRM_GEM_SHMEM_RECLAIM_BATCH])] __aligned(8);
};

/**
 * struct virtio_gpu_reclaim - what reclaim knows of a device
 */
struct virtio_gpu_reclaim {
	/** @base: the generic part */
	struct drm_gem_shmem_reclaim base;
	/** @vgdev: the device; set once */
	struct virtio_gpu_device *vgdev;
	/** @has_feature: VIRTIO_GPU_F_RECLAIM was negotiated; set once */
	bool has_feature;
	/** @batches: all there are; set once */
	struct virtio_gpu_reclaim_batch *batches[NR_BATCHES];
	/**
	 * @deferred: answers that a scan took from the control queue and that
	 * are not for it; guarded by qlock of that queue
	 */
	struct list_head deferred;
	/** @attach_wait: woken when RESOURCE_ATTACH_BACKING was answered */
	wait_queue_head_t attach_wait;
	/** @reattaches: RESOURCE_ATTACH_BACKING but for the first of an object */
	atomic64_t reattaches;
	/** @objects: how many shmem objects there are */
	atomic64_t objects;
	/** @bytes: their size */
	atomic64_t bytes;
	/** @unmanaged_objects: those of them that are not managed */
	atomic64_t unmanaged_objects;
	/** @unmanaged_bytes: their size */
	atomic64_t unmanaged_bytes;
	/** @shrunk: pages that the last write to virtio-gpu-shrink got */
	u64 shrunk;
};

/**
 * struct virtio_gpu_reclaim_context - a context that an object is attached to
 */
struct virtio_gpu_reclaim_context {
	/**
	 * @node: place in &virtio_gpu_object_reclaim.contexts; guarded by
	 * &virtio_gpu_object_reclaim.ctx_lock
	 */
	struct list_head node;
	/** @ctx_id: its number; set once */
	u32 ctx_id;
};

static inline bool is_managed(struct virtio_gpu_object *bo)
{
	return drm_gem_shmem_reclaim_is_managed(&bo->reclaim.base);
}

static inline enum virtio_gpu_backing
virtio_gpu_backing(struct virtio_gpu_object *bo)
{
	/* Pairs with the release in virtio_gpu_attach_cb(). */
	return smp_load_acquire(&bo->reclaim.backing);
}

/* virtgpu_reclaim_queue.c */
extern const struct drm_gem_shmem_reclaim_ops virtio_gpu_reclaim_ops;
void virtio_gpu_attach_cb(struct virtio_gpu_device *vgdev,
			  struct virtio_gpu_vbuffer *vbuf);

#endif /* VIRTGPU_RECLAIM_INTERNAL_H */
