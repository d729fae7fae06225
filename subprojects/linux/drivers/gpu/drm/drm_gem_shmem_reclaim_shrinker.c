// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim of drm_gem_shmem objects: the shrinker, which reclaims in stages.
 */

#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/swap.h>

#include <drm/drm_device.h>
#include <drm/drm_managed.h>

#include "drm_gem_shmem_reclaim_internal.h"
#include "drm_gem_shmem_reclaim_trace.h"

/**
 * DOC: overview
 *
 * The shmem helpers pin every page of an object for as long as a driver or a
 * mapping of user space uses it. This module lets a driver that uses them
 * release memory under pressure: objects that user space marked as DONTNEED are
 * purged, other idle objects are made swappable, least recently used first.
 * Drivers opt in object by object; the helpers themselves are unchanged.
 *
 * Two callbacks talk to the device, see struct drm_gem_shmem_reclaim_ops.
 * Because a device may be slow or stuck, an operation on an object has two
 * halves. In the first, under the reservation lock, an idle object is marked
 * with the operation and the device is asked to release it. In the second, once
 * the device has completed the request and again under the reservation lock,
 * the pages are released. No lock is held in between, so that many objects can
 * be in flight in one request, and a device that does not respond costs the
 * memory manager a bounded wait and other tasks nothing. If it responds later, a
 * worker runs the second half. A task that needs an object with a pending
 * operation waits for the device and runs the second half itself, see
 * drm_gem_shmem_reclaim_finish_pending().
 *
 * Lock order, outermost first:
 *
 * #. mmap_lock, when called from a page fault or mmap()
 * #. reservation lock of the object. Held while pages are allocated, so
 *    reclaim must only trylock it.
 * #. &drm_gem_shmem_object.pages_lock, in kernels that have it. Held while pages
 *    are allocated as well, so reclaim must only trylock it. A shrinkable object
 *    must be pinned with drm_gem_shmem_reclaim_pin() before anything that calls
 *    drm_gem_shmem_pin() or drm_gem_shmem_vmap() by itself, such as exporting it.
 * #. i_mmap_rwsem of the DRM device's address space and the page table locks,
 *    when user mappings are unmapped
 * #. &drm_gem_shmem_reclaim.lru_lock
 * #. the lock of a node of &drm_gem_shmem_reclaim.memcg_lru
 */

/*
 * How long a scan that found no idle object waits for busy ones: a few frames.
 * It delays an allocation, and other memory may be cheaper to reclaim.
 */
#define RECLAIM_BUSY_TIMEOUT	max(HZ / 20, 1)
/* 1/16 of memory may wait to be swapped; see reclaim_may_evict(). */
#define RECLAIM_BACKLOG_DIVISOR	16
/* Bound of the evicted objects inspected for that. */
#define RECLAIM_BACKLOG_OBJECTS	256
/* New objects must leave 1/32 of memory free, to avoid thrashing. */
#define RECLAIM_MARGIN_DIVISOR	32

static bool reclaim_is_idle(void *resv)
{
	return dma_resv_test_signaled(resv, DMA_RESV_USAGE_BOOKKEEP);
}

/* Returns whether the object was busy and became idle before @end. */
static bool reclaim_wait_fences(struct drm_gem_shmem_reclaim_object *sobj,
				unsigned long end)
{
	struct dma_resv *resv = to_gem(sobj)->resv;

	/* An idle object was skipped for another reason: nothing to wait for. */
	return !reclaim_is_idle(resv) &&
	       drm_gem_shmem_reclaim_wait(sobj->reclaim, reclaim_is_idle, resv,
					  end);
}

/* Returns whether any busy object became idle before @end. */
static bool reclaim_wait_idle(struct drm_gem_shmem_reclaim *reclaim,
			      enum drm_gem_shmem_reclaim_op op,
			      const struct drm_gem_shmem_reclaim_filter *filter,
			      unsigned long end)
{
	enum drm_gem_shmem_reclaim_state state = reclaim_op_state(op);
	u64 left = drm_gem_shmem_reclaim_length(reclaim, state, filter);
	struct drm_gem_shmem_reclaim_object *sobj;
	bool idle = false;

	while (!idle && time_before(jiffies, end)) {
		sobj = drm_gem_shmem_reclaim_next(reclaim, state, filter,
						  &left);
		if (!sobj)
			break;
		idle = reclaim_wait_fences(sobj, end);
		drm_gem_shmem_reclaim_put(sobj);
	}
	return idle;
}

/*
 * Reclaim objects that become idle within RECLAIM_BUSY_TIMEOUT. The bound is
 * short because the caller may hold a lock that a fence needs to signal.
 */
