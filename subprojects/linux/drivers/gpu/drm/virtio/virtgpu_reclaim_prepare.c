// SPDX-License-Identifier: MIT
/*
 * virtio-gpu reclaim: populating and reattaching objects for commands, displays,
 * dma-bufs and mappings.
 */

#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/slab.h>

#include <drm/drm_device.h>
#include <drm/drm_gem_framebuffer_helper.h>

#include "virtgpu_reclaim_internal.h"

/* Allocate what attaching an object to its contexts again needs. */
static int virtio_gpu_alloc_contexts(struct virtio_gpu_object *bo)
{
	struct virtio_gpu_reclaim_context *ctx;

	lockdep_assert_held(&bo->reclaim.ctx_lock);

	list_for_each_entry(ctx, &bo->reclaim.contexts, node) {
		if (!ctx->objs)
			ctx->objs = virtio_gpu_array_alloc(1);
		/* Those before it are kept for the next attempt. */
		if (!ctx->objs)
			return -ENOMEM;
	}
	return 0;
}

/*
 * The resource was purged by RESOURCE_UNREF: create it again with its id, and
 * attach it to its contexts, or do neither: a later attempt would find it
 * created and leave the contexts alone.
 */
static int virtio_gpu_recreate(struct virtio_gpu_device *vgdev,
			       struct virtio_gpu_object *bo)
{
	struct virtio_gpu_object_params *params = bo->reclaim.params;
	struct virtio_gpu_reclaim_context *ctx;
	int ret;

	mutex_lock(&bo->reclaim.ctx_lock);
	ret = virtio_gpu_alloc_contexts(bo);
	if (ret)
		goto out_unlock;

	if (params->virgl)
		virtio_gpu_cmd_resource_create_3d(vgdev, bo, params, NULL, NULL);
	else
		virtio_gpu_cmd_create_resource(vgdev, bo, params, NULL, NULL);

	list_for_each_entry(ctx, &bo->reclaim.contexts, node) {
		virtio_gpu_array_add_obj(ctx->objs, &bo->base.base);
		virtio_gpu_cmd_context_attach_resource(vgdev, ctx->ctx_id,
						       ctx->objs);
		ctx->objs = NULL;
	}
out_unlock:
	mutex_unlock(&bo->reclaim.ctx_lock);
	return ret;
}

static int virtio_gpu_reattach(struct virtio_gpu_device *vgdev,
			       struct virtio_gpu_object *bo)
{
	struct virtio_gpu_resource_attach_backing *cmd;
	struct virtio_gpu_object_array *objs;
	struct virtio_gpu_mem_entry *ents;
	struct virtio_gpu_vbuffer *vbuf;
	unsigned int nents;
	int ret;

	if (!bo->created) {
		ret = virtio_gpu_recreate(vgdev, bo);
		if (ret)
			return ret;
	}

	objs = virtio_gpu_array_alloc(1);
	if (!objs)
		return -ENOMEM;
	ret = virtio_gpu_object_shmem_init(vgdev, bo, &ents, &nents);
	if (ret) {
		virtio_gpu_array_put_free(objs);
		return ret;
	}
	virtio_gpu_array_add_obj(objs, &bo->base.base);

	cmd = virtio_gpu_alloc_cmd_cb(vgdev, &vbuf, sizeof(*cmd),
				      virtio_gpu_attach_cb);
	cmd->hdr.type = cpu_to_le32(VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING);
	cmd->resource_id = cpu_to_le32(bo->hw_res_handle);
	cmd->nr_entries = cpu_to_le32(nents);
	vbuf->data_buf = ents;
	vbuf->data_size = sizeof(*ents) * nents;
	vbuf->objs = objs;

	bo->reclaim.backing = VIRTIO_GPU_BACKING_SENT;
	ret = virtio_gpu_queue_ctrl_buffer(vgdev, vbuf);
	if (!ret)
		return 0;

	bo->reclaim.backing = VIRTIO_GPU_BACKING_NONE;
	if (ret != -ENODEV) {
		/* No memory for the scatterlist of @ents. */
		virtio_gpu_array_put_free(objs);
		kvfree(ents);
		kmem_cache_free(vgdev->vbufs, vbuf);
	}
	return ret;
}

/* Sets *@wait if the caller has to wait for RESOURCE_ATTACH_BACKING. */
static int virtio_gpu_prepare_one(struct virtio_gpu_device *vgdev,
				  struct virtio_gpu_object *bo, bool *wait)
{
	int ret = 0;

	/* The device creates its storage again when pages are attached. */
	if (bo->reclaim.purged_on_device)
		ret = drm_gem_shmem_reclaim_require(&bo->reclaim.base);
	if (!ret)
		ret = drm_gem_shmem_reclaim_prepare(&bo->reclaim.base);
	if (ret || bo->reclaim.base.unbacked)
		return ret;

