/*
 * Virtio GPU: storage of the 2D device's resources
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_DISPLAY_VIRTIO_GPU_RECLAIM_2D_H
#define HW_DISPLAY_VIRTIO_GPU_RECLAIM_2D_H

#include "virtio-gpu-reclaim-backend.h"

extern const VirtIOGPUReclaimBackend virtio_gpu_reclaim_2d;

/*
 * Host memory of a resource besides its image, in bytes. RssAnon of QEMU rises
 * by 507 for each of 65,000 of one pixel (/virtio-gpu/limit/2d/tiny).
 */
#define VIRTIO_GPU_RECLAIM_2D_OVERHEAD 640

/**
 * virtio_gpu_reclaim_2d_image_bytes: Host memory of an image.
 * @format: one of enum virtio_gpu_formats
 * @width: in pixels
 * @height: in pixels
 * @bytes: where to put it
 *
 * Returns: 0, -EINVAL for an unknown format, -ENOMEM if there can be no such
 * image.
 */
int virtio_gpu_reclaim_2d_image_bytes(uint32_t format, uint32_t width,
                                      uint32_t height, uint64_t *bytes);

/**
 * virtio_gpu_reclaim_2d_image_fits: Whether an image lies within a blob.
 * @ss: the image, in host byte order
 * @size: of the blob in bytes
 */
bool virtio_gpu_reclaim_2d_image_fits(
    const struct virtio_gpu_set_scanout_blob *ss, uint64_t size);

/**
 * virtio_gpu_reclaim_2d_new: Make a resource that has no image yet.
 * @g: the device
 * @id: resource id, which is free
 * @width: in pixels
 * @height: in pixels
 * @format: one of enum virtio_gpu_formats
 *
 * Returns: the resource, in the device's list.
 */
struct virtio_gpu_simple_resource *
virtio_gpu_reclaim_2d_new(VirtIOGPU *g, uint32_t id, uint32_t width,
                          uint32_t height, uint32_t format);

#endif /* HW_DISPLAY_VIRTIO_GPU_RECLAIM_2D_H */