static unsigned long reclaim_run_busy(struct drm_gem_shmem_reclaim *reclaim,
				      enum drm_gem_shmem_reclaim_op op,
				      unsigned long nr,
				      const struct drm_gem_shmem_reclaim_filter *filter,
				      unsigned long *scanned)
{
	unsigned long end = jiffies + RECLAIM_BUSY_TIMEOUT;
	unsigned long freed = 0, done = 0;

	while (done < nr && reclaim_wait_idle(reclaim, op, filter, end)) {
		reclaim_count(reclaim, &reclaim->stats.waits);
		freed += drm_gem_shmem_reclaim_run(reclaim, op, nr - done,
						   filter, &done);
	}
	*scanned += done;
	return freed;
}

/* Free swap space, in pages. */
static unsigned long reclaim_swap_pages(void)
{
	long nr = get_nr_swap_pages();

	return nr > 0 ? nr : 0;
}

/*
 * Memory of evicted objects is only freed when their pages are written to swap.
 * As long as enough pages wait for that, or as many as fit into swap, evicting
 * more objects frees no memory sooner and costs a swap-in at their next use.
 * Inspect the most recently evicted objects: the pages of the others have likely
 * been written.
 */
static bool reclaim_may_evict(struct drm_gem_shmem_reclaim *reclaim)
{
	unsigned long enough = min(totalram_pages() / RECLAIM_BACKLOG_DIVISOR,
				   reclaim_swap_pages());
	struct drm_gem_shmem_reclaim_object *sobj;
	unsigned int left = RECLAIM_BACKLOG_OBJECTS;
	unsigned long nr = 0;

	if (!enough)
		return false;

	spin_lock(&reclaim->lru_lock);
	list_for_each_entry_reverse(sobj,
				    &reclaim->lru[DRM_GEM_SHMEM_RECLAIM_EVICTED],
				    lru_node) {
		nr += READ_ONCE(to_gem(sobj)->filp->f_mapping->nrpages);
		if (nr >= enough || !--left)
			break;
	}
	spin_unlock(&reclaim->lru_lock);
	return nr < enough;
}

/**
 * enum reclaim_trigger - reason for a scan
 */
enum reclaim_trigger {
	/** @RECLAIM_PRESSURE: the memory manager wants memory */
	RECLAIM_PRESSURE = BIT(0),
	/** @RECLAIM_FORCED: as much as possible, whatever it costs */
	RECLAIM_FORCED = BIT(1),
	/** @RECLAIM_IDLE: objects were not used for a while */
	RECLAIM_IDLE = BIT(2),
	/** @RECLAIM_DEVICE: the device wants memory of its own back */
	RECLAIM_DEVICE = BIT(3),
	/** @RECLAIM_MEMCG: a memory cgroup has reached its limit */
	RECLAIM_MEMCG = BIT(4),
};

/**
 * struct reclaim_scan - one pass over the stages
 */
struct reclaim_scan {
	/** @trigger: why */
	enum reclaim_trigger trigger;
	/** @nr: number of pages to scan */
	unsigned long nr;
	/**
	 * @scanned: size in pages of the objects that the device was asked to
	 * release; the bound of the work, whatever it frees
	 */
	unsigned long scanned;
	/** @may_purge: the caller allows the I/O that truncation may wait for */
	bool may_purge;
	/** @may_wait: the caller may wait for busy objects */
	bool may_wait;
	/** @filter: which objects */
	struct drm_gem_shmem_reclaim_filter filter;
	/** @purged: number of pages freed */
	unsigned long purged;
	/** @evicted: number of pages made swappable */
	unsigned long evicted;
};

/**
 * struct reclaim_stage - a class of objects and how to reclaim them
 */
struct reclaim_stage {
	/** @triggers: scans that it is a stage of */
	enum reclaim_trigger triggers;
	/** @op: operation, which also determines the LRU list */
	enum drm_gem_shmem_reclaim_op op;
	/** @busy: wait for busy objects */
	bool busy;
};

/*
 * The policy, cheapest memory first. Busy objects are likely needed again soon:
 * they are a last resort.
 */
static const struct reclaim_stage reclaim_stages[] = {
	{ RECLAIM_PRESSURE | RECLAIM_MEMCG | RECLAIM_FORCED | RECLAIM_DEVICE,
	  DRM_GEM_SHMEM_RECLAIM_PURGE },
	{ RECLAIM_PRESSURE | RECLAIM_FORCED | RECLAIM_IDLE,
	  DRM_GEM_SHMEM_RECLAIM_EVICT },
	{ RECLAIM_PRESSURE | RECLAIM_MEMCG | RECLAIM_FORCED,
	  DRM_GEM_SHMEM_RECLAIM_PURGE, .busy = true },
	{ RECLAIM_PRESSURE | RECLAIM_FORCED, DRM_GEM_SHMEM_RECLAIM_EVICT,
	  .busy = true },
};

