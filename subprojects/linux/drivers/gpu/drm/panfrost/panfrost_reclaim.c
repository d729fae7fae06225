// SPDX-License-Identifier: GPL-2.0
/*
 * panfrost reclaim: buffers in the GPU's page tables only while jobs need them.
 *
 * A job lists the buffers that it uses. Before it is queued they are populated
 * and mapped at their addresses; under memory pressure, idle ones are unmapped,
 * and keep their addresses. Not shrinkable are imported buffers, whose pages are
 * the exporter's, heaps, which the GPU populates by page faults, and the buffer
 * of the performance counters.
 *
 * Lock order: reservation lock, mappings.lock. Requests try mappings.lock only,
 * because page tables are allocated under it.
 */

#include <linux/dma-resv.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>
#include <drm/drm_gem.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_gem_shmem_reclaim.h>
#include <drm/drm_managed.h>
#include <drm/panfrost_drm.h>

#include "panfrost_device.h"
#include "panfrost_gem.h"
#include "panfrost_job.h"
#include "panfrost_mmu.h"
#include "panfrost_reclaim.h"

/* Concurrent scans: enough for kswapd and a few tasks in direct reclaim. */
#define NR_REQUESTS 4

struct panfrost_reclaim {
	struct drm_gem_shmem_reclaim base;
	struct drm_gem_shmem_reclaim_request requests[NR_REQUESTS];
};

static struct drm_gem_shmem_reclaim_object *to_sobj(struct drm_gem_object *obj)
{
	return &to_panfrost_bo(obj)->reclaim;
}

/*
 * Remove a buffer from the GPU's page tables. A job in the queue holds a fence,
 * but mappings of a file that closed its handle are on no list: the job that
 * holds the last reference to one counts until it is gone.
 */
static int panfrost_reclaim_unmap(struct panfrost_gem_object *bo)
{
	struct panfrost_gem_mapping *mapping;

	if (atomic_read(&bo->gpu_usecount))
		return -EBUSY;
	if (!mutex_trylock(&bo->mappings.lock))
		return -EAGAIN;
	list_for_each_entry(mapping, &bo->mappings.list, node) {
		if (mapping->active)
			panfrost_mmu_unmap(mapping);
	}
	mutex_unlock(&bo->mappings.lock);
	return 0;
}

static void panfrost_reclaim_submit(struct drm_gem_shmem_reclaim_request *req)
{
	unsigned int i;

	for (i = 0; i < req->count; i++) {
		struct drm_gem_shmem_reclaim_object *sobj = req->objs[i];
		struct panfrost_gem_object *bo =
			to_panfrost_bo(&sobj->shmem->base);

		drm_gem_shmem_reclaim_done(req, sobj,
					   panfrost_reclaim_unmap(bo));
	}
}

static const struct drm_gem_shmem_reclaim_ops panfrost_reclaim_ops = {
	.submit = panfrost_reclaim_submit,
};

/**
 * panfrost_reclaim_init - start reclaim of a device
 * @dev: the device, which is not registered yet
 *
 * Returns: 0 or a negative error code.
 */
int panfrost_reclaim_init(struct drm_device *dev)
{
	struct panfrost_device *pfdev = dev->dev_private;
	struct panfrost_reclaim *reclaim;
	int i, ret;

	/* Objects of open files refer to it after the device was removed. */
	reclaim = drmm_kzalloc(dev, sizeof(*reclaim), GFP_KERNEL);
	if (!reclaim)
		return -ENOMEM;
	ret = drm_gem_shmem_reclaim_init(&reclaim->base, dev,
					 &panfrost_reclaim_ops);
	if (ret)
		return ret;
	for (i = 0; i < NR_REQUESTS; i++)
		drm_gem_shmem_reclaim_add_request(&reclaim->base,
						  &reclaim->requests[i]);
	pfdev->reclaim = reclaim;
	return 0;
}

/**
 * panfrost_reclaim_fini - stop reclaim of a device
 * @dev: the device, whose page tables can still be accessed
 */
void panfrost_reclaim_fini(struct drm_device *dev)
{
	struct panfrost_device *pfdev = dev->dev_private;

	drm_gem_shmem_reclaim_fini(&pfdev->reclaim->base);
	drm_gem_shmem_reclaim_flush(&pfdev->reclaim->base);
}

