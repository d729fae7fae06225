// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim of drm_gem_shmem objects: state, pages and use of an object.
 */

#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/iommu.h>
#include <linux/scatterlist.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_vma_manager.h>

#include "drm_gem_shmem_reclaim_internal.h"

#define CREATE_TRACE_POINTS
#include "drm_gem_shmem_reclaim_trace.h"

static enum drm_gem_shmem_reclaim_state
reclaim_state(struct drm_gem_shmem_reclaim_object *sobj)
{
	if (sobj->pin_count)
		return DRM_GEM_SHMEM_RECLAIM_PINNED;
	if (sobj->purged)
		return DRM_GEM_SHMEM_RECLAIM_PURGED;
	if (reclaim_is_purgeable(sobj) &&
	    (sobj->resident || sobj->evicted || sobj->unbacked))
		return DRM_GEM_SHMEM_RECLAIM_DONTNEED;
	if (sobj->resident)
		return sobj->bounced ? DRM_GEM_SHMEM_RECLAIM_PINNED :
				       DRM_GEM_SHMEM_RECLAIM_WILLNEED;
	if (sobj->evicted)
		return DRM_GEM_SHMEM_RECLAIM_EVICTED;
	if (sobj->unbacked)
		return DRM_GEM_SHMEM_RECLAIM_UNBACKED;
	return DRM_GEM_SHMEM_RECLAIM_UNPOPULATED;
}

static void reclaim_lru_del_locked(struct drm_gem_shmem_reclaim_object *sobj)
{
	struct drm_gem_shmem_reclaim *reclaim = sobj->reclaim;

	lockdep_assert_held(&reclaim->lru_lock);

	list_del_init(&sobj->lru_node);
	reclaim->stats.objects[sobj->state]--;
	reclaim->stats.bytes[sobj->state] -= to_gem(sobj)->size;
	if (sobj->counted) {
		reclaim->stats.purgeable -= to_gem(sobj)->size;
		drm_gem_shmem_reclaim_memcg_del(sobj);
	}
	sobj->counted = false;
}

/**
 * drm_gem_shmem_reclaim_update - move an object to the LRU list of its state
 * @sobj: the shmem object; added at the tail, as the most recently used one
 *
 * The only place where objects change lists. To be called with the reservation
 * lock held, after any change to what reclaim_state() evaluates and to record
 * that an object was used.
 */
void drm_gem_shmem_reclaim_update(struct drm_gem_shmem_reclaim_object *sobj)
{
	struct drm_gem_shmem_reclaim *reclaim = sobj->reclaim;

	dma_resv_assert_held(to_gem(sobj)->resv);

	spin_lock(&reclaim->lru_lock);
	reclaim_lru_del_locked(sobj);
	sobj->state = reclaim_state(sobj);
	reclaim->stats.objects[sobj->state]++;
	reclaim->stats.bytes[sobj->state] += to_gem(sobj)->size;
	sobj->counted = sobj->resident &&
			sobj->state == DRM_GEM_SHMEM_RECLAIM_DONTNEED;
	if (sobj->counted) {
		reclaim->stats.purgeable += to_gem(sobj)->size;
		drm_gem_shmem_reclaim_memcg_add(sobj);
	}
	list_add_tail(&sobj->lru_node, &reclaim->lru[sobj->state]);
	sobj->last_used = jiffies;
	if (sobj->state == DRM_GEM_SHMEM_RECLAIM_WILLNEED)
		drm_gem_shmem_reclaim_idle_start(reclaim);
	spin_unlock(&reclaim->lru_lock);
}

static void reclaim_set_resident(struct drm_gem_shmem_reclaim_object *sobj,
				 bool resident)
{
	struct drm_gem_shmem_reclaim *reclaim = sobj->reclaim;

	sobj->resident = resident;
	spin_lock(&reclaim->lru_lock);
	if (resident)
		reclaim->stats.resident += to_gem(sobj)->size;
	else
		reclaim->stats.resident -= to_gem(sobj)->size;
	spin_unlock(&reclaim->lru_lock);
}

/* Discard the contents, in memory and in swap. */
static void reclaim_truncate(struct drm_gem_shmem_reclaim_object *sobj)
{
	shmem_truncate_range(file_inode(to_gem(sobj)->filp), 0, (loff_t)-1);
}

