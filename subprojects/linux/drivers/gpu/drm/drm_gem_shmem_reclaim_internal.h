/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reclaim of drm_gem_shmem objects: internal interface of its files.
 */
#ifndef __DRM_GEM_SHMEM_RECLAIM_INTERNAL_H__
#define __DRM_GEM_SHMEM_RECLAIM_INTERNAL_H__

#include <linux/dma-resv.h>
#include <linux/jiffies.h>
#include <linux/mutex.h>

#include <drm/drm_gem.h>
#include <drm/drm_gem_shmem_helper.h>
#include <drm/drm_gem_shmem_reclaim.h>

/**
 * struct drm_gem_shmem_reclaim_filter - which objects to reclaim
 */
struct drm_gem_shmem_reclaim_filter {
	/** @unused: those not used for so long, in jiffies; 0 for all */
	unsigned long unused;
	/** @memcg: those of this memory cgroup; NULL for all */
	struct mem_cgroup *memcg;
	/** @nid: with @memcg: those whose tag is on this NUMA node */
	int nid;
};

/* drm_gem_shmem_reclaim_object.c */
void drm_gem_shmem_reclaim_update(struct drm_gem_shmem_reclaim_object *sobj);
int drm_gem_shmem_reclaim_populate(struct drm_gem_shmem_reclaim_object *sobj);
unsigned long
drm_gem_shmem_reclaim_complete(struct drm_gem_shmem_reclaim_object *sobj,
			       bool keep);

/* drm_gem_shmem_reclaim_request.c */
void drm_gem_shmem_reclaim_put(struct drm_gem_shmem_reclaim_object *sobj);
void drm_gem_shmem_reclaim_put_work(struct work_struct *work);
void drm_gem_shmem_reclaim_late_work(struct work_struct *work);
u64 drm_gem_shmem_reclaim_length(struct drm_gem_shmem_reclaim *reclaim,
				 enum drm_gem_shmem_reclaim_state state,
				 const struct drm_gem_shmem_reclaim_filter *filter);
struct drm_gem_shmem_reclaim_object *
drm_gem_shmem_reclaim_next(struct drm_gem_shmem_reclaim *reclaim,
			   enum drm_gem_shmem_reclaim_state state,
			   const struct drm_gem_shmem_reclaim_filter *filter,
			   u64 *left);
bool drm_gem_shmem_reclaim_wait(struct drm_gem_shmem_reclaim *reclaim,
				bool (*done)(void *arg), void *arg,
				unsigned long end);
unsigned long drm_gem_shmem_reclaim_run(struct drm_gem_shmem_reclaim *reclaim,
					enum drm_gem_shmem_reclaim_op op,
					unsigned long nr,
					const struct drm_gem_shmem_reclaim_filter *filter,
					unsigned long *scanned);

/* drm_gem_shmem_reclaim_shrinker.c */
void drm_gem_shmem_reclaim_purge_marked(struct drm_gem_shmem_reclaim *reclaim,
					unsigned long nr);
void drm_gem_shmem_reclaim_evict_unused(struct drm_gem_shmem_reclaim *reclaim,
					unsigned long unused);

/* drm_gem_shmem_reclaim_memcg.c */
void drm_gem_shmem_reclaim_memcg_populated(struct drm_gem_shmem_reclaim_object *sobj);
void drm_gem_shmem_reclaim_memcg_free(struct drm_gem_shmem_reclaim_object *sobj);
void drm_gem_shmem_reclaim_memcg_add(struct drm_gem_shmem_reclaim_object *sobj);
void drm_gem_shmem_reclaim_memcg_del(struct drm_gem_shmem_reclaim_object *sobj);
struct drm_gem_shmem_reclaim_object *
drm_gem_shmem_reclaim_memcg_next(struct drm_gem_shmem_reclaim *reclaim,
				 const struct drm_gem_shmem_reclaim_filter *filter,
				 u64 *left);
unsigned long
drm_gem_shmem_reclaim_memcg_count(struct drm_gem_shmem_reclaim *reclaim,
				  struct shrink_control *sc);

/* drm_gem_shmem_reclaim_idle.c */
void drm_gem_shmem_reclaim_idle_init(struct drm_gem_shmem_reclaim *reclaim);
void drm_gem_shmem_reclaim_idle_fini(struct drm_gem_shmem_reclaim *reclaim);
void drm_gem_shmem_reclaim_idle_start(struct drm_gem_shmem_reclaim *reclaim);
void drm_gem_shmem_reclaim_idle_add(struct drm_gem_shmem_reclaim_object *sobj);

/* drm_gem_shmem_reclaim_oom.c */
int drm_gem_shmem_reclaim_oom_init(struct drm_gem_shmem_reclaim *reclaim);
void drm_gem_shmem_reclaim_oom_fini(struct drm_gem_shmem_reclaim *reclaim);

static inline struct drm_gem_object *
to_gem(struct drm_gem_shmem_reclaim_object *sobj)
{
	return &sobj->shmem->base;
}

static inline void reclaim_count(struct drm_gem_shmem_reclaim *reclaim,
				 u64 *counter)
{
	spin_lock(&reclaim->lru_lock);
	(*counter)++;
	spin_unlock(&reclaim->lru_lock);
}

/* Whether the device timed out a moment ago. */
static inline bool reclaim_is_stalled(struct drm_gem_shmem_reclaim *reclaim)
{
	return READ_ONCE(reclaim->is_stalled) &&
	       time_before(jiffies, READ_ONCE(reclaim->stalled));
}

/* Process completions, if the driver can. */
static inline void reclaim_poll(struct drm_gem_shmem_reclaim *reclaim)
{
	if (reclaim->ops->poll)
		reclaim->ops->poll(reclaim);
}

/*
 * Take the locks needed to reclaim an object. Only try: their owner may be
 * allocating, and be waiting for this scan.
 */
static inline bool reclaim_trylock(struct drm_gem_shmem_reclaim_object *sobj)
{
	if (!dma_resv_trylock(to_gem(sobj)->resv))
		return false;
	if (compat_trylock_pages(sobj->shmem))
		return true;
	dma_resv_unlock(to_gem(sobj)->resv);
	return false;
}

static inline void reclaim_unlock(struct drm_gem_shmem_reclaim_object *sobj)
{
	compat_unlock_pages(sobj->shmem);
	dma_resv_unlock(to_gem(sobj)->resv);
}

static inline bool reclaim_completed(struct drm_gem_shmem_reclaim_object *sobj)
{
	/* Pairs with the release in drm_gem_shmem_reclaim_done(). */
	return !smp_load_acquire(&sobj->inflight);
}

/*
 * Whether reclaim may discard the contents. The only condition for a purge: an
 * object that is unpurgeable never gets into a purge request.
 */
static inline bool
reclaim_is_purgeable(struct drm_gem_shmem_reclaim_object *sobj)
{
	/* An object with a name can be opened by others (GEM_FLINK). */
	return sobj->dontneed && !sobj->unpurgeable && !sobj->retain_count &&
	       !READ_ONCE(to_gem(sobj)->name);
}

/* The LRU list of the objects that @op applies to. */
static inline enum drm_gem_shmem_reclaim_state
reclaim_op_state(enum drm_gem_shmem_reclaim_op op)
{
	return op == DRM_GEM_SHMEM_RECLAIM_PURGE ?
	       DRM_GEM_SHMEM_RECLAIM_DONTNEED : DRM_GEM_SHMEM_RECLAIM_WILLNEED;
}

#endif /* __DRM_GEM_SHMEM_RECLAIM_INTERNAL_H__ */