/**
 * panfrost_reclaim_add - make a new buffer shrinkable if it can be
 * @bo: the buffer, which has no handle yet; freed on an error
 *
 * Returns: the buffer, or -ENOMEM if memory is unlikely to suffice at first use.
 */
struct panfrost_gem_object *
panfrost_reclaim_add(struct panfrost_gem_object *bo)
{
	struct panfrost_device *pfdev = to_panfrost_device(bo->base.base.dev);
	struct drm_gem_shmem_reclaim *reclaim = &pfdev->reclaim->base;

	if (bo->is_heap)
		return bo;
	if (!drm_gem_shmem_reclaim_may_add(reclaim, bo->base.base.size)) {
		drm_gem_object_put(&bo->base.base);
		return ERR_PTR(-ENOMEM);
	}
	/* Attachments and vmaps do not last. */
	bo->reclaim.rarely_pinned = true;
	drm_gem_shmem_reclaim_add(reclaim, &bo->reclaim, &bo->base);
	return bo;
}

/**
 * panfrost_reclaim_remove - remove a buffer that is being freed
 * @bo: the buffer, shrinkable or not
 */
void panfrost_reclaim_remove(struct panfrost_gem_object *bo)
{
	drm_gem_shmem_reclaim_remove(&bo->reclaim);
}

/**
 * panfrost_reclaim_is_shrinkable - whether a buffer is mapped by jobs only
 * @bo: the buffer
 *
 * Returns: false if it is to be mapped as long as it has handles.
 */
bool panfrost_reclaim_is_shrinkable(struct panfrost_gem_object *bo)
{
	return drm_gem_shmem_reclaim_is_shrinkable(&bo->reclaim);
}

/**
 * panfrost_reclaim_is_dontneed - whether a buffer is marked as DONTNEED
 * @bo: the buffer
 *
 * A snapshot; for statistics.
 *
 * Returns: that.
 */
bool panfrost_reclaim_is_dontneed(struct panfrost_gem_object *bo)
{
	return READ_ONCE(bo->reclaim.dontneed);
}

/**
 * panfrost_reclaim_get_pages - get the pages of a buffer to map
 * @bo: the buffer; if it is shrinkable, it is populated
 *
 * Returns: its pages, mapped for DMA, or an error pointer.
 */
struct sg_table *panfrost_reclaim_get_pages(struct panfrost_gem_object *bo)
{
	if (panfrost_reclaim_is_shrinkable(bo) && bo->base.sgt)
		return bo->base.sgt;
	return drm_gem_shmem_get_pages_sgt(&bo->base);
}

/**
 * panfrost_reclaim_prepare - populate and map the buffers of a job
 * @job: the job; the reservation locks of its buffers are held
 *
 * They stay mapped until the fence that is added to them signals. May sleep.
 *
 * Returns: 0; -ENODATA if a buffer is purged; -ERESTARTSYS; another negative
 * error code if one could not be populated.
 */
int panfrost_reclaim_prepare(struct panfrost_job *job)
{
	u32 i;
	int ret = 0;

	for (i = 0; i < job->bo_count && !ret; i++) {
		struct panfrost_gem_mapping *mapping = job->mappings[i];
		struct panfrost_gem_object *bo = mapping->obj;

		if (!panfrost_reclaim_is_shrinkable(bo))
			continue;
		ret = drm_gem_shmem_reclaim_prepare(&bo->reclaim);
		if (ret)
			break;
		mutex_lock(&bo->mappings.lock);
		if (!mapping->active)
			ret = panfrost_mmu_map(mapping);
		mutex_unlock(&bo->mappings.lock);
	}
	return ret;
}

/**
 * panfrost_reclaim_madvise - mark a buffer as DONTNEED or WILLNEED
 * @bo: the buffer, with its reservation lock held
 * @args: the advice in; whether the contents are retained out
 *
 * As without reclaim, a buffer that cannot be purged is left as it is, and that
 * is no error.
 *
 * Returns: 0 or -ERESTARTSYS.
 */