	if (virtio_gpu_backing(bo) == VIRTIO_GPU_BACKING_NONE) {
		if (bo->reclaim.attached_before)
			atomic64_inc(&vgdev->reclaim->reattaches);
		ret = virtio_gpu_reattach(vgdev, bo);
		if (ret)
			return ret;
	}

	/*
	 * The first attach is not waited for, as elsewhere in this driver. A
	 * reattach may fail because the host is out of memory.
	 */
	if (bo->reclaim.attached_before &&
	    virtio_gpu_backing(bo) == VIRTIO_GPU_BACKING_SENT)
		*wait = true;
	bo->reclaim.attached_before = true;
	return 0;
}

struct virtio_gpu_attach_wait {
	struct drm_gem_object **objs;
	u32 nents;
};

static bool virtio_gpu_all_attached(void *arg)
{
	struct virtio_gpu_attach_wait *wait = arg;
	u32 i;

	for (i = 0; i < wait->nents; i++) {
		if (virtio_gpu_backing(gem_to_virtio_gpu_obj(wait->objs[i])) ==
		    VIRTIO_GPU_BACKING_SENT)
			return false;
	}
	return true;
}

static int virtio_gpu_wait_attached(struct virtio_gpu_device *vgdev,
				    struct drm_gem_object **objs, u32 nents)
{
	struct virtio_gpu_attach_wait wait = { .objs = objs, .nents = nents };
	int ret;
	u32 i;

	ret = drm_gem_shmem_reclaim_wait_interruptible(&vgdev->reclaim->base,
						       virtio_gpu_all_attached,
						       &wait);
	if (ret)
		return ret;

	for (i = 0; i < nents; i++) {
		struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(objs[i]);

		if (is_shrinkable(bo) && !bo->reclaim.base.unbacked &&
		    virtio_gpu_backing(bo) == VIRTIO_GPU_BACKING_NONE)
			return bo->reclaim.error;
	}
	return 0;
}

/* One kick and one wait, however many of @objs are reattached. */
static int virtio_gpu_prepare(struct drm_gem_object **objs, u32 nents)
{
	struct virtio_gpu_device *vgdev = NULL;
	bool wait = false;
	int ret = 0;
	u32 i;

	for (i = 0; i < nents && !ret; i++) {
		struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(objs[i]);

		vgdev = objs[i]->dev->dev_private;
		if (is_shrinkable(bo))
			ret = virtio_gpu_prepare_one(vgdev, bo, &wait);
	}
	if (!wait)
		return ret;

	/* Also after an error: those before it are queued. */
	virtio_gpu_notify(vgdev);
	return ret ?: virtio_gpu_wait_attached(vgdev, objs, nents);
}

/**
 * virtio_gpu_reclaim_prepare - populate and attach objects for a command
 * @objs: the objects, with their reservation locks held
 *
 * Evicted objects are swapped in and reattached, with one wait for all of them.
 * Unbacked ones stay so, see virtio_gpu_reclaim_require().
 * The locks are released on failure. An object that the device failed to attach
 * can be prepared again later. May sleep.
 *
 * Returns: 0; -ENODATA if an object is purged; -ENOMEM if the guest or the
 * device is out of memory; -ENODEV if the device is removed; -ERESTARTSYS if a
 * signal ended the wait for it; another negative error code if it failed to
 * attach an object.
 */
int virtio_gpu_reclaim_prepare(struct virtio_gpu_object_array *objs)
{
	int ret = virtio_gpu_prepare(objs->objs, objs->nents);

	if (ret)
		virtio_gpu_array_unlock_resv(objs);
	return ret;
}

/**
 * virtio_gpu_reclaim_begin_access - lock and prepare an object
 * @bo: the object
 *
 * For commands without a fence: the lock protects the object until
 * virtio_gpu_reclaim_end_access(), and the order of the queue after that. Holds
 * a reference until then.
 *
 * Returns: as virtio_gpu_reclaim_prepare().
 */
int virtio_gpu_reclaim_begin_access(struct virtio_gpu_object *bo)
{
	struct drm_gem_object *obj = &bo->base.base;
	int ret;

	if (!is_shrinkable(bo)) {
		drm_gem_object_get(obj);
		return 0;
	}

	ret = dma_resv_lock_interruptible(obj->resv, NULL);
	if (ret)
		return ret;
	ret = drm_gem_shmem_reclaim_require(&bo->reclaim.base) ?:
	      virtio_gpu_prepare(&obj, 1);
	if (ret) {
		dma_resv_unlock(obj->resv);
		return ret;
	}
	drm_gem_object_get(obj);
	return 0;
}

