// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim of the memory behind drm_gem_shmem objects, in stages.
 */

#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/swap.h>

#include <drm/drm_device.h>

#include "drm_gem_shmem_reclaim_internal.h"
#include "drm_gem_shmem_reclaim_trace.h"

/**
 * DOC: overview
 *
 * The shmem helpers pin every page of an object for as long as a driver or a
 * mapping of user space uses it. This module lets a driver that builds on them
 * give memory back when the system runs short of it: objects that user space
 * said it can do without are purged, others that are idle are made swappable,
 * the least recently used first. Drivers opt in object by object; the helpers
 * themselves are not changed.
 *
 * What a device has to be told is left to two callbacks, see struct
 * drm_gem_shmem_reclaim_ops. Because a device may be slow, or stuck, taking
 * from an object has two halves. Under the reservation lock an idle object is
 * marked with what is to be done to it, and the device is asked to let go of
 * it. After the device has answered, again under the reservation lock, the
 * pages go. In between no lock is held, so that any number of objects can be
 * under way in one batch, and a device that does not answer costs the memory
 * manager a bounded wait and nobody else anything. Whoever needs the object
 * next waits for the answer and completes the second half, see
 * drm_gem_shmem_reclaim_settle().
 *
 * Locks, outermost first:
 *
 * #. mmap_lock, when called from a page fault or mmap()
 * #. reservation lock of the object. Held while pages are allocated, so
 *    reclaim may only try to take it.
 * #. &drm_gem_shmem_object.pages_lock. Pages are allocated under it, too, so
 *    reclaim may only try to take it. A managed object must be pinned with
 *    drm_gem_shmem_reclaim_pin() before anything that uses drm_gem_shmem_pin()
 *    or drm_gem_shmem_vmap() on its own, such as exporting it.
 * #. i_mmap_rwsem of the DRM device's address space and the page table locks,
 *    when user mappings are taken down
 * #. &drm_gem_shmem_reclaim.lru_lock
 */

/*
 * How long a scan that found nothing idle waits for what is busy: a few frames.
 * Whoever allocates is held up by it, and other memory may be easier to get.
 */
#define RECLAIM_BUSY_TIMEOUT	max(HZ / 20, 1)
/* The part of memory that may wait to be swapped; see reclaim_may_evict(). */
#define RECLAIM_AHEAD		16
/* How many objects are looked at to know. */
#define RECLAIM_AHEAD_OBJECTS	256
/*
 * The part of memory that new objects have to leave to others. The last bit
 * would be fought for.
 */
#define RECLAIM_MARGIN		32

static bool reclaim_is_idle(void *resv)
{
	return dma_resv_test_signaled(resv, DMA_RESV_USAGE_BOOKKEEP);
}

/* Whether an object was busy and became idle in time. */
static bool reclaim_wait_fences(struct drm_gem_shmem_reclaim_object *robj,
				unsigned long end)
{
	struct dma_resv *resv = to_gem(robj)->resv;

	/* If it is idle, it is something else that is in the way. */
	return !reclaim_is_idle(resv) &&
	       drm_gem_shmem_reclaim_wait(robj->reclaim, reclaim_is_idle, resv,
					  end);
}

static bool reclaim_wait_idle(struct drm_gem_shmem_reclaim *reclaim,
			      enum drm_gem_shmem_reclaim_op op,
			      unsigned long end)
{
	enum drm_gem_shmem_reclaim_state state = reclaim_source(op);
	u64 left = READ_ONCE(reclaim->stats.objects[state]);
	struct drm_gem_shmem_reclaim_object *robj;
	bool idle = false;

	while (!idle && time_before(jiffies, end)) {
		robj = drm_gem_shmem_reclaim_next(reclaim, state, &left);
		if (!robj)
			break;
		idle = reclaim_wait_fences(robj, end);
		drm_gem_shmem_reclaim_put(robj);
	}
	return idle;
}

