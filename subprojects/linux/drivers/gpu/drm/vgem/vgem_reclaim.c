// SPDX-License-Identifier: MIT
/*
 * vgem reclaim: the least that a driver has to do for drm_gem_shmem_reclaim.
 *
 * There is no device to ask: who uses a buffer adds a fence to its reservation
 * object or attaches to its dma-buf, and reclaim knows both. Imported buffers
 * are not shrinkable: their pages are the exporter's.
 */

#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include <drm/drm_debugfs.h>
#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_gem_shmem_reclaim.h>
#include <drm/drm_managed.h>

#include <uapi/drm/drm_mode.h>

#include "vgem_reclaim.h"

/* Concurrent scans: enough for kswapd and a few tasks in direct reclaim. */
#define NR_REQUESTS 4

struct vgem_reclaim {
	struct drm_gem_shmem_reclaim base;
	struct drm_gem_shmem_reclaim_request requests[NR_REQUESTS];
};

struct vgem_object {
	struct drm_gem_shmem_object base;
	struct drm_gem_shmem_reclaim_object reclaim;
};

static struct vgem_object *to_vgem_object(struct drm_gem_object *obj)
{
	return container_of(to_drm_gem_shmem_obj(obj), struct vgem_object,
			    base);
}

static struct drm_gem_shmem_reclaim_object *to_sobj(struct drm_gem_object *obj)
{
	return &to_vgem_object(obj)->reclaim;
}

static void vgem_reclaim_submit(struct drm_gem_shmem_reclaim_request *req)
{
	unsigned int i;

	for (i = 0; i < req->count; i++)
		drm_gem_shmem_reclaim_done(req, req->objs[i], 0);
}

static const struct drm_gem_shmem_reclaim_ops vgem_reclaim_ops = {
	.submit = vgem_reclaim_submit,
};

static void vgem_reclaim_fini(struct drm_device *dev, void *data)
{
	struct vgem_reclaim *reclaim = data;

	drm_gem_shmem_reclaim_fini(&reclaim->base);
	drm_gem_shmem_reclaim_flush(&reclaim->base);
}

/**
 * vgem_reclaim_init - start reclaim
 * @dev: the device, which is not registered yet
 *
 * It ends when the device is released.
 *
 * Returns: 0 or a negative error code.
 */
int vgem_reclaim_init(struct drm_device *dev)
{
	struct vgem_reclaim *reclaim;
	int i, ret;

	reclaim = drmm_kzalloc(dev, sizeof(*reclaim), GFP_KERNEL);
	if (!reclaim)
		return -ENOMEM;
	ret = drm_gem_shmem_reclaim_init(&reclaim->base, dev,
					 &vgem_reclaim_ops);
	if (ret)
		return ret;
	/* The pages are only mapped for DMA because the helpers do that. */
	reclaim->base.no_dma_sync = true;
	for (i = 0; i < NR_REQUESTS; i++)
		drm_gem_shmem_reclaim_add_request(&reclaim->base,
						  &reclaim->requests[i]);
	dev->dev_private = reclaim;
	return drmm_add_action_or_reset(dev, vgem_reclaim_fini, reclaim);
}

static void vgem_reclaim_free(struct drm_gem_object *obj)
{
	drm_gem_shmem_reclaim_remove(to_sobj(obj));
	drm_gem_shmem_object_free(obj);
}

static int vgem_reclaim_pin(struct drm_gem_object *obj)
{
	return drm_gem_shmem_reclaim_gem_pin(to_sobj(obj),
					     to_drm_gem_shmem_obj(obj));
}

static void vgem_reclaim_unpin(struct drm_gem_object *obj)
{
	drm_gem_shmem_reclaim_gem_unpin(to_sobj(obj),
					to_drm_gem_shmem_obj(obj));
}

static int vgem_reclaim_vmap(struct drm_gem_object *obj, struct iosys_map *map)
{
	return drm_gem_shmem_reclaim_gem_vmap(to_sobj(obj),
					      to_drm_gem_shmem_obj(obj), map);
}

static void vgem_reclaim_vunmap(struct drm_gem_object *obj,
				struct iosys_map *map)
{
	drm_gem_shmem_reclaim_gem_vunmap(to_sobj(obj),
					 to_drm_gem_shmem_obj(obj), map);
}

static vm_fault_t vgem_reclaim_fault(struct vm_fault *vmf)
{
	struct drm_gem_object *obj = vmf->vma->vm_private_data;

	return drm_gem_shmem_reclaim_fault(to_sobj(obj),
					   to_drm_gem_shmem_obj(obj), vmf);
}