static bool reclaim_stage_allowed(struct drm_gem_shmem_reclaim *reclaim,
				  const struct reclaim_stage *stage,
				  const struct reclaim_scan *scan)
{
	if (!(stage->triggers & scan->trigger))
		return false;
	if (!(scan->trigger & (RECLAIM_PRESSURE | RECLAIM_MEMCG)))
		return true;
	if (stage->busy && (!scan->may_wait || scan->purged || scan->evicted))
		return false;
	if (stage->op == DRM_GEM_SHMEM_RECLAIM_EVICT)
		return reclaim_may_evict(reclaim);
	return scan->may_purge;
}

/* Returns the number of pages reclaimed. */
static unsigned long reclaim_run_stages(struct drm_gem_shmem_reclaim *reclaim,
					struct reclaim_scan *scan)
{
	unsigned long pages;
	int i;

	/* Signal completed fences, which make objects idle. */
	reclaim_poll(reclaim);

	for (i = 0; i < ARRAY_SIZE(reclaim_stages) && scan->scanned < scan->nr;
	     i++) {
		const struct reclaim_stage *stage = &reclaim_stages[i];

		if (!reclaim_stage_allowed(reclaim, stage, scan))
			continue;
		if (stage->busy)
			pages = reclaim_run_busy(reclaim, stage->op,
						 scan->nr - scan->scanned,
						 &scan->filter, &scan->scanned);
		else
			pages = drm_gem_shmem_reclaim_run(reclaim, stage->op,
							  scan->nr -
							  scan->scanned,
							  &scan->filter,
							  &scan->scanned);
		if (stage->op == DRM_GEM_SHMEM_RECLAIM_PURGE)
			scan->purged += pages;
		else
			scan->evicted += pages;
	}
	return scan->purged + scan->evicted;
}

static unsigned long reclaim_shrinker_count(struct shrinker *shrinker,
					    struct shrink_control *sc)
{
	struct drm_gem_shmem_reclaim *reclaim = compat_shrinker_data(shrinker);
	struct drm_gem_shmem_reclaim_stats *stats = &reclaim->stats;
	unsigned long nr;

	/* Both with pinned pages: those of others are not ours to reclaim. */
	nr = READ_ONCE(stats->bytes[DRM_GEM_SHMEM_RECLAIM_WILLNEED]) >>
	     PAGE_SHIFT;
	nr = min(nr, reclaim_swap_pages());
	nr += READ_ONCE(stats->purgeable) >> PAGE_SHIFT;
	trace_drm_gem_shmem_reclaim_count(reclaim->dev, nr);
	return nr ?: SHRINK_EMPTY;
}

static unsigned long reclaim_scan_for(struct drm_gem_shmem_reclaim *reclaim,
				      enum reclaim_trigger trigger,
				      struct shrink_control *sc)
{
	struct reclaim_scan scan = {
		.trigger = trigger,
		.nr = sc->nr_to_scan,
		/*
		 * Truncation waits for writeback of swapped pages, and the
		 * caller may be the one to issue it.
		 */
		.may_purge = sc->gfp_mask & __GFP_IO,
		.may_wait = (sc->gfp_mask & __GFP_DIRECT_RECLAIM) &&
			    !current_is_kswapd(),
	};
	unsigned long freed;

	if (trigger == RECLAIM_MEMCG) {
		scan.filter.memcg = sc->memcg;
		scan.filter.nid = sc->nid;
	}
	if (reclaim_is_stalled(reclaim))
		return SHRINK_STOP;

	freed = reclaim_run_stages(reclaim, &scan);

	/* These pages are free: report progress, or else the OOM killer runs. */
	compat_account_reclaimed(scan.purged);
	trace_drm_gem_shmem_reclaim_scan(reclaim->dev, scan.nr, scan.purged,
					 scan.evicted);

	/*
	 * Objects are reclaimed whole, which may be more than requested. Without
	 * any, all are busy: another scan would find the same.
	 */
	sc->nr_scanned = scan.scanned;
	return scan.scanned ? freed : SHRINK_STOP;
}

static unsigned long reclaim_shrinker_scan(struct shrinker *shrinker,
					   struct shrink_control *sc)
{
	return reclaim_scan_for(compat_shrinker_data(shrinker),
				RECLAIM_PRESSURE, sc);
}

