/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Buffer objects of virtio-gpu, as a Mesa driver uses them: a resource on the
 * host, backed by guest pages.
 */

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "bo.h"

_Static_assert(sizeof(struct drm_virtgpu_madvise) == sizeof(BoAdvice) &&
               offsetof(struct drm_virtgpu_madvise, retained) ==
               offsetof(BoAdvice, retained) &&
               offsetof(struct drm_virtgpu_madvise, madv) ==
               offsetof(BoAdvice, madv), "BoAdvice");

/* Constants of the virgl protocol. */
#define VIRGL_TARGET_BUFFER         0
#define VIRGL_TARGET_TEXTURE_2D     2
#define VIRGL_FORMAT_B8G8R8A8_UNORM 1
#define VIRGL_FORMAT_R8_UNORM       64
#define VIRGL_BIND_RENDER_TARGET    (1 << 1)
#define VIRGL_BIND_SAMPLER_VIEW     (1 << 3)
#define VIRGL_BIND_VERTEX_BUFFER    (1 << 4)

/*
 * The second capability set of virgl, and the offset of the renderer's name.
 */
#define VIRGL_CAPSET                2
#define VIRGL_CAPS_BYTES            1376
#define VIRGL_CAPS_RENDERER         696
#define VIRGL_CAPS_RENDERER_BYTES   64

#define TEXEL_BYTES                 4

static struct drm_virtgpu_3d_box bo_box(const Bo *bo)
{
    struct drm_virtgpu_3d_box box = { .w = bo->bytes, .h = 1, .d = 1 };

    if (bo->kind == BO_TEXTURE || bo->kind == BO_DUMB) {
        box.w = BO_TEXTURE_WIDTH;
        box.h = bo->bytes / (BO_TEXTURE_WIDTH * TEXEL_BYTES);
    }
    return box;
}

void bo_extent(const Bo *bo, uint32_t *width, uint32_t *height)
{
    struct drm_virtgpu_3d_box box = bo_box(bo);

    *width = box.w;
    *height = box.h;
}

static int create_blob(int gpu, size_t bytes, uint32_t *handle)
{
    struct drm_virtgpu_resource_create_blob create = {
        .blob_mem = VIRTGPU_BLOB_MEM_GUEST,
        .blob_flags = VIRTGPU_BLOB_FLAG_USE_MAPPABLE |
                      VIRTGPU_BLOB_FLAG_USE_SHAREABLE,
        .size = bytes,
    };
    int ret = drm_request(gpu, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB, &create);

    *handle = create.bo_handle;
    return ret;
}

static int create_resource(int gpu, const Bo *bo, uint32_t *handle)
{
    struct drm_virtgpu_3d_box box = bo_box(bo);
    struct drm_virtgpu_resource_create create = {
        .target = VIRGL_TARGET_TEXTURE_2D,
        .format = VIRGL_FORMAT_B8G8R8A8_UNORM,
        .bind = VIRGL_BIND_SAMPLER_VIEW | VIRGL_BIND_RENDER_TARGET,
        .width = box.w,
        .height = box.h,
        .depth = 1,
        .array_size = 1,
        .size = bo->bytes,
    };
    int ret;

    if (bo->kind == BO_BUFFER) {
        create.target = VIRGL_TARGET_BUFFER;
        create.format = VIRGL_FORMAT_R8_UNORM;
        create.bind = VIRGL_BIND_VERTEX_BUFFER;
    }
    ret = drm_request(gpu, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &create);
    *handle = create.bo_handle;
    return ret;
}

/* Takes a card, not a render node. */
static int create_dumb(int gpu, size_t bytes, uint32_t *handle)
{
    struct drm_mode_create_dumb create = {
        .width = BO_TEXTURE_WIDTH,
        .height = bytes / (BO_TEXTURE_WIDTH * TEXEL_BYTES),
        .bpp = 8 * TEXEL_BYTES,
    };
    int ret = drm_request(gpu, DRM_IOCTL_MODE_CREATE_DUMB, &create);

    *handle = create.handle;
    return ret;
}

static int create(int gpu, Bo *bo)
{
    if (bo->kind == BO_DUMB) {
        return create_dumb(gpu, bo->bytes, &bo->handle);
    }
    if (bo->kind == BO_BLOB) {
        return create_blob(gpu, bo->bytes, &bo->handle);
    }
    return create_resource(gpu, bo, &bo->handle);
}

static int get_offset(int gpu, uint32_t handle, uint64_t *offset)
{
    struct drm_virtgpu_map map = { .handle = handle };
    int ret = drm_request(gpu, DRM_IOCTL_VIRTGPU_MAP, &map);

    *offset = map.offset;
    return ret;
}

static int upload(int gpu, const Bo *bo)
{
    struct drm_virtgpu_3d_transfer_to_host transfer = {
        .bo_handle = bo->handle,
        .box = bo_box(bo),
    };

    return drm_request(gpu, DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST, &transfer);
}

static int download(int gpu, const Bo *bo)
{
    struct drm_virtgpu_3d_transfer_from_host transfer = {
        .bo_handle = bo->handle,
        .box = bo_box(bo),
    };

    return drm_request(gpu, DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST, &transfer);
}

static int wait_for_bo(int gpu, const Bo *bo)
{
    struct drm_virtgpu_3d_wait wait = { .handle = bo->handle };
    int ret;

    /* The ioctl times out after some seconds; a loaded host may need more. */
    do {
        ret = drm_request(gpu, DRM_IOCTL_VIRTGPU_WAIT, &wait);
    } while (ret == -EBUSY);
    return ret;
}

const BoDriver bo_driver_virtio = {
    .name = "virtio_gpu", .debugfs = "virtio-gpu", .has_render_ioctls = true,
    .create = create, .get_offset = get_offset, .upload = upload,
    .download = download, .wait = wait_for_bo,
    .madvise = DRM_IOCTL_VIRTGPU_MADVISE,
};

int gpu_renderer(int gpu, char *name, size_t size)
{
    static uint8_t caps[VIRGL_CAPS_BYTES];
    struct drm_virtgpu_get_caps get = {
        .cap_set_id = VIRGL_CAPSET,
        .addr = (uintptr_t)caps,
        .size = sizeof(caps),
    };
    int ret = drm_request(gpu, DRM_IOCTL_VIRTGPU_GET_CAPS, &get);

    if (ret < 0) {
        return ret;
    }
    if (size > VIRGL_CAPS_RENDERER_BYTES) {
        size = VIRGL_CAPS_RENDERER_BYTES;
    }
    memcpy(name, caps + VIRGL_CAPS_RENDERER, size);
    name[size - 1] = '\0';
    return 0;
}