/*
 * With bounce buffers (swiotlb) an unmap copies the device's version of every
 * page, which may be older than what the CPU has written since. Objects like
 * this are not evicted, and the contents of one that is purged do not matter.
 */
static unsigned long
reclaim_unmap_attrs(struct drm_gem_shmem_reclaim_object *sobj)
{
	return sobj->bounced || sobj->reclaim->no_dma_sync ?
	       DMA_ATTR_SKIP_CPU_SYNC : 0;
}

/*
 * Behind an IOMMU dma_need_sync() only says that there may be something to do.
 * An IOMMU uses bounce buffers for all pages of a device or for none.
 */
static bool reclaim_is_translated(struct device *dev, struct scatterlist *sg)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);

	return domain && dev_is_dma_coherent(dev) &&
	       iommu_iova_to_phys(domain, sg_dma_address(sg)) == sg_phys(sg);
}

static bool reclaim_is_bounced(struct drm_gem_shmem_reclaim_object *sobj)
{
	struct device *dev = to_gem(sobj)->dev->dev;
	struct sg_table *sgt = sobj->shmem->sgt;
	struct scatterlist *sg;
	int i;

	if (!sgt || sobj->reclaim->no_dma_sync ||
	    reclaim_is_translated(dev, sgt->sgl))
		return false;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		if (dma_need_sync(dev, sg_dma_address(sg)))
			return true;
	}
	return false;
}

/* Nothing is mapped for DMA after the device was removed. */
static int reclaim_get_pages(struct drm_gem_shmem_object *shmem)
{
	int idx, ret;

	if (!drm_dev_enter(shmem->base.dev, &idx))
		return compat_get_pages(shmem);
	ret = PTR_ERR_OR_ZERO(compat_get_pages_sgt(shmem));
	drm_dev_exit(idx);
	return ret;
}

/**
 * drm_gem_shmem_reclaim_populate - allocate or swap in an object's pages
 * @sobj: the shmem object
 *
 * To be called with the reservation lock held. The caller must call
 * drm_gem_shmem_reclaim_update() afterwards.
 *
 * Returns: as drm_gem_shmem_reclaim_prepare().
 */
int drm_gem_shmem_reclaim_populate(struct drm_gem_shmem_reclaim_object *sobj)
{
	int ret;

	dma_resv_assert_held(to_gem(sobj)->resv);

	if (sobj->resident)
		return 0;
	if (sobj->purged)
		return -ENODATA;

	ret = reclaim_get_pages(sobj->shmem);
	if (ret) {
		/* Free the pages that could be allocated. */
		if (!sobj->evicted)
			reclaim_truncate(sobj);
		return ret;
	}

	if (sobj->evicted) {
		sobj->evicted = false;
		reclaim_count(sobj->reclaim, &sobj->reclaim->stats.refaults);
		trace_drm_gem_shmem_reclaim_restore(to_gem(sobj),
						    to_gem(sobj)->size >>
						    PAGE_SHIFT);
	}
	drm_gem_shmem_reclaim_memcg_populated(sobj);
	sobj->bounced = reclaim_is_bounced(sobj);
	reclaim_set_resident(sobj, true);
	return 0;
}

/* Returns the number of pages that became swappable. */
static unsigned long
reclaim_put_pages(struct drm_gem_shmem_reclaim_object *sobj)
{
	struct drm_gem_shmem_object *shmem = sobj->shmem;
	struct drm_gem_object *obj = &shmem->base;

	dma_resv_assert_held(obj->resv);

	if (!sobj->resident)
		return 0;

	/* No CPU write can follow once the page tables are clear. */
	drm_vma_node_unmap(&obj->vma_node, obj->dev->anon_inode->i_mapping);

	if (shmem->sgt) {
		dma_unmap_sgtable(obj->dev->dev, shmem->sgt, DMA_BIDIRECTIONAL,
				  reclaim_unmap_attrs(sobj));
		sg_free_table(shmem->sgt);
		kfree(shmem->sgt);
		shmem->sgt = NULL;
	}
	compat_put_pages(shmem);

	reclaim_set_resident(sobj, false);
	return obj->size >> PAGE_SHIFT;
}

/**
 * drm_gem_shmem_reclaim_complete - second half of an operation
 * @sobj: the shmem object, whose operation the device has completed
 * @keep: cancel an eviction, because the pages are needed
 *
 * To be called with the reservation lock and pages_lock held.
 *
 * Returns: the number of pages freed or made swappable.
 */
