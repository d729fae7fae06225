// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim of drm_gem_shmem objects: requests to the device.
 */

#include <linux/refcount.h>
#include <linux/sched.h>

#include <drm/drm_drv.h>

#include "drm_gem_shmem_reclaim_internal.h"

/*
 * How long a scan waits for the device. Long enough for a device emulated on a
 * loaded host, because failing early can mean an OOM kill. After a timeout the
 * device is skipped for as long, so that tasks in reclaim do not queue up behind
 * one that is stuck.
 */
#define RECLAIM_TIMEOUT		HZ
/* How often waiters poll for completions. */
#define RECLAIM_POLL		max(HZ / 50, 1)

/**
 * drm_gem_shmem_reclaim_put - drop a reference taken by a scan
 * @sobj: the shmem object
 *
 * Freeing an object sends a command to the device, which may allocate and
 * sleep, so the last reference is dropped by a worker.
 */
void drm_gem_shmem_reclaim_put(struct drm_gem_shmem_reclaim_object *sobj)
{
	struct drm_gem_shmem_reclaim *reclaim = sobj->reclaim;

	if (refcount_dec_not_one(&to_gem(sobj)->refcount.refcount))
		return;
	llist_add(&sobj->put_node, &reclaim->put_list);
	queue_work(system_unbound_wq, &reclaim->put_work);
}

/**
 * drm_gem_shmem_reclaim_put_work - drop the last references to objects
 * @work: &drm_gem_shmem_reclaim.put_work
 */
void drm_gem_shmem_reclaim_put_work(struct work_struct *work)
{
	struct drm_gem_shmem_reclaim *reclaim =
		container_of(work, struct drm_gem_shmem_reclaim, put_work);
	struct drm_gem_shmem_reclaim_object *sobj, *next;

	llist_for_each_entry_safe(sobj, next, llist_del_all(&reclaim->put_list),
				  put_node)
		drm_gem_object_put(to_gem(sobj));
}

static struct drm_gem_shmem_reclaim_request *
reclaim_get_request(struct drm_gem_shmem_reclaim *reclaim,
		    enum drm_gem_shmem_reclaim_op op)
{
	struct drm_gem_shmem_reclaim_request *req;

	spin_lock(&reclaim->lru_lock);
	req = list_first_entry_or_null(&reclaim->requests, typeof(*req), node);
	if (req)
		list_del_init(&req->node);
	spin_unlock(&reclaim->lru_lock);

	if (req) {
		req->op = op;
		req->count = 0;
		req->late = false;
		atomic_set(&req->pending, 1);
	}
	return req;
}

/* No task uses the request any more. */
static void reclaim_free_request(struct drm_gem_shmem_reclaim_request *req)
{
	struct drm_gem_shmem_reclaim *reclaim = req->reclaim;
	unsigned int i;

	for (i = 0; i < req->count; i++)
		drm_gem_shmem_reclaim_put(req->objs[i]);

	spin_lock(&reclaim->lru_lock);
	list_add(&req->node, &reclaim->requests);
	spin_unlock(&reclaim->lru_lock);
	wake_up_all(&reclaim->wait);
}

static void reclaim_put_request(struct drm_gem_shmem_reclaim_request *req)
{
	struct drm_gem_shmem_reclaim *reclaim = req->reclaim;

	if (!atomic_dec_and_test(&req->pending))
		return;
	if (!req->late) {
		reclaim_free_request(req);
		return;
	}
	spin_lock(&reclaim->lru_lock);
	list_add_tail(&req->node, &reclaim->late_requests);
	spin_unlock(&reclaim->lru_lock);
	queue_work(system_unbound_wq, &reclaim->late_work);
}

/* Run the second half for the objects of a completed request. */
static unsigned long
reclaim_complete_request(struct drm_gem_shmem_reclaim_request *req)
{
	unsigned long freed = 0;
	unsigned int i;

	for (i = 0; i < req->count; i++) {
		struct drm_gem_shmem_reclaim_object *sobj = req->objs[i];

		/* The owner of the lock runs the second half. */
		if (!reclaim_trylock(sobj))
			continue;
		if (sobj->op != DRM_GEM_SHMEM_RECLAIM_NONE &&
		    reclaim_completed(sobj))
			freed += drm_gem_shmem_reclaim_complete(sobj, false);
		reclaim_unlock(sobj);
	}
	return freed;
}

