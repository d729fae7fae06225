/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of reclaim share among themselves.
 */
#ifndef __DRM_GEM_SHMEM_RECLAIM_INTERNAL_H__
#define __DRM_GEM_SHMEM_RECLAIM_INTERNAL_H__

#include <linux/dma-resv.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>

#include <drm/drm_gem.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_gem_shmem_reclaim.h>

/* drm_gem_shmem_reclaim_object.c */
void drm_gem_shmem_reclaim_update(struct drm_gem_shmem_reclaim_object *robj);
int drm_gem_shmem_reclaim_get_pages(struct drm_gem_shmem_reclaim_object *robj);
unsigned long
drm_gem_shmem_reclaim_finish(struct drm_gem_shmem_reclaim_object *robj,
			     bool keep);

/* drm_gem_shmem_reclaim_batch.c */
void drm_gem_shmem_reclaim_put(struct drm_gem_shmem_reclaim_object *robj);
void drm_gem_shmem_reclaim_put_work(struct work_struct *work);
struct drm_gem_shmem_reclaim_object *
drm_gem_shmem_reclaim_next(struct drm_gem_shmem_reclaim *reclaim,
			   enum drm_gem_shmem_reclaim_state state, u64 *left);
bool drm_gem_shmem_reclaim_wait(struct drm_gem_shmem_reclaim *reclaim,
				bool (*done)(void *arg), void *arg,
				unsigned long end);
unsigned long drm_gem_shmem_reclaim_run(struct drm_gem_shmem_reclaim *reclaim,
					enum drm_gem_shmem_reclaim_op op,
					unsigned long nr);

static inline struct drm_gem_object *
to_gem(struct drm_gem_shmem_reclaim_object *robj)
{
	return &robj->shmem->base;
}

static inline void reclaim_count(struct drm_gem_shmem_reclaim *reclaim,
				 u64 *counter)
{
	spin_lock(&reclaim->lru_lock);
	(*counter)++;
	spin_unlock(&reclaim->lru_lock);
}

/* Learn what the device has answered, if the driver can look for it. */
static inline void reclaim_poll(struct drm_gem_shmem_reclaim *reclaim)
{
	if (reclaim->ops->poll)
		reclaim->ops->poll(reclaim);
}

/*
 * Have the locks under which something can be taken from an object, or not: we
 * may be here because their owner is allocating.
 */
static inline bool reclaim_trylock(struct drm_gem_shmem_reclaim_object *robj)
{
	if (!dma_resv_trylock(to_gem(robj)->resv))
		return false;
	if (mutex_trylock(&robj->shmem->pages_lock))
		return true;
	dma_resv_unlock(to_gem(robj)->resv);
	return false;
}

static inline void reclaim_unlock(struct drm_gem_shmem_reclaim_object *robj)
{
	mutex_unlock(&robj->shmem->pages_lock);
	dma_resv_unlock(to_gem(robj)->resv);
}

static inline bool reclaim_answered(struct drm_gem_shmem_reclaim_object *robj)
{
	/* Pairs with the release in drm_gem_shmem_reclaim_done(). */
	return !smp_load_acquire(&robj->inflight);
}

/* The list to take objects from. */
static inline enum drm_gem_shmem_reclaim_state
reclaim_source(enum drm_gem_shmem_reclaim_op op)
{
	return op == DRM_GEM_SHMEM_RECLAIM_PURGE ?
	       DRM_GEM_SHMEM_RECLAIM_DONTNEED : DRM_GEM_SHMEM_RECLAIM_WILLNEED;
}

#endif /* __DRM_GEM_SHMEM_RECLAIM_INTERNAL_H__ */
