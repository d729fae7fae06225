// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim of the memory behind drm_gem_shmem objects.
 */

#include <linux/bits.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/swap.h>
#ifdef CONFIG_X86
#include <asm/set_memory.h>
#endif

#include <drm/drm_device.h>
#include <drm/drm_gem.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_gem_shmem_reclaim.h>
#include <drm/drm_vma_manager.h>

#define CREATE_TRACE_POINTS
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
 * How long a scan waits for the device. Long enough for a device that is
 * emulated by a busy host: giving up early means an OOM kill. When a device was
 * late it is not asked again for as long, so that reclaim does not queue up
 * behind one that is stuck.
 */
#define RECLAIM_TIMEOUT		HZ
/*
 * How long a scan that found nothing idle waits for what is busy: a few frames.
 * Whoever allocates is held up by it, and other memory may be easier to get.
 */
#define RECLAIM_BUSY_TIMEOUT	max(HZ / 20, 1)
/* How often a scan that waits looks for answers by itself. */
#define RECLAIM_POLL		max(HZ / 50, 1)
/*
 * How long those wait who need an object that the device is to let go of. They
 * can be interrupted, and there is nothing else they could do.
 */
#define RECLAIM_SETTLE_TIMEOUT	(10 * HZ)
/* The part of memory that may wait to be swapped; see reclaim_is_ahead(). */
#define RECLAIM_AHEAD		16
/* How many objects are looked at to know. */
#define RECLAIM_AHEAD_OBJECTS	256
/*
 * The part of memory that new objects have to leave to others. The last bit
 * would be fought for.
 */
#define RECLAIM_MARGIN		32
/* As in mm/: map this many pages around the one that was touched. */
#define RECLAIM_FAULT_AROUND	16UL
/*
 * How often a page fault tries to get an object's pages, and how long it waits
 * the first time; twice as long each time after that. When even then there is
 * no memory, who wants it gets a SIGBUS. To let the page fault handler sort it
 * out would be an OOM kill, and the victim could be anyone: pages of objects
 * are not counted as anybody's.
 */
#define RECLAIM_FAULT_TRIES	5
#define RECLAIM_FAULT_DELAY	max(HZ / 50, 1)

static struct drm_gem_object *
to_gem(struct drm_gem_shmem_reclaim_object *robj)
{
	return &robj->shmem->base;
}

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

/*
 * reclaim_update - put an object at the end of the list where it belongs now
 *
 * The only place where objects change lists. To be called after any change of
 * what reclaim_state() looks at, and to tell that an object was used.
 */
static void reclaim_update(struct drm_gem_shmem_reclaim_object *robj)
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

