/*
 * Virtio GPU: what differs between the versions of QEMU
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The only place that asks for the version. Includes that were renamed are in
 * subprojects/qemu/VERSION/overlay.
 */

#ifndef QEMU_VIRTIO_GPU_RECLAIM_COMPAT_H
#define QEMU_VIRTIO_GPU_RECLAIM_COMPAT_H

typedef struct VirtIOGPU VirtIOGPU;
struct virtio_gpu_simple_resource;

#if QEMU_VERSION_MAJOR >= 10

#define DISPLAYGL_MODE_ES DISPLAY_GL_MODE_ES
#define DISPLAYGL_MODE_CORE DISPLAY_GL_MODE_CORE

/* The member of PropertyInfo for the type, and how properties are kept. */
#define COMPAT_PROP_TYPE type
#define COMPAT_PROP const Property

#define compat_access_is_direct(mr) \
    memory_access_is_direct(mr, true, MEMTXATTRS_UNSPECIFIED)

/* virtio-gpu.c */
void virtio_gpu_resource_destroy(VirtIOGPU *g,
                                 struct virtio_gpu_simple_resource *res,
                                 Error **errp);
#define compat_resource_destroy(g, res) \
    virtio_gpu_resource_destroy(g, res, NULL)

/* Whether the migration stream has blobs. */
#define COMPAT_BLOB_MIGRATION 1

/* Whether images can be files that a display maps. */
#define COMPAT_SHAREABLE_IMAGES 1
#define compat_shareable_image(res, format, stride) \
    qemu_pixman_image_new_shareable(&(res)->image, &(res)->share_handle, \
                                    "virtio-gpu res", format, (res)->width, \
                                    (res)->height, stride, NULL)
#define compat_forget_image(res) \
    ((res)->share_handle = SHAREABLE_NONE)

/* Where host blobs are mapped; NULL if they are not. */
#define compat_hostmem(b) (&(b)->hostmem)

/* The device has been reset, and the renderer not yet. */
#define compat_renderer_reset_is_due(gl) ((gl)->renderer_state == RS_RESET)
/* It goes on without being initialized again. */
#define compat_renderer_reset_done(gl) ((gl)->renderer_state = RS_INITED)

#else

#define COMPAT_PROP_TYPE name
#define COMPAT_PROP Property

#define compat_access_is_direct(mr) memory_access_is_direct(mr, true)

/* virtio-gpu.c */
void virtio_gpu_resource_destroy(VirtIOGPU *g,
                                 struct virtio_gpu_simple_resource *res);
void virtio_gpu_disable_scanout(VirtIOGPU *g, int scanout_id);
#define compat_resource_destroy(g, res) virtio_gpu_resource_destroy(g, res)

#define COMPAT_BLOB_MIGRATION 0

#define COMPAT_SHAREABLE_IMAGES 0
#define compat_shareable_image(res, format, stride) false
#define compat_forget_image(res) ((void)0)

#define compat_hostmem(b) ((MemoryRegion *)NULL)

#define compat_renderer_reset_is_due(gl) ((gl)->renderer_reset)
#define compat_renderer_reset_done(gl) ((gl)->renderer_reset = false)

#endif

#endif /* QEMU_VIRTIO_GPU_RECLAIM_COMPAT_H */