/*
 * The last stage: objects that become idle within a bound. The caller may hold
 * what a fence needs to signal, so not for long.
 */
static unsigned long reclaim_run_busy(struct drm_gem_shmem_reclaim *reclaim,
				      enum drm_gem_shmem_reclaim_op op,
				      unsigned long nr)
{
	unsigned long end = jiffies + RECLAIM_BUSY_TIMEOUT;
	unsigned long freed = 0;

	while (freed < nr && reclaim_wait_idle(reclaim, op, end)) {
		reclaim_count(reclaim, &reclaim->stats.waits);
		freed += drm_gem_shmem_reclaim_run(reclaim, op, nr - freed);
	}
	return freed;
}

/* In pages. */
static unsigned long reclaim_swap_room(void)
{
	long nr = get_nr_swap_pages();

	return nr > 0 ? nr : 0;
}

/*
 * Evicted objects only begin to give memory back when their pages are written
 * to swap. As long as there are plenty of pages waiting for that, or as many as
 * there is room for, evicting more objects brings no memory any sooner, and it
 * is paid for when they are used next. The last ones evicted are looked at,
 * because the others' pages are likely gone.
 */
static bool reclaim_may_evict(struct drm_gem_shmem_reclaim *reclaim)
{
	unsigned long enough = min(totalram_pages() / RECLAIM_AHEAD,
				   reclaim_swap_room());
	struct drm_gem_shmem_reclaim_object *robj;
	unsigned int left = RECLAIM_AHEAD_OBJECTS;
	unsigned long nr = 0;

	if (!enough)
		return false;

	spin_lock(&reclaim->lru_lock);
	list_for_each_entry_reverse(robj,
				    &reclaim->lru[DRM_GEM_SHMEM_RECLAIM_EVICTED],
				    lru_node) {
		nr += READ_ONCE(to_gem(robj)->filp->f_mapping->nrpages);
		if (nr >= enough || !--left)
			break;
	}
	spin_unlock(&reclaim->lru_lock);
	return nr < enough;
}

static unsigned long reclaim_shrinker_count(struct shrinker *shrinker,
					    struct shrink_control *sc)
{
	struct drm_gem_shmem_reclaim *reclaim =
		container_of(shrinker, struct drm_gem_shmem_reclaim, shrinker);
	u64 *bytes = reclaim->stats.bytes;
	unsigned long nr;

	nr = READ_ONCE(bytes[DRM_GEM_SHMEM_RECLAIM_WILLNEED]) >> PAGE_SHIFT;
	nr = min(nr, reclaim_swap_room());
	nr += READ_ONCE(bytes[DRM_GEM_SHMEM_RECLAIM_DONTNEED]) >> PAGE_SHIFT;
	trace_drm_gem_shmem_reclaim_count(reclaim->dev, nr);
	return nr ?: SHRINK_EMPTY;
}

static unsigned long reclaim_shrinker_scan(struct shrinker *shrinker,
					   struct shrink_control *sc)
{
	struct drm_gem_shmem_reclaim *reclaim =
		container_of(shrinker, struct drm_gem_shmem_reclaim, shrinker);
	bool may_wait = (sc->gfp_mask & __GFP_DIRECT_RECLAIM) &&
			!current_is_kswapd();
	bool may_purge = sc->gfp_mask & __GFP_IO;
	unsigned long purged = 0, evicted = 0, freed;
	unsigned long nr = sc->nr_to_scan;
	bool may_evict;

	if (READ_ONCE(reclaim->is_stalled) &&
	    time_before(jiffies, READ_ONCE(reclaim->stalled)))
		return SHRINK_STOP;

	/* More may be idle than is known yet. */
	reclaim_poll(reclaim);

