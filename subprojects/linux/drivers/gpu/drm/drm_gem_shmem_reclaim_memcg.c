// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim of drm_gem_shmem objects: the objects of each memory cgroup.
 *
 * A cgroup that reaches its limit runs only shrinkers that know what is its own,
 * and gets -ENOMEM or the OOM killer otherwise, whatever it has marked as
 * DONTNEED. So these objects are on a list of the cgroup as well. list_lru finds
 * the cgroup of an entry by who is charged for the memory of the entry itself:
 * that is a small object allocated with the pages, by the same task.
 */

#include <linux/list_lru.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "drm_gem_shmem_reclaim_internal.h"

/* Objects whose size is an estimate for that of all of a cgroup. */
#define RECLAIM_MEMCG_SAMPLE	64

/**
 * struct drm_gem_shmem_reclaim_tag - entry in the list of a memory cgroup
 */
struct drm_gem_shmem_reclaim_tag {
	/** @lru: entry; empty if the object is not purgeable */
	struct list_head lru;
	/** @sobj: the shmem object */
	struct drm_gem_shmem_reclaim_object *sobj;
};

static struct kmem_cache *reclaim_tags;

static bool reclaim_in_memcg(void)
{
	bool in;

	rcu_read_lock();
	in = parent_mem_cgroup(mem_cgroup_from_task(current));
	rcu_read_unlock();
	return in;
}

/**
 * drm_gem_shmem_reclaim_memcg_populated - note who is charged for the pages
 * @sobj: the shmem object, which was populated by this task
 *
 * To be called with the reservation lock held, while the object is not counted
 * as purgeable. Without memory the object is not reclaimed for a limit.
 */
void drm_gem_shmem_reclaim_memcg_populated(struct drm_gem_shmem_reclaim_object *sobj)
{
	drm_gem_shmem_reclaim_memcg_free(sobj);
	if (mem_cgroup_disabled() || !reclaim_in_memcg())
		return;

	/* Like the pages: fails rather than kills. */
	sobj->tag = kmem_cache_alloc_lru(reclaim_tags,
					 &sobj->reclaim->memcg_lru,
					 GFP_KERNEL | __GFP_NOWARN |
					 __GFP_RETRY_MAYFAIL);
	if (!sobj->tag)
		return;
	INIT_LIST_HEAD(&sobj->tag->lru);
	sobj->tag->sobj = sobj;
}

/**
 * drm_gem_shmem_reclaim_memcg_free - undo drm_gem_shmem_reclaim_memcg_populated()
 * @sobj: the shmem object, not counted as purgeable
 */
void drm_gem_shmem_reclaim_memcg_free(struct drm_gem_shmem_reclaim_object *sobj)
{
	if (sobj->tag)
		kmem_cache_free(reclaim_tags, sobj->tag);
	sobj->tag = NULL;
}

/**
 * drm_gem_shmem_reclaim_memcg_add - the object is purgeable
 * @sobj: the shmem object
 *
 * To be called with lru_lock held.
 */
void drm_gem_shmem_reclaim_memcg_add(struct drm_gem_shmem_reclaim_object *sobj)
{
	/* The list must not refer to a shrinker that is gone. */
	if (sobj->tag && !sobj->reclaim->idle_stopped)
		compat_list_lru_add(&sobj->reclaim->memcg_lru, &sobj->tag->lru);
}

/**
 * drm_gem_shmem_reclaim_memcg_del - the object is not purgeable
 * @sobj: the shmem object
 *
 * To be called with lru_lock held.
 */
void drm_gem_shmem_reclaim_memcg_del(struct drm_gem_shmem_reclaim_object *sobj)
{
	if (sobj->tag)
		compat_list_lru_del(&sobj->reclaim->memcg_lru, &sobj->tag->lru);
}

static enum lru_status reclaim_memcg_take(struct list_head *item,
					  struct list_lru_one *list,
					  spinlock_t *lock, void *arg)
{
	struct drm_gem_shmem_reclaim_tag *tag =
		container_of(item, struct drm_gem_shmem_reclaim_tag, lru);
	struct drm_gem_shmem_reclaim_object **found = arg;

	/* An object that is being freed is about to leave the list. */
	if (kref_get_unless_zero(&to_gem(tag->sobj)->refcount))
		*found = tag->sobj;
	return LRU_ROTATE;
}

/**
 * drm_gem_shmem_reclaim_memcg_next - get the least recently marked object
 * @reclaim: the device instance
 * @filter: the memory cgroup and node
 * @left: bound of the number of objects to visit; decremented
 *
 * Returns: the shmem object with a reference, or NULL if there is none left.
 */
struct drm_gem_shmem_reclaim_object *
drm_gem_shmem_reclaim_memcg_next(struct drm_gem_shmem_reclaim *reclaim,
				 const struct drm_gem_shmem_reclaim_filter *filter,
				 u64 *left)
{
	struct drm_gem_shmem_reclaim_object *found = NULL;

	while (*left && !found) {
		unsigned long nr = 1;

		list_lru_walk_one(&reclaim->memcg_lru, filter->nid,
				  filter->memcg, reclaim_memcg_take, &found,
				  &nr);
		/* There was none. */
		if (nr) {
			*left = 0;
			break;
		}
		(*left)--;
	}
	return found;
}

struct reclaim_memcg_sample {
	unsigned long objects;
	unsigned long pages;
};

static enum lru_status reclaim_memcg_size(struct list_head *item,
					  struct list_lru_one *list,
					  spinlock_t *lock, void *arg)
{
	struct drm_gem_shmem_reclaim_tag *tag =
		container_of(item, struct drm_gem_shmem_reclaim_tag, lru);
	struct reclaim_memcg_sample *sample = arg;

	sample->objects++;
	sample->pages += to_gem(tag->sobj)->size >> PAGE_SHIFT;
	return LRU_SKIP;
}

/**
 * drm_gem_shmem_reclaim_memcg_count - estimate what a memory cgroup can purge
 * @reclaim: the device instance
 * @sc: the cgroup and node
 *
 * Returns: a number of pages; 0 for the root cgroup, which has no limit.
 */
unsigned long
drm_gem_shmem_reclaim_memcg_count(struct drm_gem_shmem_reclaim *reclaim,
				  struct shrink_control *sc)
{
	struct reclaim_memcg_sample sample = { 0 };
	unsigned long nr = RECLAIM_MEMCG_SAMPLE, count;

	if (!parent_mem_cgroup(sc->memcg))
		return 0;
	count = list_lru_shrink_count(&reclaim->memcg_lru, sc);
	if (!count)
		return 0;
	list_lru_walk_one(&reclaim->memcg_lru, sc->nid, sc->memcg,
			  reclaim_memcg_size, &sample, &nr);
	return sample.objects ? count * sample.pages / sample.objects : 0;
}

static int __init reclaim_memcg_init(void)
{
	reclaim_tags = kmem_cache_create("drm_gem_shmem_reclaim_tag",
					 sizeof(struct drm_gem_shmem_reclaim_tag),
					 0, SLAB_ACCOUNT, NULL);
	return reclaim_tags ? 0 : -ENOMEM;
}
module_init(reclaim_memcg_init);

static void __exit reclaim_memcg_exit(void)
{
	kmem_cache_destroy(reclaim_tags);
}
module_exit(reclaim_memcg_exit);
