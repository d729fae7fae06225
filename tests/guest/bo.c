/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "bo.h"

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

#define TEXTURE_WIDTH               1024
#define TEXEL_BYTES                 4

static int gpu_ioctl(int gpu, unsigned long request, void *arg)
{
    int ret;

    do {
        ret = ioctl(gpu, request, arg);
    } while (ret < 0 && (errno == EINTR || errno == EAGAIN));
    return ret < 0 ? -errno : 0;
}

static struct drm_virtgpu_3d_box bo_box(const Bo *bo)
{
    struct drm_virtgpu_3d_box box = { .w = bo->bytes, .h = 1, .d = 1 };

    if (bo->kind == BO_TEXTURE) {
        box.w = TEXTURE_WIDTH;
        box.h = bo->bytes / (TEXTURE_WIDTH * TEXEL_BYTES);
    }
    return box;
}

void bo_extent(const Bo *bo, uint32_t *width, uint32_t *height)
{
    struct drm_virtgpu_3d_box box = bo_box(bo);

    *width = box.w;
    *height = box.h;
}

int gpu_open(void)
{
    int gpu = open("/dev/dri/renderD128", O_RDWR | O_CLOEXEC);

    return gpu < 0 ? -errno : gpu;
}

static int create_blob(int gpu, size_t bytes, uint32_t *handle)
{
    struct drm_virtgpu_resource_create_blob create = {
        .blob_mem = VIRTGPU_BLOB_MEM_GUEST,
        .blob_flags = VIRTGPU_BLOB_FLAG_USE_MAPPABLE |
                      VIRTGPU_BLOB_FLAG_USE_SHAREABLE,
        .size = bytes,
    };
    int ret = gpu_ioctl(gpu, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE_BLOB, &create);

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
    ret = gpu_ioctl(gpu, DRM_IOCTL_VIRTGPU_RESOURCE_CREATE, &create);
    *handle = create.bo_handle;
    return ret;
}

int bo_create_unmapped(int gpu, BoKind kind, size_t bytes, Bo *bo)
{
    *bo = (Bo) { .kind = kind, .bytes = bytes };
    if (kind == BO_BLOB) {
        return create_blob(gpu, bytes, &bo->handle);
    }
    return create_resource(gpu, bo, &bo->handle);
}

int bo_map(int gpu, Bo *bo)
{
    struct drm_virtgpu_map map = { .handle = bo->handle };
    int ret = gpu_ioctl(gpu, DRM_IOCTL_VIRTGPU_MAP, &map);

    if (ret < 0) {
        return ret;
    }
    bo->map = mmap(NULL, bo->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, gpu,
                   map.offset);
    return bo->map == MAP_FAILED ? -errno : 0;
}

int bo_create(int gpu, BoKind kind, size_t bytes, Bo *bo)
{
    struct drm_gem_close close = { 0 };
    int ret = bo_create_unmapped(gpu, kind, bytes, bo);

    if (ret < 0) {
        return ret;
    }
    ret = bo_map(gpu, bo);
    if (ret < 0) {
        close.handle = bo->handle;
        bo->handle = 0;
        gpu_ioctl(gpu, DRM_IOCTL_GEM_CLOSE, &close);
    }
    return ret;
}

int bo_upload(int gpu, const Bo *bo)
{
    struct drm_virtgpu_3d_transfer_to_host transfer = {
        .bo_handle = bo->handle,
        .box = bo_box(bo),
    };

    return gpu_ioctl(gpu, DRM_IOCTL_VIRTGPU_TRANSFER_TO_HOST, &transfer);
}

int bo_download(int gpu, const Bo *bo)
{
    struct drm_virtgpu_3d_transfer_from_host transfer = {
        .bo_handle = bo->handle,
        .box = bo_box(bo),
    };

    return gpu_ioctl(gpu, DRM_IOCTL_VIRTGPU_TRANSFER_FROM_HOST, &transfer);
}

int bo_wait(int gpu, const Bo *bo)
{
    struct drm_virtgpu_3d_wait wait = { .handle = bo->handle };
    int ret;

    /* The ioctl times out after some seconds; a loaded host may need more. */
    do {
        ret = gpu_ioctl(gpu, DRM_IOCTL_VIRTGPU_WAIT, &wait);
    } while (ret == -EBUSY);
    return ret;
}

int bo_madvise(int gpu, const Bo *bo, uint32_t madv, bool *retained)
{
    struct drm_virtgpu_madvise advice = {
        .bo_handle = bo->handle,
        .madv = madv,
    };
    int ret = gpu_ioctl(gpu, DRM_IOCTL_VIRTGPU_MADVISE, &advice);

    *retained = advice.retained;
    return ret;
}

int gpu_renderer(int gpu, char *name, size_t size)
{
    static uint8_t caps[VIRGL_CAPS_BYTES];
    struct drm_virtgpu_get_caps get = {
        .cap_set_id = VIRGL_CAPSET,
        .addr = (uintptr_t)caps,
        .size = sizeof(caps),
    };
    int ret = gpu_ioctl(gpu, DRM_IOCTL_VIRTGPU_GET_CAPS, &get);

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
