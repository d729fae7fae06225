/* SPDX-License-Identifier: GPL-2.0 */
#ifndef __PANFROST_RECLAIM_H__
#define __PANFROST_RECLAIM_H__

#include <linux/types.h>

struct drm_device;
struct drm_file;
struct drm_gem_object;
struct drm_panfrost_madvise;
struct iosys_map;
struct panfrost_gem_object;
struct panfrost_job;
struct sg_table;
struct vm_area_struct;

int panfrost_reclaim_init(struct drm_device *dev);
void panfrost_reclaim_fini(struct drm_device *dev);

struct panfrost_gem_object *
panfrost_reclaim_add(struct panfrost_gem_object *bo);
void panfrost_reclaim_remove(struct panfrost_gem_object *bo);
bool panfrost_reclaim_is_shrinkable(struct panfrost_gem_object *bo);
bool panfrost_reclaim_is_dontneed(struct panfrost_gem_object *bo);
struct sg_table *panfrost_reclaim_get_pages(struct panfrost_gem_object *bo);
int panfrost_reclaim_prepare(struct panfrost_job *job);
int panfrost_reclaim_madvise(struct panfrost_gem_object *bo,
			     struct drm_panfrost_madvise *args);

int panfrost_reclaim_pin(struct drm_gem_object *obj);
void panfrost_reclaim_unpin(struct drm_gem_object *obj);
int panfrost_reclaim_vmap(struct drm_gem_object *obj, struct iosys_map *map);
void panfrost_reclaim_vunmap(struct drm_gem_object *obj,
			     struct iosys_map *map);
int panfrost_reclaim_mmap(struct drm_gem_object *obj,
			  struct vm_area_struct *vma);
int panfrost_reclaim_handle_to_fd(struct drm_device *dev,
				  struct drm_file *file, u32 handle, u32 flags,
				  int *fd);

#endif /* __PANFROST_RECLAIM_H__ */
