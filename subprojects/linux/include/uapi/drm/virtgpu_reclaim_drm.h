/* SPDX-License-Identifier: MIT */
#ifndef _VIRTGPU_RECLAIM_DRM_H_
#define _VIRTGPU_RECLAIM_DRM_H_

/*
 * What user space tells the virtio-gpu driver about memory it can do without.
 *
 * These are additions to <drm/virtgpu_drm.h>, to be included after it or on
 * their own.
 */

#ifdef __KERNEL__
#include <drm/drm.h>
#else
#include "drm.h"
#endif

#if defined(__cplusplus)
extern "C" {
#endif

#define DRM_VIRTGPU_MADVISE 0x0c

/* The contents matter: keep them, in memory or in swap. */
#define VIRTGPU_MADV_WILLNEED 0
/* The contents may be thrown away when memory is short. */
#define VIRTGPU_MADV_DONTNEED 1

/**
 * struct drm_virtgpu_madvise - argument of DRM_IOCTL_VIRTGPU_MADVISE
 *
 * Errors: -EINVAL if @pad is not zero or @madv is unknown; -ENOENT if there is
 * no such handle; -EOPNOTSUPP if the object is of a kind that is never purged
 * (blob, dumb buffer, imported); -EBUSY if it is not purged now and here,
 * because it is or was shared as a dma-buf or is a framebuffer.
 */
struct drm_virtgpu_madvise {
	/** @bo_handle: in: the object */
	__u32 bo_handle;
	/**
	 * @retained: out: 1 if the contents are all there, 0 if they were
	 * thrown away; an object that is asked back after that reads as zero.
	 */
	__u32 retained;
	/** @madv: in: one of VIRTGPU_MADV_* */
	__u32 madv;
	/** @pad: in: must be zero */
	__u32 pad;
};

#define DRM_IOCTL_VIRTGPU_MADVISE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VIRTGPU_MADVISE, \
		 struct drm_virtgpu_madvise)

#if defined(__cplusplus)
}
#endif

#endif /* _VIRTGPU_RECLAIM_DRM_H_ */
