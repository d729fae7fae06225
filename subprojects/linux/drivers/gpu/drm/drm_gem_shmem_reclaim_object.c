// SPDX-License-Identifier: GPL-2.0
/*
 * Objects whose memory may be reclaimed: their states, their pages, their use.
 */

#include <linux/dma-mapping.h>
#include <linux/scatterlist.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#ifdef CONFIG_X86
#include <asm/set_memory.h>
#endif

#include <drm/drm_device.h>
#include <drm/drm_vma_manager.h>

#include "drm_gem_shmem_reclaim_internal.h"

#define CREATE_TRACE_POINTS
#include "drm_gem_shmem_reclaim_trace.h"

/*
 * How long those wait who need an object that the device is to let go of. They
 * can be interrupted, and there is nothing else they could do.
 */
#define RECLAIM_SETTLE_TIMEOUT	(10 * HZ)

static enum drm_gem_shmem_reclaim_state
reclaim_state(struct drm_gem_shmem_reclaim_object *robj)
{
	if (robj->pin_count)
		return DRM_GEM_SHMEM_RECLAIM_PINNED;
	if (robj->purged)
		return DRM_GEM_SHMEM_RECLAIM_PURGED;
	if (robj->dontneed)
		return DRM_GEM_SHMEM_RECLAIM_DONTNEED;
	if (robj->resident)
		return DRM_GEM_SHMEM_RECLAIM_WILLNEED;
	if (robj->evicted)
		return DRM_GEM_SHMEM_RECLAIM_EVICTED;
	return DRM_GEM_SHMEM_RECLAIM_EMPTY;
}

static void reclaim_unlist_locked(struct drm_gem_shmem_reclaim_object *robj)
{
	struct drm_gem_shmem_reclaim *reclaim = robj->reclaim;

	lockdep_assert_held(&reclaim->lru_lock);

	list_del_init(&robj->lru_node);
	reclaim->stats.objects[robj->state]--;
	reclaim->stats.bytes[robj->state] -= to_gem(robj)->size;
}

/**
 * drm_gem_shmem_reclaim_update - put an object in the list where it belongs now
 * @robj: the object's part; at the end, as the last one used
 *
 * The only place where objects change lists. To be called after any change of
 * what reclaim_state() looks at, and to tell that an object was used, with the
 * reservation lock held.
 */
void drm_gem_shmem_reclaim_update(struct drm_gem_shmem_reclaim_object *robj)
{
	struct drm_gem_shmem_reclaim *reclaim = robj->reclaim;

	dma_resv_assert_held(to_gem(robj)->resv);

	spin_lock(&reclaim->lru_lock);
	reclaim_unlist_locked(robj);
	robj->state = reclaim_state(robj);
	reclaim->stats.objects[robj->state]++;
	reclaim->stats.bytes[robj->state] += to_gem(robj)->size;
	list_add_tail(&robj->lru_node, &reclaim->lru[robj->state]);
	spin_unlock(&reclaim->lru_lock);
}

static void reclaim_set_resident(struct drm_gem_shmem_reclaim_object *robj,
				 bool resident)
{
	struct drm_gem_shmem_reclaim *reclaim = robj->reclaim;

	robj->resident = resident;
	spin_lock(&reclaim->lru_lock);
	if (resident)
		reclaim->stats.resident += to_gem(robj)->size;
	else
		reclaim->stats.resident -= to_gem(robj)->size;
	spin_unlock(&reclaim->lru_lock);
}

/* Drop the contents, wherever they are. */
static void reclaim_truncate(struct drm_gem_shmem_reclaim_object *robj)
{
	shmem_truncate_range(file_inode(to_gem(robj)->filp), 0, (loff_t)-1);
}

/**
 * drm_gem_shmem_reclaim_get_pages - have an object's pages there
 * @robj: the object's part
 *
 * To be called with the reservation lock held; drm_gem_shmem_reclaim_update()
 * is left to the caller.
 *
 * Returns: as drm_gem_shmem_reclaim_use().
 */
int drm_gem_shmem_reclaim_get_pages(struct drm_gem_shmem_reclaim_object *robj)
{
	struct sg_table *sgt;

	dma_resv_assert_held(to_gem(robj)->resv);

	if (robj->resident)
		return 0;
	if (robj->purged)
		return -ENODATA;

	sgt = drm_gem_shmem_get_pages_sgt(robj->shmem);
	if (IS_ERR(sgt)) {
		/* Do not sit on those there were memory for. */
		if (!robj->evicted)
			reclaim_truncate(robj);
		return PTR_ERR(sgt);
	}

	if (robj->evicted) {
		robj->evicted = false;
		reclaim_count(robj->reclaim, &robj->reclaim->stats.refaults);
		trace_drm_gem_shmem_reclaim_restore(to_gem(robj),
						    to_gem(robj)->size >>
						    PAGE_SHIFT);
	}
	reclaim_set_resident(robj, true);
	return 0;
}