/**
 * drm_gem_shmem_reclaim_late_work - release the pages of late requests
 * @work: &drm_gem_shmem_reclaim.late_work
 */
void drm_gem_shmem_reclaim_late_work(struct work_struct *work)
{
	struct drm_gem_shmem_reclaim *reclaim =
		container_of(work, struct drm_gem_shmem_reclaim, late_work);
	struct drm_gem_shmem_reclaim_request *req, *next;
	LIST_HEAD(requests);

	spin_lock(&reclaim->lru_lock);
	list_splice_init(&reclaim->late_requests, &requests);
	spin_unlock(&reclaim->lru_lock);

	list_for_each_entry_safe(req, next, &requests, node) {
		reclaim_complete_request(req);
		spin_lock(&reclaim->lru_lock);
		reclaim->late--;
		spin_unlock(&reclaim->lru_lock);
		reclaim_free_request(req);
	}
}

/**
 * drm_gem_shmem_reclaim_done - complete the operation on one object
 * @req: the request that the object is in
 * @sobj: the shmem object
 * @result: 0 if the device holds no reference to the object's pages any more
 *	and, for a purge, none of its contents; -EAGAIN if the request could not
 *	be sent; -EOPNOTSUPP if the object can never be purged, which is not
 *	tried again; another error, which is counted as busy, if the device did
 *	not release the object
 *
 * The driver calls this once for each object of each request it was given, not
 * from interrupt context. The request may be reused as soon as this returns.
 */
void drm_gem_shmem_reclaim_done(struct drm_gem_shmem_reclaim_request *req,
				struct drm_gem_shmem_reclaim_object *sobj,
				int result)
{
	struct drm_gem_shmem_reclaim *reclaim = req->reclaim;

	WRITE_ONCE(reclaim->is_stalled, false);
	WRITE_ONCE(reclaim->is_away, false);
	sobj->result = result;
	/*
	 * From here on any task may run the second half of the operation. The
	 * request's reference keeps the object alive.
	 */
	smp_store_release(&sobj->inflight, false);
	reclaim_put_request(req);
	wake_up_all(&reclaim->wait);
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_done);

/**
 * drm_gem_shmem_reclaim_length - get the number of objects on a list
 * @reclaim: the device instance
 * @state: the list
 * @filter: with a memory cgroup, its list of DONTNEED objects is that
 *
 * Returns: a snapshot.
 */
u64 drm_gem_shmem_reclaim_length(struct drm_gem_shmem_reclaim *reclaim,
				 enum drm_gem_shmem_reclaim_state state,
				 const struct drm_gem_shmem_reclaim_filter *filter)
{
	if (filter->memcg)
		return list_lru_count_one(&reclaim->memcg_lru, filter->nid,
					  filter->memcg);
	return READ_ONCE(reclaim->stats.objects[state]);
}

/**
 * drm_gem_shmem_reclaim_next - get the least recently used object of a list
 * @reclaim: the device instance
 * @state: the list; the object is moved to its tail
 * @filter: with a memory cgroup, its list of DONTNEED objects is that
 * @left: bound of the number of objects to visit; decremented
 *
 * Returns: the shmem object with a reference, or NULL if there is none left.
 */
struct drm_gem_shmem_reclaim_object *
drm_gem_shmem_reclaim_next(struct drm_gem_shmem_reclaim *reclaim,
			   enum drm_gem_shmem_reclaim_state state,
			   const struct drm_gem_shmem_reclaim_filter *filter,
			   u64 *left)
{
	struct drm_gem_shmem_reclaim_object *sobj, *found = NULL;

	if (filter->memcg)
		return drm_gem_shmem_reclaim_memcg_next(reclaim, filter, left);

	spin_lock(&reclaim->lru_lock);
	while (*left && !found) {
		sobj = list_first_entry_or_null(&reclaim->lru[state],
						typeof(*sobj), lru_node);
		if (!sobj) {
			*left = 0;
			break;
		}
		(*left)--;
		list_move_tail(&sobj->lru_node, &reclaim->lru[state]);
		/* An object that is being freed is about to leave the list. */
		if (kref_get_unless_zero(&to_gem(sobj)->refcount))
			found = sobj;
	}
	spin_unlock(&reclaim->lru_lock);
	return found;
}

