// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim of drm_gem_shmem objects: before the OOM killer kills somebody.
 */

#include <linux/oom.h>

#include "drm_gem_shmem_reclaim_internal.h"

/*
 * How long the OOM killer waits for a device that is late. A host that is short
 * of memory itself may take seconds, and they cost less than a process.
 */
#define RECLAIM_OOM_TIMEOUT	(10 * HZ)

struct reclaim_oom {
	struct drm_gem_shmem_reclaim *reclaim;
	/* Objects that were reclaimed before. */
	u64 reclaimed;
};

/* How many objects have been reclaimed so far. */
static u64 reclaim_oom_reclaimed(struct drm_gem_shmem_reclaim *reclaim)
{
	u64 reclaimed;

	spin_lock(&reclaim->lru_lock);
	reclaimed = reclaim->stats.purges + reclaim->stats.evictions;
	spin_unlock(&reclaim->lru_lock);
	return reclaimed;
}

/* Whether an object has been reclaimed, or there are no late requests left. */
static bool reclaim_oom_is_over(void *arg)
{
	struct reclaim_oom *oom = arg;

	return !READ_ONCE(oom->reclaim->late) ||
	       reclaim_oom_reclaimed(oom->reclaim) != oom->reclaimed;
}

/*
 * A scan waits for the device for a second, and a task that fails to reclaim
 * tries a few times. If objects are still on their way to the device then, they
 * are memory that is about to be free. Once for each time that the device ceases
 * to respond: it may not come back. Called by any task that allocates, with its
 * locks held, so the pages are left to the worker, or the scan of another task.
 *
 * Each object that was reclaimed counts as a page: it may have had none in
 * memory, but a device that is back can reclaim others, so another try is due.
 */
static int reclaim_oom_notify(struct notifier_block *nb, unsigned long action,
			      void *data)
{
	struct drm_gem_shmem_reclaim *reclaim =
		container_of(nb, struct drm_gem_shmem_reclaim, oom_notifier);
	struct reclaim_oom oom = {
		.reclaim = reclaim,
		.reclaimed = reclaim_oom_reclaimed(reclaim),
	};
	unsigned long *freed = data;

	if (READ_ONCE(reclaim->is_away))
		return NOTIFY_OK;
	if (!drm_gem_shmem_reclaim_wait(reclaim, reclaim_oom_is_over, &oom,
					jiffies + RECLAIM_OOM_TIMEOUT))
		WRITE_ONCE(reclaim->is_away, true);

	*freed += reclaim_oom_reclaimed(reclaim) - oom.reclaimed;
	return NOTIFY_OK;
}

/**
 * drm_gem_shmem_reclaim_oom_init - have the OOM killer wait for the device
 * @reclaim: the device instance
 *
 * Returns: 0, or a negative error code.
 */
int drm_gem_shmem_reclaim_oom_init(struct drm_gem_shmem_reclaim *reclaim)
{
	reclaim->oom_notifier.notifier_call = reclaim_oom_notify;
	return register_oom_notifier(&reclaim->oom_notifier);
}

/**
 * drm_gem_shmem_reclaim_oom_fini - undo drm_gem_shmem_reclaim_oom_init()
 * @reclaim: the device instance
 *
 * May sleep.
 */
void drm_gem_shmem_reclaim_oom_fini(struct drm_gem_shmem_reclaim *reclaim)
{
	unregister_oom_notifier(&reclaim->oom_notifier);
}
