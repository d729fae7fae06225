/* SPDX-License-Identifier: MIT */
/*
 * What the files of reclaim share among themselves.
 */
#ifndef VIRTGPU_RECLAIM_INTERNAL_H
#define VIRTGPU_RECLAIM_INTERNAL_H

#include "virtgpu_drv.h"

/*
 * Scans under way at a time: kswapd and a few of those that reclaim for
 * themselves. Others find no batch and look elsewhere for memory.
 */
#define NR_BATCHES		4

/* RESOURCE_DETACH_BACKING and RESOURCE_UNREF look alike. */
struct virtio_gpu_reclaim_slot {
	struct virtio_gpu_vbuffer vbuf;
	struct virtio_gpu_object *bo;
	struct virtio_gpu_resource_detach_backing cmd;
	struct virtio_gpu_ctrl_hdr resp;
};

struct virtio_gpu_reclaim_batch {
	struct drm_gem_shmem_reclaim_batch base;
	/* one for each object ... */
	struct virtio_gpu_reclaim_slot slots[DRM_GEM_SHMEM_RECLAIM_BATCH];
	/* ... or one for all */
	struct virtio_gpu_vbuffer vbuf;
	struct virtio_gpu_object *bos[DRM_GEM_SHMEM_RECLAIM_BATCH];
	u32 count;
	u8 purge[offsetof(struct virtio_gpu_resource_purge,
			  ids[DRM_GEM_SHMEM_RECLAIM_BATCH])] __aligned(8);
	u8 resp[offsetof(struct virtio_gpu_resp_purge,
			 result[DRM_GEM_SHMEM_RECLAIM_BATCH])] __aligned(8);
};

struct virtio_gpu_reclaim {
	struct drm_gem_shmem_reclaim base;
	struct virtio_gpu_device *vgdev;
	bool has_feature;
	struct virtio_gpu_reclaim_batch *batches[NR_BATCHES];
	/*
	 * Answers that a scan took from the control queue and that are not for
	 * it; guarded by qlock of that queue.
	 */
	struct list_head deferred;
	/* woken when the device answered to RESOURCE_ATTACH_BACKING */
	wait_queue_head_t attach_wait;
	atomic64_t reattaches;
	/* shmem objects, and those of them that are not managed */
	atomic64_t objects, unmanaged_objects;
	atomic64_t bytes, unmanaged_bytes;
	/* pages that the last write to debugfs' virtio-gpu-shrink got */
	u64 shrunk;
};

static inline bool is_managed(struct virtio_gpu_object *bo)
{
	return drm_gem_shmem_reclaim_is_managed(&bo->reclaim.base);
}

#endif /* VIRTGPU_RECLAIM_INTERNAL_H */