static void reclaim_count(struct drm_gem_shmem_reclaim *reclaim, u64 *counter)
{
	spin_lock(&reclaim->lru_lock);
	(*counter)++;
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

static int reclaim_get_pages(struct drm_gem_shmem_reclaim_object *robj)
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

/*
 * Have the locks under which something can be taken from an object, or not: we
 * may be here because their owner is allocating.
 */
static bool reclaim_trylock(struct drm_gem_shmem_reclaim_object *robj)
{
	if (!dma_resv_trylock(to_gem(robj)->resv))
		return false;
	if (mutex_trylock(&robj->shmem->pages_lock))
		return true;
	dma_resv_unlock(to_gem(robj)->resv);
	return false;
}

static void reclaim_unlock(struct drm_gem_shmem_reclaim_object *robj)
{
	mutex_unlock(&robj->shmem->pages_lock);
	dma_resv_unlock(to_gem(robj)->resv);
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

static bool reclaim_answered(struct drm_gem_shmem_reclaim_object *robj)
{
	/* Pairs with the release in drm_gem_shmem_reclaim_done(). */
	return !smp_load_acquire(&robj->inflight);
}

/*
 * The second half: the device has answered. Returns the number of pages freed
 * or made swappable. With @keep, pages that matter stay.
 */
static unsigned long
reclaim_finish(struct drm_gem_shmem_reclaim_object *robj, bool keep)
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

	reclaim_update(robj);
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
	reclaim_finish(robj, true);
	mutex_unlock(&robj->shmem->pages_lock);
	return 0;
}

/*
 * Drop a reference taken by a scan. To free an object takes talking to the
 * device, which may allocate and wait, so the last one is dropped elsewhere.
 */
static void reclaim_put(struct drm_gem_shmem_reclaim_object *robj)
{
	struct drm_gem_shmem_reclaim *reclaim = robj->reclaim;

	if (refcount_dec_not_one(&to_gem(robj)->refcount.refcount))
		return;
	llist_add(&robj->put_node, &reclaim->put_list);
	queue_work(system_unbound_wq, &reclaim->put_work);
}

static void reclaim_put_work(struct work_struct *work)
{
	struct drm_gem_shmem_reclaim *reclaim =
		container_of(work, struct drm_gem_shmem_reclaim, put_work);
	struct drm_gem_shmem_reclaim_object *robj, *next;

	llist_for_each_entry_safe(robj, next, llist_del_all(&reclaim->put_list),
				  put_node)
		drm_gem_object_put(to_gem(robj));
}

static struct drm_gem_shmem_reclaim_batch *
reclaim_get_batch(struct drm_gem_shmem_reclaim *reclaim,
		  enum drm_gem_shmem_reclaim_op op)
{
	struct drm_gem_shmem_reclaim_batch *batch;

	spin_lock(&reclaim->lru_lock);
	batch = list_first_entry_or_null(&reclaim->batches, typeof(*batch),
					 node);
	if (batch)
		list_del_init(&batch->node);
	spin_unlock(&reclaim->lru_lock);

	if (batch) {
		batch->op = op;
		batch->count = 0;
		atomic_set(&batch->pending, 1);
	}
	return batch;
}

static void reclaim_put_batch(struct drm_gem_shmem_reclaim_batch *batch)
{
	struct drm_gem_shmem_reclaim *reclaim = batch->reclaim;
	unsigned int i;

	if (!atomic_dec_and_test(&batch->pending))
		return;

	for (i = 0; i < batch->count; i++)
		reclaim_put(batch->objs[i]);

	spin_lock(&reclaim->lru_lock);
	list_add(&batch->node, &reclaim->batches);
	spin_unlock(&reclaim->lru_lock);
}

/**
 * drm_gem_shmem_reclaim_done - tell what the device answered
 * @batch: the batch that the object is in
 * @robj: the object
 * @result: 0 if the device holds no reference to the object's pages any more
 *	and, for a purge, none of its contents; -EAGAIN if it could not be asked
 *	now, which is not worth mentioning; any other error if it refused
 *
 * To be called once for each object of each batch that the driver was given,
 * not in interrupt context. The batch may be gone afterwards.
 */
void drm_gem_shmem_reclaim_done(struct drm_gem_shmem_reclaim_batch *batch,
				struct drm_gem_shmem_reclaim_object *robj,
				int result)
{
	struct drm_gem_shmem_reclaim *reclaim = batch->reclaim;

	WRITE_ONCE(reclaim->is_stalled, false);
	robj->result = result;
	/*
	 * Whoever sees this may complete the operation. The object stays until
	 * the batch is put.
	 */
	smp_store_release(&robj->inflight, false);
	reclaim_put_batch(batch);
	wake_up_all(&reclaim->wait);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_done);

/* Take a reference to the next object to look at, and make it the last one. */
static struct drm_gem_shmem_reclaim_object *
reclaim_next(struct drm_gem_shmem_reclaim *reclaim,
	     enum drm_gem_shmem_reclaim_state state, u64 *left)
{
	struct drm_gem_shmem_reclaim_object *robj, *found = NULL;

	spin_lock(&reclaim->lru_lock);
	while (*left && !found) {
		robj = list_first_entry_or_null(&reclaim->lru[state],
						typeof(*robj), lru_node);
		if (!robj) {
			*left = 0;
			break;
		}
		(*left)--;
		list_move_tail(&robj->lru_node, &reclaim->lru[state]);
		/* Otherwise it is about to leave the list. */
		if (kref_get_unless_zero(&to_gem(robj)->refcount))
			found = robj;
	}
	spin_unlock(&reclaim->lru_lock);
	return found;
}

static bool reclaim_may(struct drm_gem_shmem_reclaim_object *robj,
			enum drm_gem_shmem_reclaim_op op)
{
	struct drm_gem_shmem_object *shmem = robj->shmem;

	if (robj->op != DRM_GEM_SHMEM_RECLAIM_NONE || robj->pin_count ||
	    robj->purged)
		return false;
	if (op == DRM_GEM_SHMEM_RECLAIM_PURGE && !robj->dontneed)
		return false;
	if (op == DRM_GEM_SHMEM_RECLAIM_EVICT &&
	    (robj->dontneed || !robj->resident))
		return false;
	/* Someone did not pin it first, as they should have. Play safe. */
	if (READ_ONCE(shmem->pages_use_count) != robj->resident ||
	    READ_ONCE(shmem->vmap_use_count))
		return false;
	return dma_resv_test_signaled(shmem->base.resv,
				      DMA_RESV_USAGE_BOOKKEEP);
}

/*
 * The first half for as many objects as it takes to get at @nr pages. Returns
 * the number of pages of those that turned out to be complete already.
 */
static unsigned long reclaim_fill(struct drm_gem_shmem_reclaim_batch *batch,
				  enum drm_gem_shmem_reclaim_state state,
				  unsigned long nr, u64 *left)
{
	struct drm_gem_shmem_reclaim *reclaim = batch->reclaim;
	struct drm_gem_shmem_reclaim_object *robj;
	unsigned long freed = 0, marked = 0;

	while (batch->count < ARRAY_SIZE(batch->objs) && freed + marked < nr) {
		robj = reclaim_next(reclaim, state, left);
		if (!robj)
			break;
		if (!reclaim_trylock(robj)) {
			reclaim_put(robj);
			continue;
		}
		if (robj->op != DRM_GEM_SHMEM_RECLAIM_NONE &&
		    reclaim_answered(robj))
			freed += reclaim_finish(robj, false);
		if (reclaim_may(robj, batch->op)) {
			robj->op = batch->op;
			robj->inflight = true;
			marked += to_gem(robj)->size >> PAGE_SHIFT;
			batch->objs[batch->count++] = robj;
			reclaim_unlock(robj);
		} else {
			reclaim_unlock(robj);
			reclaim_put(robj);
		}
	}
	return freed;
}

static bool reclaim_wait(struct drm_gem_shmem_reclaim_batch *batch)
{
	struct drm_gem_shmem_reclaim *reclaim = batch->reclaim;
	unsigned long end = jiffies + RECLAIM_TIMEOUT;
	bool answered;
	DEFINE_WAIT(wait);

	for (;;) {
		prepare_to_wait(&reclaim->wait, &wait, TASK_UNINTERRUPTIBLE);
		if (reclaim->ops->poll)
			reclaim->ops->poll(reclaim);
		answered = atomic_read(&batch->pending) == 1;
		if (answered || time_after(jiffies, end))
			break;
		schedule_timeout(RECLAIM_POLL);
	}
	finish_wait(&reclaim->wait, &wait);
	return answered;
}

/* The list to take objects from. */
static enum drm_gem_shmem_reclaim_state
reclaim_source(enum drm_gem_shmem_reclaim_op op)
{
	return op == DRM_GEM_SHMEM_RECLAIM_PURGE ?
	       DRM_GEM_SHMEM_RECLAIM_DONTNEED : DRM_GEM_SHMEM_RECLAIM_WILLNEED;
}

static unsigned long reclaim_run(struct drm_gem_shmem_reclaim *reclaim,
				 enum drm_gem_shmem_reclaim_op op,
				 unsigned long nr)
{
	enum drm_gem_shmem_reclaim_state state = reclaim_source(op);
	u64 left = READ_ONCE(reclaim->stats.objects[state]);
	struct drm_gem_shmem_reclaim_object *robj;
	struct drm_gem_shmem_reclaim_batch *batch;
	unsigned long freed = 0;
	unsigned int i;
	bool answered;

	while (left && freed < nr) {
		batch = reclaim_get_batch(reclaim, op);
		if (!batch)
			break;
		freed += reclaim_fill(batch, state, nr - freed, &left);
		if (!batch->count) {
			reclaim_put_batch(batch);
			break;
		}

		atomic_add(batch->count, &batch->pending);
		reclaim->ops->submit(batch);
		answered = reclaim_wait(batch);

		for (i = 0; i < batch->count; i++) {
			robj = batch->objs[i];
			/* Otherwise its user completes it. */
			if (!reclaim_trylock(robj))
				continue;
			if (robj->op != DRM_GEM_SHMEM_RECLAIM_NONE &&
			    reclaim_answered(robj))
				freed += reclaim_finish(robj, false);
			reclaim_unlock(robj);
		}
		reclaim_put_batch(batch);

		if (!answered) {
			reclaim_count(reclaim, &reclaim->stats.timeouts);
			WRITE_ONCE(reclaim->stalled, jiffies + RECLAIM_TIMEOUT);
			WRITE_ONCE(reclaim->is_stalled, true);
			break;
		}
	}
	return freed;
}

/* Whether an object was busy and became idle in time. */
static bool reclaim_wait_fences(struct drm_gem_shmem_reclaim_object *robj,
				unsigned long end)
{
	struct drm_gem_shmem_reclaim *reclaim = robj->reclaim;
	struct dma_resv *resv = to_gem(robj)->resv;
	bool idle;
	DEFINE_WAIT(wait);

	/* Then it is something else that is in the way. */
	if (dma_resv_test_signaled(resv, DMA_RESV_USAGE_BOOKKEEP))
		return false;

	for (;;) {
		prepare_to_wait(&reclaim->wait, &wait, TASK_UNINTERRUPTIBLE);
		if (reclaim->ops->poll)
			reclaim->ops->poll(reclaim);
		idle = dma_resv_test_signaled(resv, DMA_RESV_USAGE_BOOKKEEP);
		if (idle || time_after(jiffies, end))
			break;
		schedule_timeout(RECLAIM_POLL);
	}
	finish_wait(&reclaim->wait, &wait);
	return idle;
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
		robj = reclaim_next(reclaim, state, &left);
		if (!robj)
			break;
		idle = reclaim_wait_fences(robj, end);
		reclaim_put(robj);
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
		freed += reclaim_run(reclaim, op, nr - freed);
	}
	return freed;
}

