// SPDX-License-Identifier: GPL-2.0
/*
 * Batches of objects that the device is asked to let go of.
 */

#include <linux/refcount.h>
#include <linux/sched.h>

#include "drm_gem_shmem_reclaim_internal.h"

/*
 * How long a scan waits for the device. Long enough for a device that is
 * emulated by a busy host: giving up early means an OOM kill. When a device was
 * late it is not asked again for as long, so that reclaim does not queue up
 * behind one that is stuck.
 */
#define RECLAIM_TIMEOUT		HZ
/* How often whoever waits looks for answers. */
#define RECLAIM_POLL		max(HZ / 50, 1)

/**
 * drm_gem_shmem_reclaim_put - drop a reference taken by a scan
 * @robj: the object's part
 *
 * To free an object takes talking to the device, which may allocate and wait,
 * so the last one is dropped elsewhere.
 */
void drm_gem_shmem_reclaim_put(struct drm_gem_shmem_reclaim_object *robj)
{
	struct drm_gem_shmem_reclaim *reclaim = robj->reclaim;

	if (refcount_dec_not_one(&to_gem(robj)->refcount.refcount))
		return;
	llist_add(&robj->put_node, &reclaim->put_list);
	queue_work(system_unbound_wq, &reclaim->put_work);
}

/**
 * drm_gem_shmem_reclaim_put_work - &drm_gem_shmem_reclaim.put_work
 * @work: that
 */
void drm_gem_shmem_reclaim_put_work(struct work_struct *work)
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
		drm_gem_shmem_reclaim_put(batch->objs[i]);

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

/**
 * drm_gem_shmem_reclaim_next - take a reference to the next object to look at
 * @reclaim: the device's part
 * @state: the list, of which it becomes the last one
 * @left: how many may be looked at; counted down
 *
 * Returns: the object's part, or NULL if there is no more.
 */
struct drm_gem_shmem_reclaim_object *
drm_gem_shmem_reclaim_next(struct drm_gem_shmem_reclaim *reclaim,
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
		robj = drm_gem_shmem_reclaim_next(reclaim, state, left);
		if (!robj)
			break;
		if (!reclaim_trylock(robj)) {
			drm_gem_shmem_reclaim_put(robj);
			continue;
		}
		if (robj->op != DRM_GEM_SHMEM_RECLAIM_NONE &&
		    reclaim_answered(robj))
			freed += drm_gem_shmem_reclaim_finish(robj, false);
		if (reclaim_may(robj, batch->op)) {
			robj->op = batch->op;
			robj->inflight = true;
			marked += to_gem(robj)->size >> PAGE_SHIFT;
			batch->objs[batch->count++] = robj;
			reclaim_unlock(robj);
		} else {
			reclaim_unlock(robj);
			drm_gem_shmem_reclaim_put(robj);
		}
	}
	return freed;
}

/**
 * drm_gem_shmem_reclaim_wait - wait for what the device does
 * @reclaim: the device's part
 * @done: whether it has done so; must not sleep
 * @arg: for @done
 * @end: in jiffies, when to give up
 *
 * To be called during reclaim, with no lock held: looks for answers by itself,
 * because whoever does that otherwise may be waiting for memory.
 *
 * Returns: what @done said last.
 */
bool drm_gem_shmem_reclaim_wait(struct drm_gem_shmem_reclaim *reclaim,
				bool (*done)(void *arg), void *arg,
				unsigned long end)
{
	bool is_done;
	DEFINE_WAIT(wait);

	for (;;) {
		prepare_to_wait(&reclaim->wait, &wait, TASK_UNINTERRUPTIBLE);
		reclaim_poll(reclaim);
		is_done = done(arg);
		if (is_done || time_after(jiffies, end))
			break;
		schedule_timeout(RECLAIM_POLL);
	}
	finish_wait(&reclaim->wait, &wait);
	return is_done;
}

static bool reclaim_batch_answered(void *arg)
{
	struct drm_gem_shmem_reclaim_batch *batch = arg;

	/* What is left is the scan's own. */
	return atomic_read(&batch->pending) == 1;
}

/**
 * drm_gem_shmem_reclaim_run - take from idle objects
 * @reclaim: the device's part
 * @op: what to do to them
 * @nr: pages wanted
 *
 * To be called during reclaim, with no lock held. Waits for the device, but no
 * longer than a second.
 *
 * Returns: the number of pages freed or made swappable.
 */
unsigned long drm_gem_shmem_reclaim_run(struct drm_gem_shmem_reclaim *reclaim,
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
		answered = drm_gem_shmem_reclaim_wait(reclaim,
						      reclaim_batch_answered,
						      batch,
						      jiffies + RECLAIM_TIMEOUT);

		for (i = 0; i < batch->count; i++) {
			robj = batch->objs[i];
			/* Otherwise its user completes it. */
			if (!reclaim_trylock(robj))
				continue;
			if (robj->op != DRM_GEM_SHMEM_RECLAIM_NONE &&
			    reclaim_answered(robj))
				freed += drm_gem_shmem_reclaim_finish(robj, false);
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
