/* SPDX-License-Identifier: MIT */
/*
 * The cache of the virgl winsys gives memory back: resources in it are marked,
 * and the kernel purges those that are marked when it is short of memory.
 */
#ifndef VIRGL_DRM_RECLAIM_H
#define VIRGL_DRM_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

/** What the kernel of a DRM device can do. */
struct virgl_drm_reclaim {
   int fd;
   bool has_madvise;
};

/**
 * Ask the kernel what it can do.
 *
 * \param fd  the DRM device; not duplicated
 */
void
virgl_drm_reclaim_init(struct virgl_drm_reclaim *reclaim, int fd);

/**
 * A resource enters the cache: nobody needs its contents.
 *
 * To be called before another thread can take it from the cache. It may be busy:
 * the kernel does not purge it before the device has done what was submitted.
 *
 * \return whether it is marked, and virgl_drm_reclaim_willneed() has to be
 *         called before it is used again
 */
bool
virgl_drm_reclaim_dontneed(const struct virgl_drm_reclaim *reclaim,
                           uint32_t bo_handle);

/**
 * A resource that is marked leaves the cache to be used.
 *
 * It can be used as any other afterwards, whether it was purged or not; its
 * contents are undefined. Mappings of it remain.
 *
 * Both calls are without a command to the device. Both may be called by several
 * threads at a time for different resources.
 */
void
virgl_drm_reclaim_willneed(const struct virgl_drm_reclaim *reclaim,
                           uint32_t bo_handle);

#endif
