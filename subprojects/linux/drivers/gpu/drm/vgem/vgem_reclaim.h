/* SPDX-License-Identifier: MIT */
#ifndef VGEM_RECLAIM_H
#define VGEM_RECLAIM_H

#include <linux/types.h>

#include <uapi/drm/vgem_reclaim_drm.h>

struct drm_device;
struct drm_file;
struct drm_gem_shmem_object;
struct drm_minor;
struct drm_mode_create_dumb;

int vgem_reclaim_init(struct drm_device *dev);
struct drm_gem_shmem_object *vgem_reclaim_alloc(void);
int vgem_reclaim_dumb_create(struct drm_file *file, struct drm_device *dev,
			     struct drm_mode_create_dumb *args);
int vgem_reclaim_handle_to_fd(struct drm_device *dev, struct drm_file *file,
			      u32 handle, u32 flags, int *fd);
int vgem_madvise_ioctl(struct drm_device *dev, void *data,
		       struct drm_file *file);
void vgem_reclaim_debugfs_init(struct drm_minor *minor);

#endif /* VGEM_RECLAIM_H */