	/*
	 * Truncating waits for pages on their way to swap, and the caller may
	 * be who is to write them.
	 */
	if (may_purge)
		purged = drm_gem_shmem_reclaim_run(reclaim, DRM_GEM_SHMEM_RECLAIM_PURGE, nr);
	may_evict = reclaim_may_evict(reclaim);
	if (may_evict && purged < nr)
		evicted = drm_gem_shmem_reclaim_run(reclaim,
						    DRM_GEM_SHMEM_RECLAIM_EVICT,
						    nr - purged);

	/* What is busy is likely needed soon: only if there is nothing else. */
	if (may_wait && may_purge && !purged && !evicted)
		purged = reclaim_run_busy(reclaim, DRM_GEM_SHMEM_RECLAIM_PURGE,
					  nr);
	if (may_wait && may_evict && !purged && !evicted)
		evicted = reclaim_run_busy(reclaim, DRM_GEM_SHMEM_RECLAIM_EVICT,
					   nr);

	/* These are free now: it counts as progress against OOM. */
	if (current->reclaim_state)
		current->reclaim_state->reclaimed_slab += purged;
	freed = purged + evicted;
	trace_drm_gem_shmem_reclaim_scan(reclaim->dev, nr, purged, evicted);

	/* Objects are taken as a whole: say so if that was more than asked. */
	sc->nr_scanned = max(nr, freed);
	return freed ?: SHRINK_STOP;
}

/**
 * drm_gem_shmem_reclaim_init - start reclaiming a device's objects
 * @reclaim: the device's part
 * @dev: the device
 * @ops: the driver's callbacks
 *
 * At least one batch should be added before the first object is.
 *
 * Returns: 0, or a negative error code.
 */
int drm_gem_shmem_reclaim_init(struct drm_gem_shmem_reclaim *reclaim,
			       struct drm_device *dev,
			       const struct drm_gem_shmem_reclaim_ops *ops)
{
	int i;

	reclaim->dev = dev;
	reclaim->ops = ops;
	spin_lock_init(&reclaim->lru_lock);
	for (i = 0; i < ARRAY_SIZE(reclaim->lru); i++)
		INIT_LIST_HEAD(&reclaim->lru[i]);
	INIT_LIST_HEAD(&reclaim->batches);
	init_waitqueue_head(&reclaim->wait);
	init_llist_head(&reclaim->put_list);
	INIT_WORK(&reclaim->put_work, drm_gem_shmem_reclaim_put_work);

	/* Tell lockdep now, not when memory is short: scans take this lock. */
	fs_reclaim_acquire(GFP_KERNEL);
	might_lock(&reclaim->lru_lock);
	fs_reclaim_release(GFP_KERNEL);

	reclaim->shrinker.count_objects = reclaim_shrinker_count;
	reclaim->shrinker.scan_objects = reclaim_shrinker_scan;
	reclaim->shrinker.seeks = DEFAULT_SEEKS;
	return register_shrinker(&reclaim->shrinker, "drm-shmem:%s",
				 dev->unique ?: dev_name(dev->dev));
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_init);

/**
 * drm_gem_shmem_reclaim_fini - stop reclaiming
 * @reclaim: the device's part
 *
 * After this no batch is submitted any more, but some may be unanswered: the
 * driver has to answer all of them and call drm_gem_shmem_reclaim_flush().
 * Objects may live on, and their functions here still be used.
 */
void drm_gem_shmem_reclaim_fini(struct drm_gem_shmem_reclaim *reclaim)
{
	unregister_shrinker(&reclaim->shrinker);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_fini);

/**
 * drm_gem_shmem_reclaim_flush - wait until no reference is left to be dropped
 * @reclaim: the device's part
 */
void drm_gem_shmem_reclaim_flush(struct drm_gem_shmem_reclaim *reclaim)
{
	flush_work(&reclaim->put_work);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_flush);

