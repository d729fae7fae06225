/* SPDX-License-Identifier: MIT */
#ifndef _VIRTGPU_RECLAIM_DRM_H_
#define _VIRTGPU_RECLAIM_DRM_H_

/*
 * DRM_IOCTL_VIRTGPU_MADVISE: user space tells the virtio-gpu driver which
 * objects may be discarded under memory pressure.
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
 * Parameter of DRM_IOCTL_VIRTGPU_GETPARAM: a mask of VIRTGPU_MADVISE_*. Drivers
 * without the ioctl fail with -EINVAL. The number is clear of those in
 * <drm/virtgpu_drm.h>, which are assigned one by one, and of those proposed for
 * it.
 */
#define VIRTGPU_PARAM_MADVISE 0x1f0

/* DRM_IOCTL_VIRTGPU_MADVISE is supported. */
#define VIRTGPU_MADVISE_SUPPORTED (1 << 0)
/*
 * The device has VIRTIO_GPU_F_RECLAIM: a purge also frees its storage of the
 * object.
 */
#define VIRTGPU_MADVISE_DEVICE (1 << 1)

#define DRM_VIRTGPU_MADVISE 0x0c

/* The contents are needed: keep them, in memory or in swap. */
#define VIRTGPU_MADV_WILLNEED 0
/* The contents are not needed: purge them under memory pressure. */
#define VIRTGPU_MADV_DONTNEED 1

/**
 * struct drm_virtgpu_madvise - argument of DRM_IOCTL_VIRTGPU_MADVISE
 *
 * New objects are VIRTGPU_MADV_WILLNEED. An object that is
 * VIRTGPU_MADV_DONTNEED can be used as before until it is purged. After that,
 * accesses to its mappings raise SIGBUS, and transfers and submissions that
 * refer to it fail with -ENODATA. New mappings fail as long as it is
 * VIRTGPU_MADV_DONTNEED: mmap() fails with -ENODATA. VIRTGPU_MADV_WILLNEED ends
 * all this: a purged object then reads as zero, and the next
 * VIRTGPU_MADV_WILLNEED reports these zeros as retained.
 *
 * Errors: -EINVAL if @pad is not zero or @madv is unknown; -ENOENT if there is
 * no such handle. VIRTGPU_MADV_DONTNEED only: -EOPNOTSUPP if the object is of a
 * type that cannot be purged (dumb buffer, blob, and without
 * VIRTIO_GPU_F_RECLAIM one of more than 64 MiB), or the device cannot purge it;
 * -EBUSY if it is a framebuffer, was ever exported as a dma-buf, or has a name.
 * VIRTGPU_PARAM_MADVISE says whether the ioctl is supported.
 */
struct drm_virtgpu_madvise {
	/** @bo_handle: in: the object */
	__u32 bo_handle;
	/**
	 * @retained: out: 1 if the contents are retained, 0 if they were
	 * purged; after VIRTGPU_MADV_WILLNEED a purged object reads as zero.
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
