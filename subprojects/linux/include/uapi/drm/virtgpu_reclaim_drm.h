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

/*
 * A parameter of DRM_IOCTL_VIRTGPU_GETPARAM: what there is, a mask of
 * VIRTGPU_RECLAIM_*. A driver without any of it does not know the parameter and
 * says -EINVAL. The number is well away from those in <drm/virtgpu_drm.h>,
 * which are given out one by one, and from those that were proposed.
 */
#define VIRTGPU_PARAM_RECLAIM 0x1f0

/* DRM_IOCTL_VIRTGPU_MADVISE */
#define VIRTGPU_RECLAIM_MADVISE (1 << 0)
/* The device has VIRTIO_GPU_F_RECLAIM: its memory for purged objects, too. */
#define VIRTGPU_RECLAIM_DEVICE (1 << 1)

#define DRM_VIRTGPU_MADVISE 0x0c

/* The contents matter: keep them, in memory or in swap. */
#define VIRTGPU_MADV_WILLNEED 0
/* The contents may be thrown away when memory is short. */
#define VIRTGPU_MADV_DONTNEED 1

/**
 * struct drm_virtgpu_madvise - argument of DRM_IOCTL_VIRTGPU_MADVISE
 *
 * Objects begin as VIRTGPU_MADV_WILLNEED. One that is VIRTGPU_MADV_DONTNEED can
 * be used as before until it is thrown away; after that touching a mapping of
 * it is a SIGBUS, and a transfer or submission that names it fails with
 * -ENODATA. It cannot be mapped anew from the moment it is marked: mmap() fails
 * with -ENODATA. All this ends when it is asked back; it reads as zero then, and the next
 * to ask is told that the contents, these zeros, are retained.
 *
 * Errors: -EINVAL if @pad is not zero or @madv is unknown; -ENOENT if there is
 * no such handle. VIRTGPU_MADV_DONTNEED only: -EOPNOTSUPP if the object is of a
 * kind that is never thrown away (dumb buffer, blob, and without
 * VIRTIO_GPU_F_RECLAIM one of more than 64 MiB); -EBUSY if it has to stay
 * because it is a framebuffer or was ever exported as a dma-buf. A client finds
 * out whether the ioctl is there by VIRTGPU_PARAM_RECLAIM.
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
