// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim of drm_gem_shmem objects: exports, and what keeps an object's pages or
 * contents for others.
 *
 * Callbacks for drivers whose device needs nothing done beforehand. Others call
 * drm_gem_shmem_reclaim_pin() and drm_gem_shmem_reclaim_retain() themselves.
 *
 * drm_gem_prime_export() puts mappings of a dma-buf into the address space of
 * the DRM device, where reclaim clears them. Drivers that export otherwise must
 * do the same.
 */

#include <drm/drm_device.h>
#include <drm/drm_prime.h>

#include "drm_gem_shmem_reclaim_internal.h"

/**
 * drm_gem_shmem_reclaim_gem_pin - &drm_gem_object_funcs.pin
 * @sobj: the shmem object, shrinkable or not
 * @shmem: the object
 *
 * Called while another device is attached to the dma-buf of the object. May
 * sleep.
 *
 * Returns: as drm_gem_shmem_reclaim_pin(), or -ENOMEM, see
 * drm_gem_shmem_reclaim_require().
 */
int drm_gem_shmem_reclaim_gem_pin(struct drm_gem_shmem_reclaim_object *sobj,
				  struct drm_gem_shmem_object *shmem)
{
	struct dma_resv *resv = shmem->base.resv;
	int ret;

	if (!drm_gem_shmem_reclaim_is_shrinkable(sobj))
		return drm_gem_shmem_object_pin(&shmem->base);

	ret = compat_lock_in_pin(resv);
	if (ret)
		return ret;
	ret = drm_gem_shmem_reclaim_require(sobj) ?:
	      drm_gem_shmem_reclaim_pin(sobj);
	compat_unlock_in_pin(resv);
	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_gem_pin);

/**
 * drm_gem_shmem_reclaim_gem_unpin - &drm_gem_object_funcs.unpin
 * @sobj: the shmem object, shrinkable or not
 * @shmem: the object
 */
void drm_gem_shmem_reclaim_gem_unpin(struct drm_gem_shmem_reclaim_object *sobj,
				     struct drm_gem_shmem_object *shmem)
{
	struct dma_resv *resv = shmem->base.resv;

	if (!drm_gem_shmem_reclaim_is_shrinkable(sobj)) {
		drm_gem_shmem_object_unpin(&shmem->base);
		return;
	}

	compat_lock_in_unpin(resv);
	drm_gem_shmem_reclaim_unpin(sobj);
	compat_unlock_in_pin(resv);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_gem_unpin);

/**
 * drm_gem_shmem_reclaim_gem_vmap - &drm_gem_object_funcs.vmap
 * @sobj: the shmem object, shrinkable or not
 * @shmem: the object
 * @map: set to where it is mapped
 *
 * The pages are pinned while they are mapped. May sleep.
 *
 * Returns: as drm_gem_shmem_reclaim_gem_pin(), or another negative error code.
 */
int drm_gem_shmem_reclaim_gem_vmap(struct drm_gem_shmem_reclaim_object *sobj,
				   struct drm_gem_shmem_object *shmem,
				   struct iosys_map *map)
{
	int ret;

	if (!drm_gem_shmem_reclaim_is_shrinkable(sobj))
		return drm_gem_shmem_object_vmap(&shmem->base, map);

	ret = drm_gem_shmem_reclaim_gem_pin(sobj, shmem);
	if (ret)
		return ret;
	ret = drm_gem_shmem_object_vmap(&shmem->base, map);
	if (ret)
		drm_gem_shmem_reclaim_gem_unpin(sobj, shmem);
	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_gem_vmap);

/**
 * drm_gem_shmem_reclaim_gem_vunmap - &drm_gem_object_funcs.vunmap
 * @sobj: the shmem object, shrinkable or not
 * @shmem: the object
 * @map: where it is mapped
 */
void drm_gem_shmem_reclaim_gem_vunmap(struct drm_gem_shmem_reclaim_object *sobj,
				      struct drm_gem_shmem_object *shmem,
				      struct iosys_map *map)
{
	drm_gem_shmem_object_vunmap(&shmem->base, map);
	if (drm_gem_shmem_reclaim_is_shrinkable(sobj))
		drm_gem_shmem_reclaim_gem_unpin(sobj, shmem);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_gem_vunmap);

static int reclaim_begin_export(struct drm_gem_shmem_reclaim_object *sobj,
				const struct drm_gem_shmem_reclaim_export_funcs *funcs)
{
	struct dma_resv *resv;
	int ret;

	if (!drm_gem_shmem_reclaim_is_shrinkable(sobj))
		return 0;

	resv = to_gem(sobj)->resv;
	ret = dma_resv_lock_interruptible(resv, NULL);
	if (ret)
		return ret;
	ret = funcs->keep(sobj);
	dma_resv_unlock(resv);
	return ret;
}

/* Keep the contents after an export that succeeded, unless they are already. */
static void reclaim_end_export(struct drm_gem_shmem_reclaim_object *sobj,
			       const struct drm_gem_shmem_reclaim_export_funcs *funcs,
			       bool ok)
{
	struct dma_resv *resv;

	if (!drm_gem_shmem_reclaim_is_shrinkable(sobj))
		return;

	resv = to_gem(sobj)->resv;
	dma_resv_lock(resv, NULL);
	if (ok && !sobj->exported)
		sobj->exported = true;
	else
		funcs->unkeep(sobj);
	dma_resv_unlock(resv);
}

/**
 * drm_gem_shmem_reclaim_handle_to_fd - &drm_driver.prime_handle_to_fd
 * @dev: the device
 * @file: the client
 * @handle: its handle of the object
 * @flags: flags of the dma-buf's file
 * @fd: set to the file descriptor
 * @funcs: the driver's functions
 *
 * Importers expect the contents to stay, and there is no notification when the
 * last of them is done, so the object is kept for life. Not done in
 * &drm_gem_object_funcs.export, which runs under object_name_lock: all clients
 * need that, and waiting for a pending operation takes time.
 *
 * Returns: 0; -ENOENT if there is no such handle; -ENODATA if the object is
 * purged; another negative error code. Nothing has changed after an error.
 */
int drm_gem_shmem_reclaim_handle_to_fd(struct drm_device *dev,
				       struct drm_file *file, u32 handle,
				       u32 flags, int *fd,
				       const struct drm_gem_shmem_reclaim_export_funcs *funcs)
{
	struct drm_gem_object *obj = drm_gem_object_lookup(file, handle);
	struct drm_gem_shmem_reclaim_object *sobj;
	int ret;

	if (!obj)
		return -ENOENT;
	sobj = funcs->to_sobj(obj);
	ret = reclaim_begin_export(sobj, funcs);
	if (!ret) {
		ret = drm_gem_prime_handle_to_fd(dev, file, handle, flags, fd);
		reclaim_end_export(sobj, funcs, !ret);
	}
	drm_gem_object_put(obj);
	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_handle_to_fd);
