/* SPDX-License-Identifier: MIT */
#ifndef _VGEM_RECLAIM_DRM_H_
#define _VGEM_RECLAIM_DRM_H_

/*
 * DRM_IOCTL_VGEM_MADVISE: user space tells vgem which buffers may be discarded
 * under memory pressure.
 *
 * These are additions to <drm/vgem_drm.h>, to be included after it or on their
 * own.
 */

#ifdef __KERNEL__
#include <drm/drm.h>
#else
#include "drm.h"
#endif

#if defined(__cplusplus)
extern "C" {
#endif

#define DRM_VGEM_MADVISE 0x03

/* The contents are needed: keep them, in memory or in swap. */
#define VGEM_MADV_WILLNEED 0
/* The contents are not needed: purge them under memory pressure. */
#define VGEM_MADV_DONTNEED 1

/**
 * struct drm_vgem_madvise - argument of DRM_IOCTL_VGEM_MADVISE
 *
 * New buffers are VGEM_MADV_WILLNEED. A buffer that is VGEM_MADV_DONTNEED can
 * be used as before until it is purged. After that, accesses to its mappings
 * raise SIGBUS, and exporting it fails with -ENODATA. New mappings fail with
 * -ENODATA as long as it is VGEM_MADV_DONTNEED. VGEM_MADV_WILLNEED ends all
 * this: a purged buffer then reads as zero, and the next VGEM_MADV_WILLNEED
 * reports these zeros as retained.
 *
 * Errors: -EINVAL if @pad is not zero or @madv is unknown; -ENOENT if there is
 * no such handle. VGEM_MADV_DONTNEED only: -EOPNOTSUPP if the buffer was
 * imported; -EBUSY if it was ever exported as a dma-buf, or has a name.
 */
struct drm_vgem_madvise {
	/** @handle: in: the buffer */
	__u32 handle;
	/**
	 * @retained: out: 1 if the contents are retained, 0 if they were
	 * purged; after VGEM_MADV_WILLNEED a purged buffer reads as zero.
	 */
	__u32 retained;
	/** @madv: in: one of VGEM_MADV_* */
	__u32 madv;
	/** @pad: in: must be zero */
	__u32 pad;
};

#define DRM_IOCTL_VGEM_MADVISE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_VGEM_MADVISE, struct drm_vgem_madvise)

#if defined(__cplusplus)
}
#endif

#endif /* _VGEM_RECLAIM_DRM_H_ */