/* drm_gem_shmem_put_pages() for who has the lock already. */
static void reclaim_release_pages(struct drm_gem_shmem_object *shmem)
{
	lockdep_assert_held(&shmem->pages_lock);

	if (--shmem->pages_use_count)
		return;
#ifdef CONFIG_X86
	if (shmem->map_wc)
		set_pages_array_wb(shmem->pages, shmem->base.size >> PAGE_SHIFT);
#endif
	drm_gem_put_pages(&shmem->base, shmem->pages,
			  shmem->pages_mark_dirty_on_put,
			  shmem->pages_mark_accessed_on_put);
	shmem->pages = NULL;
}

/* Returns the number of pages that the memory manager can swap now. */
static unsigned long
reclaim_put_pages(struct drm_gem_shmem_reclaim_object *robj)
{
	struct drm_gem_shmem_object *shmem = robj->shmem;
	struct drm_gem_object *obj = &shmem->base;

	dma_resv_assert_held(obj->resv);

	if (!robj->resident)
		return 0;

	/* Once the page tables are clear, all there was to write is written. */
	drm_vma_node_unmap(&obj->vma_node, obj->dev->anon_inode->i_mapping);

	dma_unmap_sgtable(obj->dev->dev, shmem->sgt, DMA_BIDIRECTIONAL, 0);
	sg_free_table(shmem->sgt);
	kfree(shmem->sgt);
	shmem->sgt = NULL;
	reclaim_release_pages(shmem);

	reclaim_set_resident(robj, false);
	return obj->size >> PAGE_SHIFT;
}

/**
 * drm_gem_shmem_reclaim_finish - the second half: the device has answered
 * @robj: the object's part
 * @keep: whether pages that matter stay
 *
 * To be called with the reservation lock and pages_lock held.
 *
 * Returns: the number of pages freed or made swappable.
 */
unsigned long
drm_gem_shmem_reclaim_finish(struct drm_gem_shmem_reclaim_object *robj, bool keep)
{
	enum drm_gem_shmem_reclaim_op op = robj->op;
	unsigned long pages = 0;

	dma_resv_assert_held(to_gem(robj)->resv);

	robj->op = DRM_GEM_SHMEM_RECLAIM_NONE;

	if (robj->result) {
		if (robj->result != -EAGAIN)
			reclaim_count(robj->reclaim,
				      &robj->reclaim->stats.refused);
		return 0;
	}

	switch (op) {
	case DRM_GEM_SHMEM_RECLAIM_PURGE:
		reclaim_put_pages(robj);
		/* Those in swap are not memory. */
		pages = READ_ONCE(to_gem(robj)->filp->f_mapping->nrpages);
		reclaim_truncate(robj);
		robj->evicted = false;
		robj->purged = true;
		reclaim_count(robj->reclaim, &robj->reclaim->stats.purges);
		trace_drm_gem_shmem_reclaim_purge(to_gem(robj), pages);
		break;
	case DRM_GEM_SHMEM_RECLAIM_EVICT:
		if (keep)
			break;
		pages = reclaim_put_pages(robj);
		robj->evicted = true;
		reclaim_count(robj->reclaim, &robj->reclaim->stats.evictions);
		trace_drm_gem_shmem_reclaim_evict(to_gem(robj), pages);
		break;
	case DRM_GEM_SHMEM_RECLAIM_NONE:
		break;
	}

	drm_gem_shmem_reclaim_update(robj);
	return pages;
}

/*
 * drm_gem_shmem_reclaim_settle - complete what was begun
 *
 * For those who need the object: wait until the device has answered, if it has
 * to. An object that was to be evicted keeps its pages after all.
 */
static int
drm_gem_shmem_reclaim_settle(struct drm_gem_shmem_reclaim_object *robj)
{
	long ret;

	dma_resv_assert_held(to_gem(robj)->resv);

	if (robj->op == DRM_GEM_SHMEM_RECLAIM_NONE)
		return 0;

	ret = wait_event_interruptible_timeout(robj->reclaim->wait,
					       reclaim_answered(robj),
					       RECLAIM_SETTLE_TIMEOUT);
	if (ret < 0)
		return ret;
	if (!ret)
		return -ETIMEDOUT;

	mutex_lock(&robj->shmem->pages_lock);
	drm_gem_shmem_reclaim_finish(robj, true);
	mutex_unlock(&robj->shmem->pages_lock);
	return 0;
}

/**
 * drm_gem_shmem_reclaim_add - manage an object
 * @reclaim: the device's part
 * @robj: the object's part, zeroed
 * @shmem: the object, which must have no pages yet
 *
 * From here on pages are only to be had through this module.
 */
void drm_gem_shmem_reclaim_add(struct drm_gem_shmem_reclaim *reclaim,
			       struct drm_gem_shmem_reclaim_object *robj,
			       struct drm_gem_shmem_object *shmem)
{
	WARN_ON(shmem->pages || shmem->base.import_attach);

