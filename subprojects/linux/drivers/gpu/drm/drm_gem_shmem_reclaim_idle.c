// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim of drm_gem_shmem objects without memory pressure: of objects that are
 * not used for a while, before memory goes offline, and because the device wants
 * memory of its own back.
 */

#include <linux/memory.h>
#include <linux/module.h>
#include <linux/pagemap.h>
#include <linux/workqueue.h>

#include "drm_gem_shmem_reclaim_internal.h"

/*
 * The pages of an evicted object are ordinary shmem pages, which the memory
 * manager ages, swaps, compacts and migrates. Only if objects do not stay
 * pinned may they be allocated in movable memory, which they would fragment
 * otherwise.
 */
static unsigned int idle_ms;
module_param(idle_ms, uint, 0644);
MODULE_PARM_DESC(idle_ms,
		 "Evict objects not used for so many milliseconds, and allocate new ones in movable memory (default: 0, never)");

static void reclaim_idle_work(struct work_struct *work)
{
	struct drm_gem_shmem_reclaim *reclaim =
		container_of(work, struct drm_gem_shmem_reclaim,
			     idle_work.work);
	unsigned int ms = READ_ONCE(idle_ms);

	if (ms && !reclaim_is_stalled(reclaim))
		drm_gem_shmem_reclaim_evict_unused(reclaim,
						   msecs_to_jiffies(ms));

	spin_lock(&reclaim->lru_lock);
	if (!list_empty(&reclaim->lru[DRM_GEM_SHMEM_RECLAIM_WILLNEED]))
		drm_gem_shmem_reclaim_idle_start(reclaim);
	spin_unlock(&reclaim->lru_lock);
}

static void reclaim_purge_work(struct work_struct *work)
{
	struct drm_gem_shmem_reclaim *reclaim =
		container_of(work, struct drm_gem_shmem_reclaim, purge_work);
	u64 bytes;

	spin_lock(&reclaim->lru_lock);
	bytes = reclaim->purge_bytes;
	spin_unlock(&reclaim->lru_lock);

	/* It asks again, if it is not stuck. */
	if (!reclaim_is_stalled(reclaim))
		drm_gem_shmem_reclaim_purge_marked(reclaim,
						   DIV_ROUND_UP_ULL(bytes, PAGE_SIZE));
}

/**
 * drm_gem_shmem_reclaim_purge - purge objects for the sake of the device
 * @reclaim: the device instance
 * @bytes: how much memory of its own the device wants back
 *
 * A worker purges objects that are DONTNEED, with or without pages, until they
 * add up to @bytes. No other object is touched. May be called with locks held,
 * not from interrupt context, and does nothing once the device is removed.
 */
void drm_gem_shmem_reclaim_purge(struct drm_gem_shmem_reclaim *reclaim, u64 bytes)
{
	spin_lock(&reclaim->lru_lock);
	reclaim->purge_bytes = bytes;
	if (!reclaim->idle_stopped)
		queue_work(system_freezable_wq, &reclaim->purge_work);
	spin_unlock(&reclaim->lru_lock);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_purge);

/**
 * drm_gem_shmem_reclaim_idle_start - start the idle timer
 * @reclaim: the device instance
 *
 * Does nothing if it is running or turned off. To be called with lru_lock held
 * when there are objects that it may evict.
 */
void drm_gem_shmem_reclaim_idle_start(struct drm_gem_shmem_reclaim *reclaim)
{
	unsigned int ms = READ_ONCE(idle_ms);

	lockdep_assert_held(&reclaim->lru_lock);

	if (ms && !reclaim->idle_stopped)
		queue_delayed_work(system_freezable_wq, &reclaim->idle_work,
				   msecs_to_jiffies(ms));
}

/**
 * drm_gem_shmem_reclaim_idle_add - select the memory of a new object
 * @sobj: the shmem object, which has no pages yet
 */
void drm_gem_shmem_reclaim_idle_add(struct drm_gem_shmem_reclaim_object *sobj)
{
	struct address_space *mapping = to_gem(sobj)->filp->f_mapping;

	if (READ_ONCE(idle_ms) && sobj->rarely_pinned)
		mapping_set_gfp_mask(mapping, mapping_gfp_mask(mapping) |
				     __GFP_MOVABLE);
}

/* Pinned pages cannot be moved away. */
static int reclaim_memory_notify(struct notifier_block *nb,
				 unsigned long action, void *data)
{
	struct drm_gem_shmem_reclaim *reclaim =
		container_of(nb, struct drm_gem_shmem_reclaim, memory_notifier);

	if (action == MEM_GOING_OFFLINE)
		drm_gem_shmem_reclaim_shrink(reclaim, ULONG_MAX);
	return NOTIFY_OK;
}

/**
 * drm_gem_shmem_reclaim_idle_init - prepare for eviction without memory pressure
 * @reclaim: the device instance
 */
void drm_gem_shmem_reclaim_idle_init(struct drm_gem_shmem_reclaim *reclaim)
{
	INIT_DELAYED_WORK(&reclaim->idle_work, reclaim_idle_work);
	INIT_WORK(&reclaim->purge_work, reclaim_purge_work);
	reclaim->memory_notifier.notifier_call = reclaim_memory_notify;
	register_memory_notifier(&reclaim->memory_notifier);
}

/**
 * drm_gem_shmem_reclaim_idle_fini - undo drm_gem_shmem_reclaim_idle_init()
 * @reclaim: the device instance
 *
 * Objects may be used after it.
 */
void drm_gem_shmem_reclaim_idle_fini(struct drm_gem_shmem_reclaim *reclaim)
{
	unregister_memory_notifier(&reclaim->memory_notifier);
	spin_lock(&reclaim->lru_lock);
	reclaim->idle_stopped = true;
	spin_unlock(&reclaim->lru_lock);
	cancel_delayed_work_sync(&reclaim->idle_work);
	cancel_work_sync(&reclaim->purge_work);
}