unsigned long
drm_gem_shmem_reclaim_complete(struct drm_gem_shmem_reclaim_object *sobj,
			       bool keep)
{
	enum drm_gem_shmem_reclaim_op op = sobj->op;
	unsigned long pages = 0;

	dma_resv_assert_held(to_gem(sobj)->resv);

	sobj->op = DRM_GEM_SHMEM_RECLAIM_NONE;

	if (sobj->result == -EOPNOTSUPP && op == DRM_GEM_SHMEM_RECLAIM_PURGE) {
		/* It keeps its contents, and is evicted like any other. */
		sobj->unpurgeable = true;
		drm_gem_shmem_reclaim_update(sobj);
		return 0;
	}
	if (sobj->result) {
		if (sobj->result != -EAGAIN)
			reclaim_count(sobj->reclaim,
				      &sobj->reclaim->stats.busy);
		return 0;
	}

	switch (op) {
	case DRM_GEM_SHMEM_RECLAIM_PURGE:
		reclaim_put_pages(sobj);
		/* Swapped pages do not count as freed memory. */
		pages = READ_ONCE(to_gem(sobj)->filp->f_mapping->nrpages);
		reclaim_truncate(sobj);
		sobj->evicted = false;
		sobj->purged = true;
		reclaim_count(sobj->reclaim, &sobj->reclaim->stats.purges);
		trace_drm_gem_shmem_reclaim_purge(to_gem(sobj), pages);
		break;
	case DRM_GEM_SHMEM_RECLAIM_EVICT:
		if (keep)
			break;
		pages = reclaim_put_pages(sobj);
		sobj->evicted = true;
		reclaim_count(sobj->reclaim, &sobj->reclaim->stats.evictions);
		trace_drm_gem_shmem_reclaim_evict(to_gem(sobj), pages);
		break;
	case DRM_GEM_SHMEM_RECLAIM_NONE:
		break;
	}

	drm_gem_shmem_reclaim_update(sobj);
	return pages;
}

static bool reclaim_op_completed(void *arg)
{
	return reclaim_completed(arg);
}

/*
 * drm_gem_shmem_reclaim_finish_pending - finish a pending operation
 *
 * For tasks that need the object: wait until the device has completed the
 * operation, if any, and run its second half. A pending eviction is cancelled,
 * a pending purge is not. A signal ends the wait.
 */
static int
drm_gem_shmem_reclaim_finish_pending(struct drm_gem_shmem_reclaim_object *sobj)
{
	int ret;

	dma_resv_assert_held(to_gem(sobj)->resv);

	if (sobj->op == DRM_GEM_SHMEM_RECLAIM_NONE)
		return 0;

	ret = drm_gem_shmem_reclaim_wait_interruptible(sobj->reclaim,
						       reclaim_op_completed,
						       sobj);
	if (ret)
		return ret;

	compat_lock_pages(sobj->shmem);
	drm_gem_shmem_reclaim_complete(sobj, true);
	compat_unlock_pages(sobj->shmem);
	return 0;
}

/**
 * drm_gem_shmem_reclaim_add - make an object shrinkable
 * @reclaim: the device instance
 * @sobj: the shmem object, zeroed but for @unbacked and @rarely_pinned
 * @shmem: the object, which must be unpopulated
 *
 * From here on its pages must only be populated through this module.
 */
void drm_gem_shmem_reclaim_add(struct drm_gem_shmem_reclaim *reclaim,
			       struct drm_gem_shmem_reclaim_object *sobj,
			       struct drm_gem_shmem_object *shmem)
{
	WARN_ON(shmem->pages || shmem->base.import_attach);

	/*
	 * Writes by the device or through a raw PFN mapping leave no dirty bit.
	 * Accesses are not recorded: only unused objects are evicted.
	 */
	shmem->pages_mark_dirty_on_put = true;

	sobj->shmem = shmem;
	sobj->reclaim = reclaim;
	drm_gem_shmem_reclaim_idle_add(sobj);
	sobj->state = reclaim_state(sobj);
	spin_lock(&reclaim->lru_lock);
	reclaim->stats.total_objects++;
	reclaim->stats.total_bytes += shmem->base.size;
	reclaim->stats.objects[sobj->state]++;
	reclaim->stats.bytes[sobj->state] += shmem->base.size;
	list_add_tail(&sobj->lru_node, &reclaim->lru[sobj->state]);
	spin_unlock(&reclaim->lru_lock);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_add);

