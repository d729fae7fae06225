// SPDX-License-Identifier: MIT
/*
 * Reclaim of the guest memory behind virtio-gpu objects.
 *
 * Classic resources get their pages when they are first used, and give them
 * back when memory is short and the device has let go of them; see
 * drm_gem_shmem_reclaim_shrinker.c for when that is. This is what the device is
 * told:
 *
 * =======  ==========================  ====================================
 *          with VIRTIO_GPU_F_RECLAIM   without
 * =======  ==========================  ====================================
 * evict    RESOURCE_DETACH_BACKING     the same
 * purge    RESOURCE_PURGE, many at a   RESOURCE_UNREF
 *          time
 * use      RESOURCE_ATTACH_BACKING     if purged, first RESOURCE_CREATE_*
 *                                      and CTX_ATTACH_RESOURCE again
 * =======  ==========================  ====================================
 *
 * Blobs in guest memory have their pages from the beginning, because these are
 * named when the resource is created, and are evicted, but not purged, by a
 * device with the feature: another one would not show them again. Other blobs
 * and dumb buffers keep their pages for life and are not managed here.
 * Framebuffers and everything that was exported are pinned.
 *
 * The control queue is processed in order, and what a command does to an object
 * is decided by its place there. A command that needs the pages is queued under
 * the reservation lock of the object, after virtio_gpu_reclaim_use().
 *
 * Locks, within those that drm_gem_shmem_reclaim_shrinker.c describes:
 * reservation lock, ctx_lock, qlock. Commands that ask the device to let go of pages are made of
 * reserved memory, and their answers are taken from the queue by whoever waits
 * for them, because the work item that normally does that may itself be waiting
 * for memory.
 */

#include <linux/dma-resv.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>

#include <drm/drm_managed.h>

#include "virtgpu_reclaim_internal.h"

/*
 * Without VIRTIO_GPU_F_RECLAIM, QEMU takes 16384 pieces of memory for a
 * resource. After an eviction each page may be a piece.
 */
#define MAX_SIZE_WITHOUT_FEATURE SZ_64M

static bool virtio_gpu_reclaim_may_manage(struct virtio_gpu_device *vgdev,
					  struct virtio_gpu_object_params *params)
{
	if (!vgdev->reclaim || params->dumb)
		return false;
	/* Of any other blob the host has a part of its own. */
	if (params->blob)
		return vgdev->reclaim->has_feature &&
		       params->blob_mem == VIRTGPU_BLOB_MEM_GUEST;
	return vgdev->reclaim->has_feature ||
	       params->size <= MAX_SIZE_WITHOUT_FEATURE;
}

/* The pages stay until the device was told of them; see add_object. */
static int virtio_gpu_reclaim_init_blob(struct virtio_gpu_device *vgdev,
					struct virtio_gpu_object *bo,
					struct virtio_gpu_mem_entry **ents,
					unsigned int *nents)
{
	struct drm_gem_shmem_reclaim_object *robj = &bo->reclaim.base;
	struct dma_resv *resv = bo->base.base.resv;
	int ret;

	drm_gem_shmem_reclaim_add(&vgdev->reclaim->base, robj, &bo->base);
	dma_resv_lock(resv, NULL);
	ret = drm_gem_shmem_reclaim_pin(robj);
	dma_resv_unlock(resv);
	if (!ret)
		ret = virtio_gpu_object_shmem_init(vgdev, bo, ents, nents);
	if (ret)
		drm_gem_shmem_reclaim_remove(robj);
	return ret;
}

static void virtio_gpu_reclaim_add_blob(struct virtio_gpu_object *bo)
{
	struct dma_resv *resv = bo->base.base.resv;

	dma_resv_lock(resv, NULL);
	bo->reclaim.backing = VIRTIO_GPU_BACKING_ATTACHED;
	bo->reclaim.attached_before = true;
	drm_gem_shmem_reclaim_unpin(&bo->reclaim.base);
	dma_resv_unlock(resv);
}

/**
 * virtio_gpu_reclaim_init_object - get pages for a new object, if not later
 * @vgdev: the device
 * @bo: the object
 * @params: what it is to be
 * @ents: where the pages are, left alone if they are to be got when used
 * @nents: how many of @ents there are
 *
 * Returns: 0, or -ENOMEM also if there is little hope for memory later.
 */
int virtio_gpu_reclaim_init_object(struct virtio_gpu_device *vgdev,
				   struct virtio_gpu_object *bo,
				   struct virtio_gpu_object_params *params,
				   struct virtio_gpu_mem_entry **ents,
				   unsigned int *nents)
{
	if (!virtio_gpu_reclaim_may_manage(vgdev, params))
		return virtio_gpu_object_shmem_init(vgdev, bo, ents, nents);
	if (!drm_gem_shmem_reclaim_may_add(&vgdev->reclaim->base, params->size))
		return -ENOMEM;
	if (params->blob)
		return virtio_gpu_reclaim_init_blob(vgdev, bo, ents, nents);
	return 0;
}

/**
 * virtio_gpu_reclaim_add_object - begin with an object that was created
 * @vgdev: the device, which was told of it
 * @bo: the object
 * @params: what it is
 */
void virtio_gpu_reclaim_add_object(struct virtio_gpu_device *vgdev,
				   struct virtio_gpu_object *bo,
				   struct virtio_gpu_object_params *params)
{
	struct virtio_gpu_reclaim *reclaim = vgdev->reclaim;

	mutex_init(&bo->reclaim.ctx_lock);
	INIT_LIST_HEAD(&bo->reclaim.contexts);
	if (!reclaim)
		return;