/* @unused is that of struct drm_gem_shmem_reclaim_filter. */
static bool reclaim_is_eligible(struct drm_gem_shmem_reclaim_object *sobj,
				enum drm_gem_shmem_reclaim_op op,
				unsigned long unused)
{
	struct drm_gem_shmem_object *shmem = sobj->shmem;

	if (sobj->op != DRM_GEM_SHMEM_RECLAIM_NONE || sobj->pin_count ||
	    sobj->purged)
		return false;
	if (unused && time_before(jiffies, READ_ONCE(sobj->last_used) + unused))
		return false;
	if (op == DRM_GEM_SHMEM_RECLAIM_PURGE && !reclaim_is_purgeable(sobj))
		return false;
	if (op == DRM_GEM_SHMEM_RECLAIM_EVICT &&
	    (reclaim_is_purgeable(sobj) || !sobj->resident))
		return false;
	/* Skip objects whose pages are pinned or mapped behind our back. */
	if (READ_ONCE(shmem->pages_use_count) != sobj->resident ||
	    READ_ONCE(shmem->vmap_use_count))
		return false;
	return dma_resv_test_signaled(shmem->base.resv,
				      DMA_RESV_USAGE_BOOKKEEP);
}

/*
 * Run the first half for objects of @nr pages, or as many as the request has
 * room for. Adds to @freed the number of pages released on the way, by
 * operations that turned out to be completed. Returns the size in pages of the
 * objects of both.
 */
static unsigned long
reclaim_fill_request(struct drm_gem_shmem_reclaim_request *req,
		     enum drm_gem_shmem_reclaim_state state, unsigned long nr,
		     const struct drm_gem_shmem_reclaim_filter *filter,
		     u64 *left, unsigned long *freed)
{
	struct drm_gem_shmem_reclaim *reclaim = req->reclaim;
	struct drm_gem_shmem_reclaim_object *sobj;
	unsigned int max = req->op == DRM_GEM_SHMEM_RECLAIM_PURGE ?
			   reclaim->max_purge : ARRAY_SIZE(req->objs);
	unsigned long scanned = 0;

	while (req->count < max && scanned < nr) {
		sobj = drm_gem_shmem_reclaim_next(reclaim, state, filter, left);
		if (!sobj)
			break;
		if (!reclaim_trylock(sobj)) {
			drm_gem_shmem_reclaim_put(sobj);
			continue;
		}
		/* A purge waits for I/O, which only a scan that purges may. */
		if (sobj->op != DRM_GEM_SHMEM_RECLAIM_NONE &&
		    (sobj->op == req->op ||
		     sobj->op != DRM_GEM_SHMEM_RECLAIM_PURGE) &&
		    reclaim_completed(sobj)) {
			*freed += drm_gem_shmem_reclaim_complete(sobj, false);
			scanned += to_gem(sobj)->size >> PAGE_SHIFT;
		}
		if (reclaim_is_eligible(sobj, req->op, filter->unused)) {
			sobj->op = req->op;
			sobj->inflight = true;
			scanned += to_gem(sobj)->size >> PAGE_SHIFT;
			req->objs[req->count++] = sobj;
			reclaim_unlock(sobj);
		} else {
			reclaim_unlock(sobj);
			drm_gem_shmem_reclaim_put(sobj);
		}
	}
	return scanned;
}

/**
 * drm_gem_shmem_reclaim_wait - wait for the device
 * @reclaim: the device instance
 * @done: condition to wait for; must not sleep
 * @arg: argument of @done
 * @end: deadline in jiffies
 *
 * For use during reclaim, with no lock held: polls for completions, because the
 * worker that processes them otherwise may be waiting for memory.
 *
 * Returns: the last result of @done.
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

/**
 * drm_gem_shmem_reclaim_wait_interruptible - wait for the device for a user
 * @reclaim: the device instance
 * @done: condition to wait for; must not sleep
 * @arg: argument of @done
 *
 * For tasks that need an object, with its reservation lock held. A device that
 * is away for a while, such as that of a stopped virtual machine monitor, is
 * waited for: only a signal ends the wait. Polls like
 * drm_gem_shmem_reclaim_wait(), and for the same reason. The driver wakes
 * &drm_gem_shmem_reclaim.wait when @done may have become true, and makes it true
 * when the device is removed.
 *
 * Returns: 0 or -ERESTARTSYS.
 */
