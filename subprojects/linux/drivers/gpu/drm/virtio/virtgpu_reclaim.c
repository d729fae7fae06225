// SPDX-License-Identifier: MIT
/*
 * virtio-gpu reclaim: lifecycle of the device and of objects.
 *
 * Classic resources are populated at first use, textures when somebody uses
 * their pages, see virtgpu_reclaim_on_demand.c. Under memory pressure the pages
 * are released once the device has detached them; see
 * drm_gem_shmem_reclaim_shrinker.c for the policy. The commands are:
 *
 * =======  ==========================  ====================================
 *          with VIRTIO_GPU_F_RECLAIM   without
 * =======  ==========================  ====================================
 * evict    RESOURCE_DETACH_BACKING     the same
 * purge    RESOURCE_PURGE, many        RESOURCE_UNREF
 *          resources at once
 * use      RESOURCE_ATTACH_BACKING     if purged, first RESOURCE_CREATE_*
 *                                      and CTX_ATTACH_RESOURCE again
 * =======  ==========================  ====================================
 *
 * Blobs in guest memory are populated from the beginning, because
 * RESOURCE_CREATE_BLOB names their pages. With the feature they are evicted, but
 * never purged; without it they keep their pages, because a stock device does
 * not show them again after a reattach. Other blobs and dumb buffers keep their
 * pages for life and are not shrinkable. Framebuffers and exported objects are
 * never purged. They are pinned while another device is attached to the dma-buf
 * or the kernel maps it, and as long as they live if the device scans out their
 * pages rather than storage of its own.
 *
 * The device processes the control queue in order, so the position of a command
 * decides which state of an object it finds. A command that needs the pages is
 * queued under the reservation lock of the object, after
 * virtio_gpu_reclaim_prepare().
 *
 * Lock order, nested inside the locks of drm_gem_shmem_reclaim_shrinker.c:
 * reservation lock, ctx_lock, qlock. Commands of reclaim are preallocated, and
 * waiters process the responses to them, because the work item that normally
 * does so may itself be waiting for memory.
 */

#include <linux/dma-resv.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>

#include <drm/drm_managed.h>

#include "virtgpu_reclaim_internal.h"

/*
 * Without VIRTIO_GPU_F_RECLAIM, QEMU accepts 16384 entries in
 * RESOURCE_ATTACH_BACKING. After an eviction there may be one for each page.
 */
#define MAX_SIZE_WITHOUT_FEATURE SZ_64M

/* The configuration space with VIRTIO_GPU_F_RECLAIM. */
struct virtio_gpu_reclaim_config {
	u8 other_features[VIRTIO_GPU_CONFIG_MAX_PURGE];
	__le32 max_purge;
};

/*
 * The most resources in one RESOURCE_PURGE. The limit is at least 1: 0 means
 * that the device does not announce one. All bits set, which transports return
 * beyond the end of the configuration space, means no limit as well. If the
 * device has one after all it rejects the command, and no object is purged.
 */
static unsigned int virtio_gpu_reclaim_max_purge(struct virtio_gpu_device *vgdev)
{
	u32 max;

	virtio_cread_le(vgdev->vdev, struct virtio_gpu_reclaim_config,
			max_purge, &max);
	return max ? min_t(u32, max, DRM_GEM_SHMEM_RECLAIM_MAX_OBJECTS) :
		     DRM_GEM_SHMEM_RECLAIM_MAX_OBJECTS;
}

static bool virtio_gpu_reclaim_may_shrink(struct virtio_gpu_device *vgdev,
					  struct virtio_gpu_object_params *params)
{
	if (!vgdev->reclaim || params->dumb)
		return false;
	/*
	 * Other blobs have storage on the host. Contexts of other types may
	 * poll the pages without fences.
	 */
	if (params->blob)
		return vgdev->reclaim->has_feature &&
		       !vgdev->has_context_init &&
		       params->blob_mem == VIRTGPU_BLOB_MEM_GUEST;
	return vgdev->reclaim->has_feature ||
	       params->size <= MAX_SIZE_WITHOUT_FEATURE;
}