/* Without swap, evicting would move pages to lists and no further. */
static unsigned long reclaim_can_swap(void)
{
	long nr = get_nr_swap_pages();

	return nr > 0 ? nr : 0;
}

/*
 * Evicted objects only begin to give memory back when their pages are written
 * to swap. As long as there are plenty of pages waiting for that, evicting more
 * objects brings no memory any sooner, and it is paid for when they are used
 * next. The last ones evicted are looked at, because the others' pages are
 * likely gone.
 */
static bool reclaim_is_ahead(struct drm_gem_shmem_reclaim *reclaim)
{
	unsigned long enough = totalram_pages() / RECLAIM_AHEAD;
	struct drm_gem_shmem_reclaim_object *robj;
	unsigned int left = RECLAIM_AHEAD_OBJECTS;
	unsigned long nr = 0;

	spin_lock(&reclaim->lru_lock);
	list_for_each_entry_reverse(robj,
				    &reclaim->lru[DRM_GEM_SHMEM_RECLAIM_EVICTED],
				    lru_node) {
		nr += READ_ONCE(to_gem(robj)->filp->f_mapping->nrpages);
		if (nr >= enough || !--left)
			break;
	}
	spin_unlock(&reclaim->lru_lock);
	return nr >= enough;
}

static unsigned long reclaim_shrinker_count(struct shrinker *shrinker,
					    struct shrink_control *sc)
{
	struct drm_gem_shmem_reclaim *reclaim =
		container_of(shrinker, struct drm_gem_shmem_reclaim, shrinker);
	u64 *bytes = reclaim->stats.bytes;
	unsigned long nr;