/**
 * drm_gem_shmem_reclaim_remove - remove an object that is being freed
 * @sobj: the shmem object, shrinkable or not
 *
 * There must be no reference to the object left. Its pages are left to
 * drm_gem_shmem_free().
 */
void drm_gem_shmem_reclaim_remove(struct drm_gem_shmem_reclaim_object *sobj)
{
	struct drm_gem_shmem_reclaim *reclaim = sobj->reclaim;

	if (!reclaim)
		return;

	spin_lock(&reclaim->lru_lock);
	reclaim_lru_del_locked(sobj);
	if (sobj->resident)
		reclaim->stats.resident -= to_gem(sobj)->size;
	reclaim->stats.total_objects--;
	reclaim->stats.total_bytes -= to_gem(sobj)->size;
	spin_unlock(&reclaim->lru_lock);
	drm_gem_shmem_reclaim_memcg_free(sobj);
	sobj->reclaim = NULL;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_remove);

/**
 * drm_gem_shmem_reclaim_require - have an object populated when it is used
 * @sobj: the shmem object
 *
 * An object that the driver adds as unbacked has no pages and is not charged:
 * the device uses storage of its own. To be called with the reservation lock
 * held before anybody uses the pages: for a mapping, an attachment, a transfer.
 * It is an object like any other from there on.
 *
 * Returns: 0; -ENODATA if the object is purged; -ENOMEM, see
 * drm_gem_shmem_reclaim_may_add().
 */
int drm_gem_shmem_reclaim_require(struct drm_gem_shmem_reclaim_object *sobj)
{
	dma_resv_assert_held(to_gem(sobj)->resv);

	if (!sobj->unbacked)
		return 0;
	if (sobj->purged)
		return -ENODATA;
	if (!drm_gem_shmem_reclaim_may_add(sobj->reclaim, to_gem(sobj)->size))
		return -ENOMEM;
	sobj->unbacked = false;
	drm_gem_shmem_reclaim_update(sobj);
	return 0;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_require);

/**
 * drm_gem_shmem_reclaim_prepare - populate an object for use by the device
 * @sobj: the shmem object
 *
 * The pages stay until the reservation lock, which the caller holds, is
 * released and all fences added to it have signaled. An unbacked object stays
 * so. May sleep.
 *
 * Returns: 0; -ENODATA if the object is purged; -ERESTARTSYS if a signal ended
 * the wait for the device to complete a pending operation; another negative
 * error code if the object could not be populated.
 */
int drm_gem_shmem_reclaim_prepare(struct drm_gem_shmem_reclaim_object *sobj)
{
	int ret;

	ret = drm_gem_shmem_reclaim_finish_pending(sobj);
	if (!ret && sobj->unbacked)
		ret = sobj->purged ? -ENODATA : 0;
	else if (!ret)
		ret = drm_gem_shmem_reclaim_populate(sobj);
	drm_gem_shmem_reclaim_update(sobj);
	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_prepare);

/**
 * drm_gem_shmem_reclaim_pin - populate an object and exclude it from reclaim
 * @sobj: the shmem object
 *
 * To be called with the reservation lock held, after
 * drm_gem_shmem_reclaim_require(). May sleep.
 *
 * Returns: as drm_gem_shmem_reclaim_prepare().
 */
int drm_gem_shmem_reclaim_pin(struct drm_gem_shmem_reclaim_object *sobj)
{
	int ret;

	ret = drm_gem_shmem_reclaim_finish_pending(sobj);
	if (!ret)
		ret = drm_gem_shmem_reclaim_populate(sobj);
	if (!ret)
		sobj->pin_count++;
	drm_gem_shmem_reclaim_update(sobj);
	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_pin);

/**
 * drm_gem_shmem_reclaim_unpin - undo drm_gem_shmem_reclaim_pin()
 * @sobj: the shmem object
 *
 * To be called with the reservation lock held.
 */
void drm_gem_shmem_reclaim_unpin(struct drm_gem_shmem_reclaim_object *sobj)
{
	if (!WARN_ON(!sobj->pin_count))
		sobj->pin_count--;
	drm_gem_shmem_reclaim_update(sobj);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_unpin);