int panfrost_reclaim_madvise(struct panfrost_gem_object *bo,
			     struct drm_panfrost_madvise *args)
{
	bool dontneed = args->madv == PANFROST_MADV_DONTNEED;
	bool retained;
	int ret;

	ret = drm_gem_shmem_reclaim_madvise(&bo->reclaim, dontneed, &retained);
	args->retained = retained;
	return ret == -EBUSY || ret == -EOPNOTSUPP ? 0 : ret;
}

/**
 * panfrost_reclaim_pin - &drm_gem_object_funcs.pin
 * @obj: the buffer
 *
 * Returns: 0 or a negative error code.
 */
int panfrost_reclaim_pin(struct drm_gem_object *obj)
{
	return drm_gem_shmem_reclaim_gem_pin(to_sobj(obj),
					     to_drm_gem_shmem_obj(obj));
}

/**
 * panfrost_reclaim_unpin - &drm_gem_object_funcs.unpin
 * @obj: the buffer
 */
void panfrost_reclaim_unpin(struct drm_gem_object *obj)
{
	drm_gem_shmem_reclaim_gem_unpin(to_sobj(obj),
					to_drm_gem_shmem_obj(obj));
}

/**
 * panfrost_reclaim_vmap - &drm_gem_object_funcs.vmap
 * @obj: the buffer
 * @map: set to where it is mapped
 *
 * Returns: 0 or a negative error code.
 */
int panfrost_reclaim_vmap(struct drm_gem_object *obj, struct iosys_map *map)
{
	return drm_gem_shmem_reclaim_gem_vmap(to_sobj(obj),
					      to_drm_gem_shmem_obj(obj), map);
}

/**
 * panfrost_reclaim_vunmap - &drm_gem_object_funcs.vunmap
 * @obj: the buffer
 * @map: where it is mapped
 */
void panfrost_reclaim_vunmap(struct drm_gem_object *obj, struct iosys_map *map)
{
	drm_gem_shmem_reclaim_gem_vunmap(to_sobj(obj),
					 to_drm_gem_shmem_obj(obj), map);
}

static vm_fault_t panfrost_reclaim_fault(struct vm_fault *vmf)
{
	struct drm_gem_object *obj = vmf->vma->vm_private_data;

	return drm_gem_shmem_reclaim_fault(to_sobj(obj),
					   to_drm_gem_shmem_obj(obj), vmf);
}

static const struct vm_operations_struct panfrost_reclaim_vm_ops = {
	.fault = panfrost_reclaim_fault,
	.open = drm_gem_vm_open,
	.close = drm_gem_vm_close,
};

/**
 * panfrost_reclaim_mmap - &drm_gem_object_funcs.mmap
 * @obj: the buffer
 * @vma: the mapping
 *
 * Returns: 0 or a negative error code.
 */
int panfrost_reclaim_mmap(struct drm_gem_object *obj,
			  struct vm_area_struct *vma)
{
	struct drm_gem_shmem_reclaim_object *sobj = to_sobj(obj);

	if (!drm_gem_shmem_reclaim_is_shrinkable(sobj))
		return drm_gem_shmem_object_mmap(obj, vma);

	/* Those of the object are for all other buffers. */
	vma->vm_ops = &panfrost_reclaim_vm_ops;
	return drm_gem_shmem_reclaim_mmap(sobj, to_drm_gem_shmem_obj(obj),
					  vma);
}

static const struct drm_gem_shmem_reclaim_export_funcs panfrost_export_funcs = {
	.to_sobj = to_sobj,
	.keep = drm_gem_shmem_reclaim_retain,
	.unkeep = drm_gem_shmem_reclaim_unretain,
};

/**
 * panfrost_reclaim_handle_to_fd - &drm_driver.prime_handle_to_fd
 * @dev: the device
 * @file: the client
 * @handle: its handle of the buffer
 * @flags: flags of the dma-buf's file
 * @fd: set to the file descriptor
 *
 * Returns: as drm_gem_shmem_reclaim_handle_to_fd().
 */
int panfrost_reclaim_handle_to_fd(struct drm_device *dev,
				  struct drm_file *file, u32 handle, u32 flags,
				  int *fd)
{
	return drm_gem_shmem_reclaim_handle_to_fd(dev, file, handle, flags, fd,
						  &panfrost_export_funcs);
}