	nr = READ_ONCE(bytes[DRM_GEM_SHMEM_RECLAIM_WILLNEED]) >> PAGE_SHIFT;
	nr = min(nr, reclaim_can_swap());
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
	if (reclaim->ops->poll)
		reclaim->ops->poll(reclaim);

	/*
	 * Truncating waits for pages on their way to swap, and the caller may
	 * be who is to write them.
	 */
	if (may_purge)
		purged = reclaim_run(reclaim, DRM_GEM_SHMEM_RECLAIM_PURGE, nr);
	may_evict = reclaim_can_swap() && !reclaim_is_ahead(reclaim);
	if (may_evict && purged < nr)
		evicted = reclaim_run(reclaim, DRM_GEM_SHMEM_RECLAIM_EVICT,
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
	INIT_WORK(&reclaim->put_work, reclaim_put_work);

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
	if (reclaim->ops->poll)
		reclaim->ops->poll(reclaim);
	freed = reclaim_run(reclaim, DRM_GEM_SHMEM_RECLAIM_PURGE, nr);
	if (freed < nr)
		freed += reclaim_run(reclaim, DRM_GEM_SHMEM_RECLAIM_EVICT,
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
	s64 have = si_mem_available() + reclaim_can_swap() -
		   totalram_pages() / RECLAIM_MARGIN;
	u64 *bytes = reclaim->stats.bytes;
	s64 want = size;

	want += READ_ONCE(bytes[DRM_GEM_SHMEM_RECLAIM_EMPTY]);
	want -= READ_ONCE(bytes[DRM_GEM_SHMEM_RECLAIM_DONTNEED]);
	return want <= have << PAGE_SHIFT;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_may_add);

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
		ret = reclaim_get_pages(robj);
	reclaim_update(robj);
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
		ret = reclaim_get_pages(robj);
	if (!ret)
		robj->pin_count++;
	reclaim_update(robj);
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
	reclaim_update(robj);
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
	reclaim_update(robj);
	return 0;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_madvise);

/**
 * drm_gem_shmem_reclaim_mmap - prepare a mapping that does not pin the pages
 * @robj: the object's part, managed or not
 * @shmem: the object
 * @vma: the mapping
 *
 * The driver's &vm_operations_struct must use drm_gem_shmem_reclaim_fault(),
 * drm_gem_vm_open() and drm_gem_vm_close(). An object that is not managed must
 * have its pages for all its life.
 *
 * Returns: 0; -ENODATA if the contents may go, whether or not they are gone
 * already: whoever maps an object wants something of it; another
 * negative error code if it cannot be mapped like this.
 */
int drm_gem_shmem_reclaim_mmap(struct drm_gem_shmem_reclaim_object *robj,
			       struct drm_gem_shmem_object *shmem,
			       struct vm_area_struct *vma)
{
	int ret;

