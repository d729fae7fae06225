/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reclaim of drm_gem_shmem objects: what differs between kernel versions, here for
 * Linux 6.1. The other versions have the same functions.
 */
#ifndef __DRM_GEM_SHMEM_RECLAIM_COMPAT_H__
#define __DRM_GEM_SHMEM_RECLAIM_COMPAT_H__

#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/list_lru.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/swap.h>
#ifdef CONFIG_X86
#include <asm/set_memory.h>
#endif

#include <drm/drm_device.h>
#include <drm/drm_gem_shmem_helper.h>

static inline bool compat_trylock_pages(struct drm_gem_shmem_object *shmem)
{
	return mutex_trylock(&shmem->pages_lock);
}

static inline void compat_lock_pages(struct drm_gem_shmem_object *shmem)
{
	mutex_lock(&shmem->pages_lock);
}

static inline void compat_unlock_pages(struct drm_gem_shmem_object *shmem)
{
	mutex_unlock(&shmem->pages_lock);
}

static inline struct sg_table *
compat_get_pages_sgt(struct drm_gem_shmem_object *shmem)
{
	return drm_gem_shmem_get_pages_sgt(shmem);
}

static inline int compat_get_pages(struct drm_gem_shmem_object *shmem)
{
	return drm_gem_shmem_get_pages(shmem);
}

static inline void compat_put_pages(struct drm_gem_shmem_object *shmem)
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

static inline int compat_lock_in_pin(struct dma_resv *resv)
{
	return dma_resv_lock_interruptible(resv, NULL);
}

static inline void compat_lock_in_unpin(struct dma_resv *resv)
{
	dma_resv_lock(resv, NULL);
}

static inline void compat_unlock_in_pin(struct dma_resv *resv)
{
	dma_resv_unlock(resv);
}

static inline void compat_vm_flags_set(struct vm_area_struct *vma,
				       vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void compat_account_reclaimed(unsigned long pages)
{
	if (current->reclaim_state)
		current->reclaim_state->reclaimed_slab += pages;
}

struct compat_shrinker {
	struct shrinker shrinker;
	void *data;
};

static inline void *compat_shrinker_data(struct shrinker *shrinker)
{
	return container_of(shrinker, struct compat_shrinker, shrinker)->data;
}

/* Only memory cgroups with entries in @lru have it run. */
static inline int
compat_shrinker_register(struct compat_shrinker *compat, struct list_lru *lru,
			 const char *name,
			 unsigned long (*count)(struct shrinker *shrinker,
						struct shrink_control *sc),
			 unsigned long (*scan)(struct shrinker *shrinker,
					       struct shrink_control *sc),
			 void *data)
{
	int ret;

	compat->shrinker.count_objects = count;
	compat->shrinker.scan_objects = scan;
	compat->shrinker.seeks = DEFAULT_SEEKS;
	if (lru)
		compat->shrinker.flags = SHRINKER_MEMCG_AWARE |
					 SHRINKER_NUMA_AWARE;
	compat->data = data;
	ret = register_shrinker(&compat->shrinker, "drm-shmem%s:%s",
				lru ? "-memcg" : "", name);
	if (ret || !lru)
		return ret;
	ret = list_lru_init_memcg(lru, &compat->shrinker);
	if (ret)
		unregister_shrinker(&compat->shrinker);
	return ret;
}

static inline void compat_list_lru_add(struct list_lru *lru,
				       struct list_head *item)
{
	list_lru_add(lru, item);
}

static inline void compat_list_lru_del(struct list_lru *lru,
				       struct list_head *item)
{
	list_lru_del(lru, item);
}

static inline void compat_shrinker_unregister(struct compat_shrinker *compat)
{
	unregister_shrinker(&compat->shrinker);
}

#endif /* __DRM_GEM_SHMEM_RECLAIM_COMPAT_H__ */
