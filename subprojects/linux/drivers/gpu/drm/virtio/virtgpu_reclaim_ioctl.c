// SPDX-License-Identifier: MIT
/*
 * virtio-gpu reclaim: DRM_IOCTL_VIRTGPU_MADVISE and the parameter that reports
 * support for it.
 */

#include "virtgpu_reclaim_internal.h"

/**
 * virtio_gpu_reclaim_getparam - VIRTGPU_PARAM_MADVISE
 * @vgdev: the device
 * @param: parameter of DRM_IOCTL_VIRTGPU_GETPARAM
 * @value: set to its value
 *
 * Returns: whether the parameter is known here.
 */
bool virtio_gpu_reclaim_getparam(struct virtio_gpu_device *vgdev, u64 param,
				 int *value)
{
	if (param != VIRTGPU_PARAM_MADVISE || !vgdev->reclaim)
		return false;

	*value = VIRTGPU_MADVISE_SUPPORTED;
	if (vgdev->reclaim->has_feature)
		*value |= VIRTGPU_MADVISE_DEVICE;
	return true;
}

/**
 * virtio_gpu_madvise_ioctl - DRM_IOCTL_VIRTGPU_MADVISE
 * @dev: the device
 * @data: struct drm_virtgpu_madvise
 * @file: the client
 *
 * Returns: 0 or a negative error code, see struct drm_virtgpu_madvise.
 */
int virtio_gpu_madvise_ioctl(struct drm_device *dev, void *data,
			     struct drm_file *file)
{
	struct drm_virtgpu_madvise *args = data;

	if (args->pad)
		return -EINVAL;
	if (args->madv != VIRTGPU_MADV_WILLNEED &&
	    args->madv != VIRTGPU_MADV_DONTNEED)
		return -EINVAL;

	return drm_gem_shmem_reclaim_madvise_handle(file, args->bo_handle,
						    args->madv ==
						    VIRTGPU_MADV_DONTNEED,
						    &args->retained, to_sobj);
}