static unsigned long reclaim_memcg_shrinker_count(struct shrinker *shrinker,
						  struct shrink_control *sc)
{
	return drm_gem_shmem_reclaim_memcg_count(compat_shrinker_data(shrinker),
						 sc) ?: SHRINK_EMPTY;
}

static unsigned long reclaim_memcg_shrinker_scan(struct shrinker *shrinker,
						 struct shrink_control *sc)
{
	return reclaim_scan_for(compat_shrinker_data(shrinker), RECLAIM_MEMCG,
				sc);
}

static void reclaim_release(struct drm_device *dev, void *data)
{
	struct drm_gem_shmem_reclaim *reclaim = data;

	list_lru_destroy(&reclaim->memcg_lru);
}

/**
 * drm_gem_shmem_reclaim_init - register a device's shrinker
 * @reclaim: the device instance
 * @dev: the device
 * @ops: driver callbacks
 *
 * At least one request should be added before the first object, and
 * &drm_gem_shmem_reclaim.max_purge may be lowered.
 *
 * Returns: 0, or a negative error code.
 */
int drm_gem_shmem_reclaim_init(struct drm_gem_shmem_reclaim *reclaim,
			       struct drm_device *dev,
			       const struct drm_gem_shmem_reclaim_ops *ops)
{
	const char *name = dev->unique ?: dev_name(dev->dev);
	int i, ret;

	reclaim->dev = dev;
	reclaim->ops = ops;
	reclaim->max_purge = DRM_GEM_SHMEM_RECLAIM_MAX_OBJECTS;
	spin_lock_init(&reclaim->lru_lock);
	for (i = 0; i < ARRAY_SIZE(reclaim->lru); i++)
		INIT_LIST_HEAD(&reclaim->lru[i]);
	INIT_LIST_HEAD(&reclaim->requests);
	INIT_LIST_HEAD(&reclaim->late_requests);
	INIT_WORK(&reclaim->late_work, drm_gem_shmem_reclaim_late_work);
	init_waitqueue_head(&reclaim->wait);
	init_llist_head(&reclaim->put_list);
	INIT_WORK(&reclaim->put_work, drm_gem_shmem_reclaim_put_work);

	/* Teach lockdep early that scans take this lock. */
	fs_reclaim_acquire(GFP_KERNEL);
	might_lock(&reclaim->lru_lock);
	fs_reclaim_release(GFP_KERNEL);

	ret = compat_shrinker_register(&reclaim->memcg_shrinker,
				       &reclaim->memcg_lru, name,
				       reclaim_memcg_shrinker_count,
				       reclaim_memcg_shrinker_scan, reclaim);
	if (ret)
		return ret;
	ret = compat_shrinker_register(&reclaim->shrinker, NULL, name,
				       reclaim_shrinker_count,
				       reclaim_shrinker_scan, reclaim);
	if (ret)
		goto err_memcg;
	ret = drm_gem_shmem_reclaim_oom_init(reclaim);
	if (ret)
		goto err_shrinker;
	/* Objects may outlive the shrinkers. */
	ret = drmm_add_action(dev, reclaim_release, reclaim);
	if (ret)
		goto err_oom;
	drm_gem_shmem_reclaim_idle_init(reclaim);
	return 0;

err_oom:
	drm_gem_shmem_reclaim_oom_fini(reclaim);
err_shrinker:
	compat_shrinker_unregister(&reclaim->shrinker);
err_memcg:
	compat_shrinker_unregister(&reclaim->memcg_shrinker);
	list_lru_destroy(&reclaim->memcg_lru);
	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_init);

/**
 * drm_gem_shmem_reclaim_fini - unregister the shrinker and stop the idle timer
 * @reclaim: the device instance
 *
 * No request is submitted after this returns, but some may be in flight: the
 * driver has to complete all of them and call drm_gem_shmem_reclaim_flush().
 * Objects may outlive it, and their functions may still be called.
 */
void drm_gem_shmem_reclaim_fini(struct drm_gem_shmem_reclaim *reclaim)
{
	drm_gem_shmem_reclaim_idle_fini(reclaim);
	drm_gem_shmem_reclaim_oom_fini(reclaim);
	compat_shrinker_unregister(&reclaim->shrinker);
	compat_shrinker_unregister(&reclaim->memcg_shrinker);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_fini);

/**
 * drm_gem_shmem_reclaim_flush - wait for what is left to workers
 * @reclaim: the device instance
 *
 * Late requests that the device has completed, and references to objects. May
 * sleep.
 */