/**
 * virtio_gpu_reclaim_end_access - undo virtio_gpu_reclaim_begin_access()
 * @bo: the object
 */
void virtio_gpu_reclaim_end_access(struct virtio_gpu_object *bo)
{
	if (is_shrinkable(bo))
		dma_resv_unlock(bo->base.base.resv);
	drm_gem_object_put(&bo->base.base);
}

/* Prepare an object and exclude it from reclaim, reservation lock held. */
static int virtio_gpu_pin_locked(struct virtio_gpu_object *bo)
{
	struct drm_gem_object *obj = &bo->base.base;
	int ret;

	/* An unbacked object would get pages and not be attached. */
	ret = drm_gem_shmem_reclaim_require(&bo->reclaim.base);
	if (!ret)
		ret = virtio_gpu_prepare(&obj, 1);
	return ret ?: drm_gem_shmem_reclaim_pin(&bo->reclaim.base);
}

/**
 * virtio_gpu_reclaim_pin - &drm_gem_object_funcs.pin
 * @obj: the object
 *
 * Prepares the object and excludes it from reclaim, while another device is
 * attached to its dma-buf. May sleep.
 *
 * Returns: as virtio_gpu_reclaim_prepare().
 */
int virtio_gpu_reclaim_pin(struct drm_gem_object *obj)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	int ret;

	if (!is_shrinkable(bo))
		return drm_gem_shmem_object_pin(obj);

	ret = compat_lock_in_pin(obj->resv);
	if (ret)
		return ret;
	ret = virtio_gpu_pin_locked(bo);
	compat_unlock_in_pin(obj->resv);
	return ret;
}

/**
 * virtio_gpu_reclaim_unpin - &drm_gem_object_funcs.unpin
 * @obj: the object
 */
void virtio_gpu_reclaim_unpin(struct drm_gem_object *obj)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);

	if (!is_shrinkable(bo)) {
		drm_gem_shmem_object_unpin(obj);
		return;
	}

	compat_lock_in_unpin(obj->resv);
	drm_gem_shmem_reclaim_unpin(&bo->reclaim.base);
	compat_unlock_in_pin(obj->resv);
}

/**
 * virtio_gpu_reclaim_vmap - &drm_gem_object_funcs.vmap
 * @obj: the object
 * @map: set to where it is mapped
 *
 * The pages are pinned while they are mapped. May sleep.
 *
 * Returns: as virtio_gpu_reclaim_prepare().
 */
int virtio_gpu_reclaim_vmap(struct drm_gem_object *obj, struct iosys_map *map)
{
	int ret;

	ret = virtio_gpu_reclaim_pin(obj);
	if (ret)
		return ret;
	ret = drm_gem_shmem_object_vmap(obj, map);
	if (ret)
		virtio_gpu_reclaim_unpin(obj);
	return ret;
}

/**
 * virtio_gpu_reclaim_vunmap - &drm_gem_object_funcs.vunmap
 * @obj: the object
 * @map: where it is mapped
 */
void virtio_gpu_reclaim_vunmap(struct drm_gem_object *obj,
			       struct iosys_map *map)
{
	drm_gem_shmem_object_vunmap(obj, map);
	virtio_gpu_reclaim_unpin(obj);
}

/*
 * Keep the contents of an object for other users, and the pages as well if
 * @pin, with the reservation lock held. Returns as virtio_gpu_reclaim_prepare().
 */
static int virtio_gpu_reclaim_keep(struct virtio_gpu_object *bo, bool pin)
{
	return pin ? virtio_gpu_pin_locked(bo) :
		     drm_gem_shmem_reclaim_retain(&bo->reclaim.base);
}

/* Undo virtio_gpu_reclaim_keep(), with the lock held as well. */
static void virtio_gpu_reclaim_unkeep(struct virtio_gpu_object *bo, bool pin)
{
	if (pin)
		drm_gem_shmem_reclaim_unpin(&bo->reclaim.base);
	else
		drm_gem_shmem_reclaim_unretain(&bo->reclaim.base);
}

/**
 * virtio_gpu_reclaim_fb_init - keep an object while it is a framebuffer
 * @obj: the object
 *
 * A device that renders scans out its own storage. The pages are only pinned if
 * the device scans out those: on a 2D device, and of a guest blob.
 *
 * Returns: as virtio_gpu_reclaim_prepare().
 */
int virtio_gpu_reclaim_fb_init(struct drm_gem_object *obj)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);
	int ret;

	if (!is_shrinkable(bo))
		return 0;

	ret = dma_resv_lock_interruptible(obj->resv, NULL);
	if (ret)
		return ret;
	ret = virtio_gpu_reclaim_keep(bo, !bo->reclaim.has_host_image);
	dma_resv_unlock(obj->resv);
	return ret;
}