	/*
	 * Neither the device nor a raw mapping leaves a trace of having written
	 * to a page. That they were accessed is not noted: an object is evicted
	 * for not having been used.
	 */
	shmem->pages_mark_dirty_on_put = true;

	robj->shmem = shmem;
	robj->reclaim = reclaim;
	robj->state = DRM_GEM_SHMEM_RECLAIM_EMPTY;
	spin_lock(&reclaim->lru_lock);
	reclaim->stats.objects[robj->state]++;
	reclaim->stats.bytes[robj->state] += shmem->base.size;
	list_add_tail(&robj->lru_node, &reclaim->lru[robj->state]);
	spin_unlock(&reclaim->lru_lock);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_add);

/**
 * drm_gem_shmem_reclaim_remove - forget an object
 * @robj: the object's part
 *
 * For objects that nobody has a reference to any more. Pages are left for
 * drm_gem_shmem_free() to put.
 */
void drm_gem_shmem_reclaim_remove(struct drm_gem_shmem_reclaim_object *robj)
{
	struct drm_gem_shmem_reclaim *reclaim = robj->reclaim;

	if (!reclaim)
		return;

	spin_lock(&reclaim->lru_lock);
	reclaim_unlist_locked(robj);
	if (robj->resident)
		reclaim->stats.resident -= to_gem(robj)->size;
	spin_unlock(&reclaim->lru_lock);
	robj->reclaim = NULL;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_remove);

/**
 * drm_gem_shmem_reclaim_use - have an object's pages there for the device
 * @robj: the object's part
 *
 * The pages stay until the reservation lock, which the caller holds, is
 * released and all fences that were added to it have signaled.
 *
 * Returns: 0; -ENODATA if the object was purged and not asked back; another
 * negative error code if the pages could not be had.
 */
int drm_gem_shmem_reclaim_use(struct drm_gem_shmem_reclaim_object *robj)
{
	int ret;

	ret = drm_gem_shmem_reclaim_settle(robj);
	if (!ret)
		ret = drm_gem_shmem_reclaim_get_pages(robj);
	drm_gem_shmem_reclaim_update(robj);
	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_use);

/**
 * drm_gem_shmem_reclaim_pin - have an object's pages there for good
 * @robj: the object's part
 *
 * To be called with the reservation lock held.
 *
 * Returns: as drm_gem_shmem_reclaim_use().
 */
int drm_gem_shmem_reclaim_pin(struct drm_gem_shmem_reclaim_object *robj)
{
	int ret;

	ret = drm_gem_shmem_reclaim_settle(robj);
	if (!ret)
		ret = drm_gem_shmem_reclaim_get_pages(robj);
	if (!ret)
		robj->pin_count++;
	drm_gem_shmem_reclaim_update(robj);
	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_pin);

/**
 * drm_gem_shmem_reclaim_unpin - undo drm_gem_shmem_reclaim_pin()
 * @robj: the object's part
 *
 * To be called with the reservation lock held.
 */
void drm_gem_shmem_reclaim_unpin(struct drm_gem_shmem_reclaim_object *robj)
{
	if (!WARN_ON(!robj->pin_count))
		robj->pin_count--;
	drm_gem_shmem_reclaim_update(robj);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_unpin);

/**
 * drm_gem_shmem_reclaim_madvise - note whether an object's contents matter
 * @robj: the object's part
 * @dontneed: whether they may be thrown away
 * @retained: set to whether they are there; cannot change any more once an
 *	object was asked back
 *
 * To be called with the reservation lock held. An object that is asked back
 * after it was purged reads as zero.
 *
 * Returns: 0; -EOPNOTSUPP for an object that is not managed, -EBUSY for one that
 * is pinned, if its contents were said not to matter; another negative error
 * code if the device did not say in time whether the contents are still there.
 */
int drm_gem_shmem_reclaim_madvise(struct drm_gem_shmem_reclaim_object *robj,
				  bool dontneed, bool *retained)
{
	int ret;

	*retained = true;
	if (!drm_gem_shmem_reclaim_is_managed(robj))
		return dontneed ? -EOPNOTSUPP : 0;
	if (dontneed && robj->pin_count)
		return -EBUSY;

	if (!dontneed) {
		ret = drm_gem_shmem_reclaim_settle(robj);
		if (ret)
			return ret;
	}

	*retained = !robj->purged;
	robj->dontneed = dontneed;
	if (!dontneed) {
		struct drm_gem_shmem_reclaim_stats *stats =
			&robj->reclaim->stats;

		reclaim_count(robj->reclaim, *retained ?
			      &stats->retained_answers :
			      &stats->purged_answers);
		robj->purged = false;
	}
	drm_gem_shmem_reclaim_update(robj);
	return 0;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_madvise);