	atomic64_inc(&reclaim->objects);
	atomic64_add(bo->base.base.size, &reclaim->bytes);
	if (is_managed(bo)) {
		virtio_gpu_reclaim_add_blob(bo);
		return;
	}
	if (!virtio_gpu_reclaim_may_manage(vgdev, params)) {
		atomic64_inc(&reclaim->unmanaged_objects);
		atomic64_add(bo->base.base.size, &reclaim->unmanaged_bytes);
		return;
	}
	if (!reclaim->has_feature)
		bo->reclaim.params = kmemdup(params, sizeof(*params),
					     GFP_KERNEL);
	drm_gem_shmem_reclaim_add(&reclaim->base, &bo->reclaim.base, &bo->base);
}

/**
 * virtio_gpu_reclaim_free_object - forget an object that is being freed
 * @bo: the object, of which add_object may not have been told
 */
void virtio_gpu_reclaim_free_object(struct virtio_gpu_object *bo)
{
	struct virtio_gpu_device *vgdev = bo->base.base.dev->dev_private;
	struct virtio_gpu_reclaim_context *ctx, *next;

	if (!bo->reclaim.contexts.next)
		return;

	if (vgdev->reclaim) {
		s64 size = bo->base.base.size;

		atomic64_dec(&vgdev->reclaim->objects);
		atomic64_sub(size, &vgdev->reclaim->bytes);
		if (!is_managed(bo)) {
			atomic64_dec(&vgdev->reclaim->unmanaged_objects);
			atomic64_sub(size, &vgdev->reclaim->unmanaged_bytes);
		}
	}
	drm_gem_shmem_reclaim_remove(&bo->reclaim.base);
	list_for_each_entry_safe(ctx, next, &bo->reclaim.contexts, node)
		kfree(ctx);
	kfree(bo->reclaim.params);
	mutex_destroy(&bo->reclaim.ctx_lock);
}

/**
 * virtio_gpu_reclaim_open - note that a context gets an object
 * @obj: the object
 * @ctx_id: the context
 *
 * To be called before the device is told.
 *
 * Returns: 0 or -ENOMEM.
 */
int virtio_gpu_reclaim_open(struct drm_gem_object *obj, u32 ctx_id)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	struct virtio_gpu_reclaim_context *ctx;

	if (!bo->reclaim.params)
		return 0;

	ctx = kmalloc(sizeof(*ctx), GFP_KERNEL);
	if (!ctx)
		return -ENOMEM;
	ctx->ctx_id = ctx_id;
	mutex_lock(&bo->reclaim.ctx_lock);
	list_add_tail(&ctx->node, &bo->reclaim.contexts);
	mutex_unlock(&bo->reclaim.ctx_lock);
	return 0;
}

/**
 * virtio_gpu_reclaim_close - note that a context loses an object
 * @obj: the object
 * @ctx_id: the context
 *
 * To be called before the device is told.
 */
void virtio_gpu_reclaim_close(struct drm_gem_object *obj, u32 ctx_id)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	struct virtio_gpu_reclaim_context *ctx;

	if (!bo->reclaim.params)
		return;

	mutex_lock(&bo->reclaim.ctx_lock);
	list_for_each_entry(ctx, &bo->reclaim.contexts, node) {
		if (ctx->ctx_id == ctx_id) {
			list_del(&ctx->node);
			kfree(ctx);
			break;
		}
	}
	mutex_unlock(&bo->reclaim.ctx_lock);
}

/**
 * virtio_gpu_reclaim_init - start reclaiming
 * @vgdev: the device, which answers to commands already
 *
 * If that fails the device works as it does without, and objects keep their
 * pages.
 */
void virtio_gpu_reclaim_init(struct virtio_gpu_device *vgdev)
{
	struct virtio_gpu_reclaim *reclaim;
	int i, ret;

	reclaim = drmm_kzalloc(vgdev->ddev, sizeof(*reclaim), GFP_KERNEL);
	if (!reclaim)
		goto err;
	reclaim->vgdev = vgdev;
	reclaim->has_feature = virtio_has_feature(vgdev->vdev,
						  VIRTIO_GPU_F_RECLAIM);
	INIT_LIST_HEAD(&reclaim->deferred);
	init_waitqueue_head(&reclaim->attach_wait);
	for (i = 0; i < NR_BATCHES; i++) {
		reclaim->batches[i] = drmm_kzalloc(vgdev->ddev,
						   sizeof(*reclaim->batches[i]),
						   GFP_KERNEL);
		if (!reclaim->batches[i])
			goto err;
	}
	ret = drm_gem_shmem_reclaim_init(&reclaim->base, vgdev->ddev,
					 &virtio_gpu_reclaim_ops);
	if (ret)
		goto err;
	for (i = 0; i < NR_BATCHES; i++)
		drm_gem_shmem_reclaim_add_batch(&reclaim->base,
						&reclaim->batches[i]->base);
	/* Tell lockdep now, not when memory is short: scans take this lock. */
	fs_reclaim_acquire(GFP_KERNEL);
	might_lock(&vgdev->ctrlq.qlock);
	fs_reclaim_release(GFP_KERNEL);
	/* Interrupts look at it. */
	smp_store_release(&vgdev->reclaim, reclaim);
	drm_info(vgdev->ddev, "reclaim: %s\n", reclaim->has_feature ?
		 "device can purge" : "by standard commands");
	return;

err:
	drm_warn(vgdev->ddev, "no memory to reclaim memory with\n");
}

/**
 * virtio_gpu_reclaim_fini - stop reclaiming
 * @vgdev: the device, which still answers to commands
 */
void virtio_gpu_reclaim_fini(struct virtio_gpu_device *vgdev)
{
	if (vgdev->reclaim)
		drm_gem_shmem_reclaim_fini(&vgdev->reclaim->base);
}