/**
 * virtio_gpu_reclaim_fb_fini - undo virtio_gpu_reclaim_fb_init()
 * @obj: the object
 */
void virtio_gpu_reclaim_fb_fini(struct drm_gem_object *obj)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);

	if (!is_shrinkable(bo))
		return;

	dma_resv_lock(obj->resv, NULL);
	virtio_gpu_reclaim_unkeep(bo, !bo->reclaim.has_host_image);
	dma_resv_unlock(obj->resv);
}

/**
 * virtio_gpu_reclaim_fb_destroy - &drm_framebuffer_funcs.destroy
 * @fb: the framebuffer
 */
void virtio_gpu_reclaim_fb_destroy(struct drm_framebuffer *fb)
{
	virtio_gpu_reclaim_fb_fini(fb->obj[0]);
	drm_gem_fb_destroy(fb);
}

/*
 * Whether the pages of an exported object are pinned for life: those of blobs
 * and on 2D devices, which are its image, and those of a resource with a UUID,
 * through which another virtio device can use it without attaching.
 */
static bool virtio_gpu_reclaim_export_pins(struct virtio_gpu_object *bo)
{
	struct virtio_gpu_device *vgdev = bo->base.base.dev->dev_private;

	return !bo->reclaim.has_host_image || vgdev->has_resource_assign_uuid;
}

static int virtio_gpu_export_keep(struct drm_gem_shmem_reclaim_object *sobj)
{
	struct virtio_gpu_object *bo = to_virtio_gpu_bo(sobj);

	return virtio_gpu_reclaim_keep(bo, virtio_gpu_reclaim_export_pins(bo));
}

static void virtio_gpu_export_unkeep(struct drm_gem_shmem_reclaim_object *sobj)
{
	struct virtio_gpu_object *bo = to_virtio_gpu_bo(sobj);

	virtio_gpu_reclaim_unkeep(bo, virtio_gpu_reclaim_export_pins(bo));
}

static const struct drm_gem_shmem_reclaim_export_funcs virtio_gpu_export_funcs = {
	.to_sobj = to_sobj,
	.keep = virtio_gpu_export_keep,
	.unkeep = virtio_gpu_export_unkeep,
};

/**
 * virtio_gpu_reclaim_handle_to_fd - &drm_driver.prime_handle_to_fd
 * @dev: the device
 * @file: the client
 * @handle: its handle of the object
 * @flags: flags of the dma-buf's file
 * @fd: set to the file descriptor
 *
 * The pages are pinned by who uses them, see virtio_gpu_reclaim_pin().
 *
 * Returns: as drm_gem_shmem_reclaim_handle_to_fd() or
 * virtio_gpu_reclaim_prepare().
 */
int virtio_gpu_reclaim_handle_to_fd(struct drm_device *dev,
				    struct drm_file *file, u32 handle, u32 flags,
				    int *fd)
{
	return drm_gem_shmem_reclaim_handle_to_fd(dev, file, handle, flags, fd,
						  &virtio_gpu_export_funcs);
}

/**
 * virtio_gpu_reclaim_export - &drm_gem_object_funcs.export
 * @obj: the object
 * @flags: flags of the dma-buf's file
 *
 * Mappings of the dma-buf lie in the device's address space, like those of the
 * device's file, so that reclaim clears both.
 *
 * Returns: the dma-buf or an error pointer.
 */
struct dma_buf *virtio_gpu_reclaim_export(struct drm_gem_object *obj, int flags)
{
	struct dma_buf *buf = virtgpu_gem_prime_export(obj, flags);

	if (!IS_ERR(buf))
		buf->file->f_mapping = obj->dev->anon_inode->i_mapping;
	return buf;
}

/**
 * virtio_gpu_reclaim_mmap - &drm_gem_object_funcs.mmap
 * @obj: the object
 * @vma: the mapping
 *
 * Returns: 0 or a negative error code.
 */
int virtio_gpu_reclaim_mmap(struct drm_gem_object *obj,
			    struct vm_area_struct *vma)
{
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);

	return drm_gem_shmem_reclaim_mmap(&bo->reclaim.base, &bo->base, vma);
}

static vm_fault_t virtio_gpu_reclaim_fault(struct vm_fault *vmf)
{
	struct drm_gem_object *obj = vmf->vma->vm_private_data;
	struct virtio_gpu_object *bo = gem_to_virtio_gpu_obj(obj);

	return drm_gem_shmem_reclaim_fault(&bo->reclaim.base, &bo->base, vmf);
}

const struct vm_operations_struct virtio_gpu_reclaim_vm_ops = {
	.fault = virtio_gpu_reclaim_fault,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};