/* Pinned until virtio_gpu_reclaim_add_object(): the pages are not sent yet. */
static int virtio_gpu_reclaim_init_blob(struct virtio_gpu_device *vgdev,
					struct virtio_gpu_object *bo,
					struct virtio_gpu_mem_entry **ents,
					unsigned int *nents)
{
	struct drm_gem_shmem_reclaim_object *sobj = &bo->reclaim.base;
	struct dma_resv *resv = bo->base.base.resv;
	int ret;

	drm_gem_shmem_reclaim_add(&vgdev->reclaim->base, sobj, &bo->base);
	dma_resv_lock(resv, NULL);
	/* The pages are its only storage. */
	sobj->unpurgeable = true;
	ret = drm_gem_shmem_reclaim_pin(sobj);
	dma_resv_unlock(resv);
	if (!ret)
		ret = virtio_gpu_object_shmem_init(vgdev, bo, ents, nents);
	if (ret)
		drm_gem_shmem_reclaim_remove(sobj);
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
 * virtio_gpu_reclaim_init_object - populate a new object if it needs its pages
 * @vgdev: the device
 * @bo: the object
 * @params: its parameters
 * @ents: set to its pages, or left alone if it is populated at first use
 * @nents: set to the number of @ents
 *
 * Returns: 0 or a negative error code; -ENOMEM also if memory is unlikely to
 * suffice at first use.
 */
int virtio_gpu_reclaim_init_object(struct virtio_gpu_device *vgdev,
				   struct virtio_gpu_object *bo,
				   struct virtio_gpu_object_params *params,
				   struct virtio_gpu_mem_entry **ents,
				   unsigned int *nents)
{
	if (!virtio_gpu_reclaim_may_shrink(vgdev, params))
		return virtio_gpu_object_shmem_init(vgdev, bo, ents, nents);
	if (!virtio_gpu_reclaim_is_unbacked(params) &&
	    !drm_gem_shmem_reclaim_may_add(&vgdev->reclaim->base, params->size))
		return -ENOMEM;
	if (params->blob)
		return virtio_gpu_reclaim_init_blob(vgdev, bo, ents, nents);
	return 0;
}

/**
 * virtio_gpu_reclaim_add_object - make a new object shrinkable if it can be
 * @vgdev: the device
 * @bo: the object, whose RESOURCE_CREATE_* is queued
 * @params: its parameters
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

	if (is_shrinkable(bo)) {
		virtio_gpu_reclaim_add_blob(bo);
		return;
	}
	if (!virtio_gpu_reclaim_may_shrink(vgdev, params)) {
		atomic64_inc(&reclaim->unshrinkable_objects);
		atomic64_add(bo->base.base.size, &reclaim->unshrinkable_bytes);
		return;
	}
	if (!reclaim->has_feature)
		bo->reclaim.params = kmemdup(params, sizeof(*params),
					     GFP_KERNEL);
	bo->reclaim.has_host_image = params->virgl;
	bo->reclaim.base.rarely_pinned = params->virgl;
	bo->reclaim.base.unbacked = virtio_gpu_reclaim_is_unbacked(params);
	drm_gem_shmem_reclaim_add(&reclaim->base, &bo->reclaim.base, &bo->base);
}

static void virtio_gpu_free_context(struct virtio_gpu_reclaim_context *ctx)
{
	kfree(ctx->objs);
	kfree(ctx);
}

/**
 * virtio_gpu_reclaim_free_object - remove an object that is being freed
 * @bo: the object, whether or not it was added
 */
void virtio_gpu_reclaim_free_object(struct virtio_gpu_object *bo)
{
	struct virtio_gpu_device *vgdev = bo->base.base.dev->dev_private;
	struct virtio_gpu_reclaim_context *ctx, *next;

	if (!bo->reclaim.contexts.next)
		return;

	if (vgdev->reclaim) {
		s64 size = bo->base.base.size;

		if (!is_shrinkable(bo)) {
			atomic64_dec(&vgdev->reclaim->unshrinkable_objects);
			atomic64_sub(size, &vgdev->reclaim->unshrinkable_bytes);
		}
		drm_gem_shmem_reclaim_remove(&bo->reclaim.base);
	}
	list_for_each_entry_safe(ctx, next, &bo->reclaim.contexts, node)
		virtio_gpu_free_context(ctx);
	kfree(bo->reclaim.params);
	mutex_destroy(&bo->reclaim.ctx_lock);
}

/**
 * virtio_gpu_reclaim_open - record that a context gets an object
 * @obj: the object
 * @ctx_id: context id
 *
 * To be called before CTX_ATTACH_RESOURCE is queued.
 *
 * Returns: 0 or -ENOMEM.
 */
int virtio_gpu_reclaim_open(struct drm_gem_object *obj, u32 ctx_id)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	struct virtio_gpu_reclaim_context *ctx;

	if (!bo->reclaim.params)
		return 0;

	ctx = kzalloc(sizeof(*ctx), GFP_KERNEL);
	if (!ctx)
		return -ENOMEM;
	ctx->ctx_id = ctx_id;
	mutex_lock(&bo->reclaim.ctx_lock);
	list_add_tail(&ctx->node, &bo->reclaim.contexts);
	mutex_unlock(&bo->reclaim.ctx_lock);
	return 0;
}