static const struct vm_operations_struct vgem_reclaim_vm_ops = {
	.fault = vgem_reclaim_fault,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

static int vgem_reclaim_mmap(struct drm_gem_object *obj,
			     struct vm_area_struct *vma)
{
	struct drm_gem_shmem_reclaim_object *sobj = to_sobj(obj);

	if (!drm_gem_shmem_reclaim_is_shrinkable(sobj))
		return drm_gem_shmem_object_mmap(obj, vma);

	return drm_gem_shmem_reclaim_mmap(sobj, to_drm_gem_shmem_obj(obj),
					  vma);
}

static const struct drm_gem_object_funcs vgem_reclaim_funcs = {
	.free = vgem_reclaim_free,
	.print_info = drm_gem_shmem_object_print_info,
	.pin = vgem_reclaim_pin,
	.unpin = vgem_reclaim_unpin,
	.get_sg_table = drm_gem_shmem_object_get_sg_table,
	.vmap = vgem_reclaim_vmap,
	.vunmap = vgem_reclaim_vunmap,
	.mmap = vgem_reclaim_mmap,
	.vm_ops = &vgem_reclaim_vm_ops,
};

/**
 * vgem_reclaim_alloc - allocate an object, for &drm_driver.gem_create_object
 *
 * Returns: the object, not shrinkable yet, or NULL.
 */
struct drm_gem_shmem_object *vgem_reclaim_alloc(void)
{
	struct vgem_object *bo = kzalloc(sizeof(*bo), GFP_KERNEL);

	if (!bo)
		return NULL;
	bo->base.base.funcs = &vgem_reclaim_funcs;
	return &bo->base;
}

/**
 * vgem_reclaim_dumb_create - &drm_driver.dumb_create
 * @file: the client
 * @dev: the device
 * @args: width, height and bits per pixel in, all else out
 *
 * The buffer gets its pages at first use.
 *
 * Returns: 0; -ENOMEM also if memory is unlikely to suffice at first use;
 * another negative error code.
 */
int vgem_reclaim_dumb_create(struct drm_file *file, struct drm_device *dev,
			     struct drm_mode_create_dumb *args)
{
	struct vgem_reclaim *reclaim = dev->dev_private;
	struct drm_gem_shmem_object *shmem;
	struct drm_gem_object *obj;
	int ret;

	/* The core has checked for overflows. */
	args->pitch = DIV_ROUND_UP(args->width * args->bpp, BITS_PER_BYTE);
	args->size = PAGE_ALIGN((u64)args->pitch * args->height);
	if (!drm_gem_shmem_reclaim_may_add(&reclaim->base, args->size))
		return -ENOMEM;

	shmem = drm_gem_shmem_create(dev, args->size);
	if (IS_ERR(shmem))
		return PTR_ERR(shmem);
	obj = &shmem->base;
	/* Attachments and vmaps do not last. */
	to_sobj(obj)->rarely_pinned = true;
	drm_gem_shmem_reclaim_add(&reclaim->base, to_sobj(obj), shmem);
	ret = drm_gem_handle_create(file, obj, &args->handle);
	drm_gem_object_put(obj);
	return ret;
}

static const struct drm_gem_shmem_reclaim_export_funcs vgem_export_funcs = {
	.to_sobj = to_sobj,
	.keep = drm_gem_shmem_reclaim_retain,
	.unkeep = drm_gem_shmem_reclaim_unretain,
};

/**
 * vgem_reclaim_handle_to_fd - &drm_driver.prime_handle_to_fd
 * @dev: the device
 * @file: the client
 * @handle: its handle of the object
 * @flags: flags of the dma-buf's file
 * @fd: set to the file descriptor
 *
 * Returns: as drm_gem_shmem_reclaim_handle_to_fd().
 */
int vgem_reclaim_handle_to_fd(struct drm_device *dev, struct drm_file *file,
			      u32 handle, u32 flags, int *fd)
{
	return drm_gem_shmem_reclaim_handle_to_fd(dev, file, handle, flags, fd,
						  &vgem_export_funcs);
}

/**
 * vgem_madvise_ioctl - DRM_IOCTL_VGEM_MADVISE
 * @dev: the device
 * @data: struct drm_vgem_madvise
 * @file: the client
 *
 * Returns: 0 or a negative error code, see struct drm_vgem_madvise.
 */
int vgem_madvise_ioctl(struct drm_device *dev, void *data,
		       struct drm_file *file)
{
	struct drm_vgem_madvise *args = data;

	if (args->pad)
		return -EINVAL;
	if (args->madv != VGEM_MADV_WILLNEED &&
	    args->madv != VGEM_MADV_DONTNEED)
		return -EINVAL;

	return drm_gem_shmem_reclaim_madvise_handle(file, args->handle,
						    args->madv ==
						    VGEM_MADV_DONTNEED,
						    &args->retained, to_sobj);
}

static int vgem_reclaim_debugfs(struct seq_file *m, void *data)
{
	struct drm_info_node *node = m->private;
	struct vgem_reclaim *reclaim = node->minor->dev->dev_private;
	struct drm_gem_shmem_reclaim_stats stats;

	drm_gem_shmem_reclaim_get_stats(&reclaim->base, &stats);
	drm_gem_shmem_reclaim_show_stats(m, &stats);
	return 0;
}

static const struct drm_info_list vgem_reclaim_debugfs_list[] = {
	{ "vgem-reclaim", vgem_reclaim_debugfs },
};

/**
 * vgem_reclaim_debugfs_init - &drm_driver.debugfs_init
 * @minor: the DRM minor
 */
void vgem_reclaim_debugfs_init(struct drm_minor *minor)
{
	struct vgem_reclaim *reclaim = minor->dev->dev_private;

	drm_debugfs_create_files(vgem_reclaim_debugfs_list,
				 ARRAY_SIZE(vgem_reclaim_debugfs_list),
				 minor->debugfs_root, minor);
	drm_gem_shmem_reclaim_debugfs_init(&reclaim->base, "vgem-shrink",
					   minor->debugfs_root);
}