/**
 * drm_gem_shmem_reclaim_retain - exclude an object from purges
 * @sobj: the shmem object
 *
 * For an object whose contents somebody else relies on. Unlike a pinned one it
 * may be evicted. To be called with the reservation lock held. May sleep until
 * the device has completed a pending operation.
 *
 * Returns: 0; -ENODATA if the object is purged; -ERESTARTSYS if a signal ended
 * the wait.
 */
int drm_gem_shmem_reclaim_retain(struct drm_gem_shmem_reclaim_object *sobj)
{
	int ret;

	ret = drm_gem_shmem_reclaim_finish_pending(sobj);
	if (!ret && sobj->purged)
		ret = -ENODATA;
	if (!ret)
		sobj->retain_count++;
	drm_gem_shmem_reclaim_update(sobj);
	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_retain);

/**
 * drm_gem_shmem_reclaim_unretain - undo drm_gem_shmem_reclaim_retain()
 * @sobj: the shmem object
 *
 * To be called with the reservation lock held.
 */
void drm_gem_shmem_reclaim_unretain(struct drm_gem_shmem_reclaim_object *sobj)
{
	if (!WARN_ON(!sobj->retain_count))
		sobj->retain_count--;
	drm_gem_shmem_reclaim_update(sobj);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_unretain);

/**
 * drm_gem_shmem_reclaim_madvise - mark an object as DONTNEED or WILLNEED
 * @sobj: the shmem object, shrinkable or not
 * @dontneed: whether the contents may be purged
 * @retained: set to whether the contents are retained; for WILLNEED they stay so
 *
 * To be called with the reservation lock held. A purged object reads as zero
 * after WILLNEED. WILLNEED may sleep until the device has completed a pending
 * operation.
 *
 * Returns: 0; for DONTNEED -EOPNOTSUPP if the object is not shrinkable or is
 * unpurgeable, or -EBUSY if it is pinned, retained or named; for WILLNEED
 * -ERESTARTSYS if a signal ended the wait for the device to complete a pending operation.
 */
int drm_gem_shmem_reclaim_madvise(struct drm_gem_shmem_reclaim_object *sobj,
				  bool dontneed, bool *retained)
{
	int ret;

	*retained = true;
	if (!drm_gem_shmem_reclaim_is_shrinkable(sobj))
		return dontneed ? -EOPNOTSUPP : 0;
	if (dontneed && sobj->unpurgeable)
		return -EOPNOTSUPP;
	if (dontneed && (sobj->pin_count || sobj->retain_count ||
			 READ_ONCE(to_gem(sobj)->name)))
		return -EBUSY;

	if (!dontneed) {
		ret = drm_gem_shmem_reclaim_finish_pending(sobj);
		if (ret)
			return ret;
	}

	*retained = !sobj->purged;
	sobj->dontneed = dontneed;
	if (!dontneed) {
		struct drm_gem_shmem_reclaim_stats *stats =
			&sobj->reclaim->stats;

		reclaim_count(sobj->reclaim, *retained ?
			      &stats->willneed_retained :
			      &stats->willneed_purged);
		sobj->purged = false;
	}
	drm_gem_shmem_reclaim_update(sobj);
	return 0;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_madvise);

/**
 * drm_gem_shmem_reclaim_madvise_handle - the same by handle, for an ioctl
 * @file: the client
 * @handle: its handle of the object
 * @dontneed: whether the contents may be purged
 * @retained: set to whether the contents are retained; left alone if there is
 *	no such handle or the wait for the lock was interrupted
 * @to_sobj: returns the shmem object of an object
 *
 * Takes the reservation lock.
 *
 * Returns: as drm_gem_shmem_reclaim_madvise(); -ENOENT if there is no such
 * handle; -EINTR if a signal ended the wait for the lock.
 */
int drm_gem_shmem_reclaim_madvise_handle(struct drm_file *file, u32 handle,
					 bool dontneed, u32 *retained,
					 struct drm_gem_shmem_reclaim_object *
					 (*to_sobj)(struct drm_gem_object *obj))
{
	struct drm_gem_object *obj = drm_gem_object_lookup(file, handle);
	bool kept;
	int ret;

	if (!obj)
		return -ENOENT;

	ret = dma_resv_lock_interruptible(obj->resv, NULL);
	if (!ret) {
		ret = drm_gem_shmem_reclaim_madvise(to_sobj(obj), dontneed,
						    &kept);
		*retained = kept;
		dma_resv_unlock(obj->resv);
	}
	drm_gem_object_put(obj);
	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_madvise_handle);