/**
 * virtio_gpu_reclaim_close - record that a context loses an object
 * @obj: the object
 * @ctx_id: context id
 *
 * To be called before CTX_DETACH_RESOURCE is queued.
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
			virtio_gpu_free_context(ctx);
			break;
		}
	}
	mutex_unlock(&bo->reclaim.ctx_lock);
}

/**
 * virtio_gpu_reclaim_init - start reclaim of a device
 * @vgdev: the device, which is ready for commands
 *
 * On failure the driver works as without reclaim: objects stay populated.
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
	for (i = 0; i < NR_REQUESTS; i++) {
		reclaim->requests[i] = drmm_kzalloc(vgdev->ddev,
						    sizeof(*reclaim->requests[i]),
						   GFP_KERNEL);
		if (!reclaim->requests[i])
			goto err;
	}
	ret = drm_gem_shmem_reclaim_init(&reclaim->base, vgdev->ddev,
					 &virtio_gpu_reclaim_ops);
	if (ret)
		goto err;
	/* Without the DMA API the device gets physical addresses. */
	reclaim->base.no_dma_sync = virtio_has_dma_quirk(vgdev->vdev);
	if (reclaim->has_feature)
		reclaim->base.max_purge = virtio_gpu_reclaim_max_purge(vgdev);
	for (i = 0; i < NR_REQUESTS; i++)
		drm_gem_shmem_reclaim_add_request(&reclaim->base,
						  &reclaim->requests[i]->base);
	/* Teach lockdep early that scans take this lock. */
	fs_reclaim_acquire(GFP_KERNEL);
	might_lock(&vgdev->ctrlq.qlock);
	fs_reclaim_release(GFP_KERNEL);
	/* Interrupt handlers read it. */
	smp_store_release(&vgdev->reclaim, reclaim);
	/* The device may have set an event before there was an interrupt. */
	schedule_work(&vgdev->config_changed_work);
	drm_info(vgdev->ddev, "reclaim: purging by %s, %u at a time\n",
		 reclaim->has_feature ? "RESOURCE_PURGE" : "RESOURCE_UNREF",
		 reclaim->base.max_purge);
	return;

err:
	drm_warn(vgdev->ddev, "reclaim disabled: out of memory\n");
}

/**
 * virtio_gpu_reclaim_fini - stop reclaim of a device
 * @vgdev: the device, which still processes commands
 */
void virtio_gpu_reclaim_fini(struct virtio_gpu_device *vgdev)
{
	if (vgdev->reclaim)
		drm_gem_shmem_reclaim_fini(&vgdev->reclaim->base);
}
