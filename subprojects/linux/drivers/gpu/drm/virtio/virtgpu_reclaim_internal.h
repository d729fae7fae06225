/* SPDX-License-Identifier: MIT */
/*
 * virtio-gpu reclaim: internal interface of its files.
 */
#ifndef VIRTGPU_RECLAIM_INTERNAL_H
#define VIRTGPU_RECLAIM_INTERNAL_H

#include "virtgpu_drv.h"

/**
 * NR_REQUESTS - concurrent scans
 *
 * Enough for kswapd and a few tasks in direct reclaim. Further scans wait for
 * one of them.
 */
#define NR_REQUESTS		4

/**
 * struct virtio_gpu_reclaim_command - preallocated command for one object
 *
 * Owned by the scan that owns the request until the command is queued, and by
 * its completion from there on.
 */
struct virtio_gpu_reclaim_command {
	/** @vbuf: buffer for the queue, which refers to the fields below */
	struct virtio_gpu_vbuffer vbuf;
	/** @bo: the object; the request holds the reference */
	struct virtio_gpu_object *bo;
	/** @cmd: that, or RESOURCE_UNREF, which has the same layout */
	struct virtio_gpu_resource_detach_backing cmd;
	/** @resp: the response; zero, which is no response, after a reset */
	struct virtio_gpu_ctrl_hdr resp;
};

/**
 * struct virtio_gpu_reclaim_request - preallocated request
 *
 * Sent as one command for all objects or one for each. Ownership is that of
 * struct virtio_gpu_reclaim_command.
 */
struct virtio_gpu_reclaim_request {
	/** @base: the generic part */
	struct drm_gem_shmem_reclaim_request base;
	/** @commands: a command for each object ... */
	struct virtio_gpu_reclaim_command commands[DRM_GEM_SHMEM_RECLAIM_MAX_OBJECTS];
	/** @vbuf: ... or RESOURCE_PURGE for all; refers to the fields below */
	struct virtio_gpu_vbuffer vbuf;
	/** @bos: the objects in it; the request holds the references */
	struct virtio_gpu_object *bos[DRM_GEM_SHMEM_RECLAIM_MAX_OBJECTS];
	/** @count: number of @bos */
	u32 count;
	/** @purge: struct virtio_gpu_resource_purge */
	u8 purge[offsetof(struct virtio_gpu_resource_purge,
			  ids[DRM_GEM_SHMEM_RECLAIM_MAX_OBJECTS])] __aligned(8);
	/** @resp: struct virtio_gpu_resp_purge */
	u8 resp[offsetof(struct virtio_gpu_resp_purge,
			 result[DRM_GEM_SHMEM_RECLAIM_MAX_OBJECTS])] __aligned(8);
};

/**
 * struct virtio_gpu_reclaim_target - what the device wants back
 */
struct virtio_gpu_reclaim_target {
	/** @vbuf: buffer for the queue, which refers to the fields below */
	struct virtio_gpu_vbuffer vbuf;
	/** @cmd: GET_RECLAIM_TARGET */
	struct virtio_gpu_ctrl_hdr cmd;
	/** @resp: the response; zero, which is no response, after a reset */
	struct virtio_gpu_resp_reclaim_target resp;
	/** @inflight: the device has not completed the command */
	atomic_t inflight;
	/** @requests: how often the device wanted memory */
	atomic64_t requests;
	/** @bytes: what it wanted last */
	atomic64_t bytes;
};

/**
 * struct virtio_gpu_reclaim - reclaim state of a device
 */
struct virtio_gpu_reclaim {
	/** @base: the generic part */
	struct drm_gem_shmem_reclaim base;
	/** @vgdev: the device; constant */
	struct virtio_gpu_device *vgdev;
	/** @has_feature: VIRTIO_GPU_F_RECLAIM was negotiated; constant */
	bool has_feature;
	/** @requests: all requests; constant */
	struct virtio_gpu_reclaim_request *requests[NR_REQUESTS];
	/**
	 * @deferred: responses to other commands, which a scan took from the
	 * control queue and leaves to its work item; protected by qlock of that
	 * queue
	 */
	struct list_head deferred;
	/** @target: GET_RECLAIM_TARGET, one at a time */
	struct virtio_gpu_reclaim_target target;
	/** @reattaches: RESOURCE_ATTACH_BACKING other than an object's first */
	atomic64_t reattaches;
	/** @unshrinkable_objects: number of shmem objects that are not shrinkable */
	atomic64_t unshrinkable_objects;
	/** @unshrinkable_bytes: their size */
	atomic64_t unshrinkable_bytes;
};

/**
 * struct virtio_gpu_reclaim_context - a context that an object is attached to
 */
struct virtio_gpu_reclaim_context {
	/**
	 * @node: entry in &virtio_gpu_object_reclaim.contexts; protected by
	 * &virtio_gpu_object_reclaim.ctx_lock
	 */
	struct list_head node;
	/** @ctx_id: context id; constant */
	u32 ctx_id;
	/**
	 * @objs: empty, for attaching the object to the context again, or NULL;
	 * protected like @node
	 */
	struct virtio_gpu_object_array *objs;
};

static inline struct virtio_gpu_object *
to_virtio_gpu_bo(struct drm_gem_shmem_reclaim_object *sobj)
{
	return container_of(sobj, struct virtio_gpu_object, reclaim.base);
}

static inline struct drm_gem_shmem_reclaim_object *
to_sobj(struct drm_gem_object *obj)
{
	return &gem_to_virtio_gpu_obj(obj)->reclaim.base;
}

static inline bool is_shrinkable(struct virtio_gpu_object *bo)
{
	return drm_gem_shmem_reclaim_is_shrinkable(&bo->reclaim.base);
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
bool virtio_gpu_reclaim_queue(struct virtio_gpu_device *vgdev,
			      struct virtio_gpu_vbuffer *vbuf);
void virtio_gpu_reclaim_cb(struct virtio_gpu_device *vgdev,
			   struct virtio_gpu_vbuffer *vbuf);

/* virtgpu_reclaim_target.c */
void virtio_gpu_reclaim_target_done(struct virtio_gpu_reclaim *reclaim);

#endif /* VIRTGPU_RECLAIM_INTERNAL_H */