/**
 * drm_gem_shmem_reclaim_shrink - reclaim without need
 * @reclaim: the device's part
 * @nr: pages wanted
 *
 * What the memory manager has done when memory is short, for tests and for the
 * curious: purges, then evicts, whether or not there is swap to evict to and
 * however much waits for it already; waits for busy objects if that is too
 * little.
 *
 * Returns: the number of pages freed or made swappable.
 */
unsigned long drm_gem_shmem_reclaim_shrink(struct drm_gem_shmem_reclaim *reclaim,
					   unsigned long nr)
{
	unsigned long freed;

	fs_reclaim_acquire(GFP_KERNEL);
	reclaim_poll(reclaim);
	freed = drm_gem_shmem_reclaim_run(reclaim, DRM_GEM_SHMEM_RECLAIM_PURGE, nr);
	if (freed < nr)
		freed += drm_gem_shmem_reclaim_run(reclaim, DRM_GEM_SHMEM_RECLAIM_EVICT,
				     nr - freed);
	if (freed < nr)
		freed += reclaim_run_busy(reclaim, DRM_GEM_SHMEM_RECLAIM_PURGE,
					  nr - freed);
	if (freed < nr)
		freed += reclaim_run_busy(reclaim, DRM_GEM_SHMEM_RECLAIM_EVICT,
					  nr - freed);
	fs_reclaim_release(GFP_KERNEL);
	return freed;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_shrink);

/**
 * drm_gem_shmem_reclaim_add_batch - hand over a reserved batch
 * @reclaim: the device's part
 * @batch: the batch
 *
 * As many scans can be under way at a time as there are batches.
 */
void drm_gem_shmem_reclaim_add_batch(struct drm_gem_shmem_reclaim *reclaim,
				     struct drm_gem_shmem_reclaim_batch *batch)
{
	batch->reclaim = reclaim;
	spin_lock(&reclaim->lru_lock);
	list_add(&batch->node, &reclaim->batches);
	spin_unlock(&reclaim->lru_lock);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_add_batch);

/**
 * drm_gem_shmem_reclaim_get_stats - read the totals
 * @reclaim: the device's part
 * @stats: filled in, all of one moment
 */
void drm_gem_shmem_reclaim_get_stats(struct drm_gem_shmem_reclaim *reclaim,
				     struct drm_gem_shmem_reclaim_stats *stats)
{
	spin_lock(&reclaim->lru_lock);
	*stats = reclaim->stats;
	spin_unlock(&reclaim->lru_lock);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_get_stats);

/*
 * Slab that si_mem_available() takes for granted, in pages. Much of it only
 * goes slowly, and that which says where swapped pages are does not go at all.
 */
static unsigned long reclaim_slab(void)
{
	return global_node_page_state_pages(NR_SLAB_RECLAIMABLE_B) / 2;
}

/**
 * drm_gem_shmem_reclaim_may_add - whether there could be pages for an object
 * @reclaim: the device's part
 * @size: of the object, in bytes
 *
 * Objects get pages when they are used, when it is late to fail. A driver asks
 * this when it creates one, so that whoever keeps on creating is stopped by an
 * error. The answer is an estimate: what the object and all that have none yet
 * would take, against what is free, what can be purged and room in swap.
 */
bool drm_gem_shmem_reclaim_may_add(struct drm_gem_shmem_reclaim *reclaim,
				   size_t size)
{
	long have = si_mem_available() - reclaim_slab() + reclaim_swap_room() -
		   totalram_pages() / RECLAIM_MARGIN;
	u64 *bytes = reclaim->stats.bytes;
	s64 want = size;

	want += READ_ONCE(bytes[DRM_GEM_SHMEM_RECLAIM_EMPTY]);
	want -= READ_ONCE(bytes[DRM_GEM_SHMEM_RECLAIM_DONTNEED]);
	return want <= (s64)have << PAGE_SHIFT;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_may_add);

MODULE_DESCRIPTION("Reclaim for DRM SHMEM memory-management helpers");
MODULE_LICENSE("GPL");