void drm_gem_shmem_reclaim_flush(struct drm_gem_shmem_reclaim *reclaim)
{
	flush_work(&reclaim->late_work);
	flush_work(&reclaim->put_work);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_flush);

/**
 * drm_gem_shmem_reclaim_shrink - reclaim without memory pressure
 * @reclaim: the device instance
 * @nr: number of pages to scan
 *
 * For tests, and before memory goes offline: runs the same stages as a scan,
 * whether or not there is swap space and regardless of the backlog of pages to
 * be swapped. May sleep.
 *
 * Returns: the number of pages freed or made swappable.
 */
unsigned long drm_gem_shmem_reclaim_shrink(struct drm_gem_shmem_reclaim *reclaim,
					   unsigned long nr)
{
	struct reclaim_scan scan = { .trigger = RECLAIM_FORCED, .nr = nr };
	unsigned long freed;

	fs_reclaim_acquire(GFP_KERNEL);
	freed = reclaim_run_stages(reclaim, &scan);
	fs_reclaim_release(GFP_KERNEL);
	return freed;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_shrink);

/**
 * drm_gem_shmem_reclaim_evict_unused - evict objects that are not used
 * @reclaim: the device instance
 * @unused: for how long, in jiffies; not 0
 *
 * Without memory pressure, and whether or not there is swap space: the pages of
 * an evicted object can be moved and swapped when that is needed. May sleep.
 */
void drm_gem_shmem_reclaim_evict_unused(struct drm_gem_shmem_reclaim *reclaim,
					unsigned long unused)
{
	struct reclaim_scan scan = {
		.trigger = RECLAIM_IDLE, .nr = ULONG_MAX,
		.filter.unused = unused,
	};

	reclaim_run_stages(reclaim, &scan);
}

/**
 * drm_gem_shmem_reclaim_purge_marked - purge objects that are DONTNEED
 * @reclaim: the device instance
 * @nr: number of pages to scan; objects without pages count with their size
 *
 * Without memory pressure, and nothing else: no object is evicted. May sleep.
 */
void drm_gem_shmem_reclaim_purge_marked(struct drm_gem_shmem_reclaim *reclaim,
					unsigned long nr)
{
	struct reclaim_scan scan = { .trigger = RECLAIM_DEVICE, .nr = nr };

	reclaim_run_stages(reclaim, &scan);
}

/**
 * drm_gem_shmem_reclaim_add_request - add a preallocated request
 * @reclaim: the device instance
 * @req: the request; owned by @reclaim until drm_gem_shmem_reclaim_fini()
 *
 * The number of requests bounds that of concurrent scans; more wait for one.
 */
void drm_gem_shmem_reclaim_add_request(struct drm_gem_shmem_reclaim *reclaim,
				       struct drm_gem_shmem_reclaim_request *req)
{
	req->reclaim = reclaim;
	spin_lock(&reclaim->lru_lock);
	list_add(&req->node, &reclaim->requests);
	spin_unlock(&reclaim->lru_lock);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_add_request);

/**
 * drm_gem_shmem_reclaim_get_stats - read the statistics
 * @reclaim: the device instance
 * @stats: filled in with a consistent snapshot
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
 * Slab that si_mem_available() counts as available, in pages. Much of it is
 * reclaimed slowly, and the radix tree nodes of swapped pages not at all.
 */
static unsigned long reclaim_slab(void)
{
	return global_node_page_state_pages(NR_SLAB_RECLAIMABLE_B) / 2;
}

/**
 * drm_gem_shmem_reclaim_may_add - whether there is memory for a new object
 * @reclaim: the device instance
 * @size: size of the object in bytes
 *
 * Objects are populated at first use, when it is late to fail. Drivers call this
 * at creation, so that a client that keeps creating and using objects gets an
 * error. It is an estimate: the size of this object is compared with free
 * memory, purgeable memory and swap space.
 *
 * Other unpopulated objects are not taken into account: they hold no memory, so
 * a client with many would fail the objects of all others at no cost, and
 * nothing would stop it.
 *
 * Returns: whether to create the object.
 */
bool drm_gem_shmem_reclaim_may_add(struct drm_gem_shmem_reclaim *reclaim,
				   size_t size)
{
	long available = si_mem_available() - reclaim_slab() +
			 reclaim_swap_pages() -
			 totalram_pages() / RECLAIM_MARGIN_DIVISOR;

	available += READ_ONCE(reclaim->stats.purgeable) >> PAGE_SHIFT;
	return available > 0 && size >> PAGE_SHIFT <= available;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_may_add);

MODULE_DESCRIPTION("Reclaim for DRM SHMEM memory-management helpers");
MODULE_LICENSE("GPL");