	if (is_cow_mapping(vma->vm_flags))
		return -EINVAL;

	if (drm_gem_shmem_reclaim_is_managed(robj)) {
		ret = dma_resv_lock_interruptible(shmem->base.resv, NULL);
		if (ret)
			return ret;
		if (robj->dontneed && !robj->pin_count)
			ret = -ENODATA;
		dma_resv_unlock(shmem->base.resv);
		if (ret)
			return ret;
	}

	vma->vm_flags |= VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP;
	vma->vm_page_prot = vm_get_page_prot(vma->vm_flags);
	if (shmem->map_wc)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);
	return 0;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_mmap);

static vm_fault_t reclaim_map_around(struct drm_gem_shmem_object *shmem,
				     struct vm_fault *vmf, pgoff_t offset)
{
	struct vm_area_struct *vma = vmf->vma;
	pgoff_t nr_pages = shmem->base.size >> PAGE_SHIFT;
	pgoff_t vma_offset = vma->vm_pgoff -
			     drm_vma_node_start(&shmem->base.vma_node);
	pgoff_t first = max(round_down(offset, RECLAIM_FAULT_AROUND),
			    vma_offset);
	pgoff_t last = min3(round_down(offset, RECLAIM_FAULT_AROUND) +
			    RECLAIM_FAULT_AROUND, nr_pages,
			    vma_offset + vma_pages(vma));
	vm_fault_t ret;
	pgoff_t i;

