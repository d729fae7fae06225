/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Reclaim of drm_gem_shmem objects: what differs between kernel versions, here for
 * Linux 6.12. The other versions have the same functions.
 */
#ifndef __DRM_GEM_SHMEM_RECLAIM_COMPAT_H__
#define __DRM_GEM_SHMEM_RECLAIM_COMPAT_H__

#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/list_lru.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include <drm/drm_device.h>
#include <drm/drm_gem_shmem_helper.h>

/* The reservation lock protects the pages, too: there is no second lock. */
static inline bool compat_trylock_pages(struct drm_gem_shmem_object *shmem)
{
	return true;
}

static inline void compat_lock_pages(struct drm_gem_shmem_object *shmem)
{
}

static inline void compat_unlock_pages(struct drm_gem_shmem_object *shmem)
{
}

/* drm_gem_shmem_get_pages_sgt() with the reservation lock held. */
static inline struct sg_table *
compat_get_pages_sgt(struct drm_gem_shmem_object *shmem)
{
	struct sg_table *sgt;
	int ret;

	ret = drm_gem_shmem_pin_locked(shmem);
	if (ret)
		return ERR_PTR(ret);

	sgt = drm_gem_shmem_get_sg_table(shmem);
	if (IS_ERR(sgt)) {
		ret = PTR_ERR(sgt);
		goto err_unpin;
	}
	ret = dma_map_sgtable(shmem->base.dev->dev, sgt, DMA_BIDIRECTIONAL, 0);
	if (ret)
		goto err_free;

	shmem->sgt = sgt;
	return sgt;

err_free:
	sg_free_table(sgt);
	kfree(sgt);
err_unpin:
	drm_gem_shmem_unpin_locked(shmem);
	return ERR_PTR(ret);
}

/* The pages alone, with the reservation lock held. */
static inline int compat_get_pages(struct drm_gem_shmem_object *shmem)
{
	return drm_gem_shmem_pin_locked(shmem);
}

/* drm_gem_shmem_put_pages() with all locks held. */
static inline void compat_put_pages(struct drm_gem_shmem_object *shmem)
{
	drm_gem_shmem_unpin_locked(shmem);
}

/* The callbacks pin, unpin, vmap and vunmap are called with the lock held. */
static inline int compat_lock_in_pin(struct dma_resv *resv)
{
	dma_resv_assert_held(resv);
	return 0;
}

static inline void compat_lock_in_unpin(struct dma_resv *resv)
{
	dma_resv_assert_held(resv);
}

static inline void compat_unlock_in_pin(struct dma_resv *resv)
{
}

static inline void compat_vm_flags_set(struct vm_area_struct *vma,
				       vm_flags_t flags)
{
	vm_flags_set(vma, flags);
}

static inline void compat_account_reclaimed(unsigned long pages)
{
	mm_account_reclaimed_pages(pages);
}

/* The core allocates shrinkers. */
struct compat_shrinker {
	struct shrinker *shrinker;
};

static inline void *compat_shrinker_data(struct shrinker *shrinker)
{
	return shrinker->private_data;
}

/* With @lru, which is initialized, it is the shrinker of memory cgroups. */
static inline int
compat_shrinker_register(struct compat_shrinker *compat, struct list_lru *lru,
			 const char *name,
			 unsigned long (*count)(struct shrinker *shrinker,
						struct shrink_control *sc),
			 unsigned long (*scan)(struct shrinker *shrinker,
					       struct shrink_control *sc),
			 void *data)
{
	unsigned int flags = lru ? SHRINKER_MEMCG_AWARE | SHRINKER_NUMA_AWARE :
				   0;
	struct shrinker *shrinker = shrinker_alloc(flags, "drm-shmem%s:%s",
						   lru ? "-memcg" : "", name);
	int ret;

	if (!shrinker)
		return -ENOMEM;
	if (lru) {
		ret = list_lru_init_memcg(lru, shrinker);
		if (ret) {
			shrinker_free(shrinker);
			return ret;
		}
	}
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker->private_data = data;
	shrinker_register(shrinker);
	compat->shrinker = shrinker;
	return 0;
}

static inline void compat_list_lru_add(struct list_lru *lru,
				       struct list_head *item)
{
	list_lru_add_obj(lru, item);
}

static inline void compat_list_lru_del(struct list_lru *lru,
				       struct list_head *item)
{
	list_lru_del_obj(lru, item);
}

static inline void compat_shrinker_unregister(struct compat_shrinker *compat)
{
	shrinker_free(compat->shrinker);
}

#endif /* __DRM_GEM_SHMEM_RECLAIM_COMPAT_H__ */
