/* SPDX-License-Identifier: MIT */

#include <xf86drm.h>

#include "drm-uapi/virtgpu_drm.h"
#include "drm-uapi/virtgpu_reclaim_drm.h"

#include "virgl_drm_reclaim.h"

void
virgl_drm_reclaim_init(struct virgl_drm_reclaim *reclaim, int fd)
{
   int value = 0;
   struct drm_virtgpu_getparam getparam = {
      .param = VIRTGPU_PARAM_MADVISE,
      .value = (uintptr_t)&value,
   };

   reclaim->fd = fd;
   reclaim->has_madvise =
      drmIoctl(fd, DRM_IOCTL_VIRTGPU_GETPARAM, &getparam) == 0 &&
      (value & VIRTGPU_MADVISE_SUPPORTED);
}

static bool
virgl_drm_reclaim_madvise(const struct virgl_drm_reclaim *reclaim,
                          uint32_t bo_handle, uint32_t madv)
{
   struct drm_virtgpu_madvise args = {
      .bo_handle = bo_handle,
      .madv = madv,
   };

   return drmIoctl(reclaim->fd, DRM_IOCTL_VIRTGPU_MADVISE, &args) == 0;
}

bool
virgl_drm_reclaim_dontneed(const struct virgl_drm_reclaim *reclaim,
                           uint32_t bo_handle)
{
   /* The kernel refuses what it cannot purge: blobs, for example. */
   return reclaim->has_madvise &&
          virgl_drm_reclaim_madvise(reclaim, bo_handle, VIRTGPU_MADV_DONTNEED);
}

void
virgl_drm_reclaim_willneed(const struct virgl_drm_reclaim *reclaim,
                           uint32_t bo_handle)
{
   /* Whether the contents were retained does not matter: a resource is new to
    * whom it is given, as one that was created is, and to use one that was
    * purged costs less than to destroy it and create another. The call can fail
    * only with the device gone, and then so does all else.
    */
   virgl_drm_reclaim_madvise(reclaim, bo_handle, VIRTGPU_MADV_WILLNEED);
}