	ret = vmf_insert_pfn(vma, vmf->address,
			     page_to_pfn(shmem->pages[offset]));
	if (ret & VM_FAULT_ERROR)
		return ret;

	/* The others are a favour: nobody minds if they are not there. */
	for (i = first; i < last; i++) {
		if (i == offset)
			continue;
		if (vmf_insert_pfn(vma, vma->vm_start +
				   ((i - vma_offset) << PAGE_SHIFT),
				   page_to_pfn(shmem->pages[i])) &
		    VM_FAULT_ERROR)
			break;
	}
	return ret;
}

/**
 * drm_gem_shmem_reclaim_fault - have the page there that was touched
 * @robj: the object's part, managed or not
 * @shmem: the object
 * @vmf: the fault
 *
 * Gets the pages of an object back from wherever they are. Touching one that
 * was purged and not asked back is a SIGBUS, and so is touching one for which
 * there is no memory.
 *
 * Returns: what &vm_operations_struct.fault returns.
 */
vm_fault_t drm_gem_shmem_reclaim_fault(struct drm_gem_shmem_reclaim_object *robj,
				       struct drm_gem_shmem_object *shmem,
				       struct vm_fault *vmf)
{
	struct drm_gem_object *obj = &shmem->base;
	/* What is left after the fake offset is right in a partial mapping. */
	pgoff_t offset = vmf->pgoff - drm_vma_node_start(&obj->vma_node);
	unsigned int tries = 0, delay = RECLAIM_FAULT_DELAY;
	vm_fault_t ret;
	int err = 0;

	if (offset >= obj->size >> PAGE_SHIFT)
		return VM_FAULT_SIGBUS;

	for (;;) {
		/* A signal: the fault is tried again if it does not kill us. */
		if (dma_resv_lock_interruptible(obj->resv, NULL))
			return VM_FAULT_NOPAGE;

		if (drm_gem_shmem_reclaim_is_managed(robj)) {
			err = reclaim_get_pages(robj);
			reclaim_update(robj);
		} else if (WARN_ON_ONCE(!shmem->pages)) {
			err = -EFAULT;
		}
		if (err != -ENOMEM || ++tries == RECLAIM_FAULT_TRIES)
			break;

		dma_resv_unlock(obj->resv);
		if (schedule_timeout_killable(delay))
			return VM_FAULT_NOPAGE;
		delay *= 2;
	}

	switch (err) {
	case 0:
		ret = reclaim_map_around(shmem, vmf, offset);
		break;
	case -EINTR:
	case -EAGAIN:
		ret = VM_FAULT_NOPAGE;
		break;
	default:
		ret = VM_FAULT_SIGBUS;
		break;
	}

	dma_resv_unlock(obj->resv);
	return ret;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_fault);

MODULE_DESCRIPTION("Reclaim for DRM SHMEM memory-management helpers");
MODULE_LICENSE("GPL");