int drm_gem_shmem_reclaim_wait_interruptible(struct drm_gem_shmem_reclaim *reclaim,
					     bool (*done)(void *arg), void *arg)
{
	long ret;
	int idx;

	do {
		ret = wait_event_interruptible_timeout(reclaim->wait, done(arg),
						       RECLAIM_POLL);
		/* After the device was removed there is nothing to poll. */
		if (!ret && drm_dev_enter(reclaim->dev, &idx)) {
			reclaim_poll(reclaim);
			drm_dev_exit(idx);
		}
	} while (!ret);
	return ret < 0 ? ret : 0;
}
EXPORT_SYMBOL_GPL(drm_gem_shmem_reclaim_wait_interruptible);

static void reclaim_timed_out(struct drm_gem_shmem_reclaim *reclaim)
{
	reclaim_count(reclaim, &reclaim->stats.timeouts);
	WRITE_ONCE(reclaim->stalled, jiffies + RECLAIM_TIMEOUT);
	WRITE_ONCE(reclaim->is_stalled, true);
}

static bool reclaim_has_request(void *arg)
{
	struct drm_gem_shmem_reclaim *reclaim = arg;

	return !list_empty_careful(&reclaim->requests);
}

/*
 * Get an unused request. All are in use if many tasks are in reclaim: wait for
 * one. Returns NULL after a timeout: none was completed.
 */
static struct drm_gem_shmem_reclaim_request *
reclaim_wait_request(struct drm_gem_shmem_reclaim *reclaim,
		     enum drm_gem_shmem_reclaim_op op)
{
	unsigned long end = jiffies + RECLAIM_TIMEOUT;
	struct drm_gem_shmem_reclaim_request *req;

	do {
		req = reclaim_get_request(reclaim, op);
	} while (!req && drm_gem_shmem_reclaim_wait(reclaim,
						    reclaim_has_request,
						    reclaim, end));
	if (!req)
		reclaim_timed_out(reclaim);
	return req;
}

/* Leave the rest of a request to the worker. */
static void reclaim_give_up(struct drm_gem_shmem_reclaim_request *req)
{
	struct drm_gem_shmem_reclaim *reclaim = req->reclaim;

	req->late = true;
	spin_lock(&reclaim->lru_lock);
	reclaim->late++;
	spin_unlock(&reclaim->lru_lock);
}

static bool reclaim_request_completed(void *arg)
{
	struct drm_gem_shmem_reclaim_request *req = arg;

	/* The remaining count is the scan's own. */
	return atomic_read(&req->pending) == 1;
}

/**
 * drm_gem_shmem_reclaim_run - reclaim idle objects
 * @reclaim: the device instance
 * @op: the operation
 * @nr: number of pages to scan
 * @filter: which objects
 * @scanned: incremented by the size in pages of the objects that were requested,
 *	whether or not that frees any: each costs the device work, and a request
 *	a wait, but some have no pages left in memory, or turn out to be busy
 *
 * For use during reclaim, with no lock held. Each request waits for the device
 * for a second at most, and one that takes longer is the last.
 *
 * Returns: the number of pages freed or made swappable.
 */
unsigned long drm_gem_shmem_reclaim_run(struct drm_gem_shmem_reclaim *reclaim,
					enum drm_gem_shmem_reclaim_op op,
					unsigned long nr,
					const struct drm_gem_shmem_reclaim_filter *filter,
					unsigned long *scanned)
{
	enum drm_gem_shmem_reclaim_state state = reclaim_op_state(op);
	u64 left = drm_gem_shmem_reclaim_length(reclaim, state, filter);
	struct drm_gem_shmem_reclaim_request *req;
	unsigned long freed = 0, done = 0;
	bool completed;

	while (left && done < nr) {
		req = reclaim_wait_request(reclaim, op);
		if (!req)
			break;
		done += reclaim_fill_request(req, state, nr - done, filter,
					     &left, &freed);
		if (!req->count) {
			reclaim_put_request(req);
			break;
		}

		atomic_add(req->count, &req->pending);
		reclaim->ops->submit(req);
		completed = drm_gem_shmem_reclaim_wait(reclaim,
						       reclaim_request_completed,
						       req,
						       jiffies + RECLAIM_TIMEOUT);

		freed += reclaim_complete_request(req);
		if (!completed)
			reclaim_give_up(req);
		reclaim_put_request(req);

		if (!completed) {
			reclaim_timed_out(reclaim);
			break;
		}
	}
	*scanned += done;
	return freed;
}
