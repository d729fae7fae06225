/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Buffer objects of vgem: no device uses them, so there is nothing to transfer.
 */

#include <stddef.h>

#include <drm.h>
#include <drm_mode.h>
#include <drm/vgem_reclaim_drm.h>
#include <drm/virtgpu_reclaim_drm.h>

#include "bo.h"

#define TEXEL_BITS 32

/* The same for all drivers. */
_Static_assert(VGEM_MADV_WILLNEED == VIRTGPU_MADV_WILLNEED &&
               VGEM_MADV_DONTNEED == VIRTGPU_MADV_DONTNEED, "advice");
_Static_assert(sizeof(struct drm_vgem_madvise) == sizeof(BoAdvice) &&
               offsetof(struct drm_vgem_madvise, retained) ==
               offsetof(BoAdvice, retained) &&
               offsetof(struct drm_vgem_madvise, madv) ==
               offsetof(BoAdvice, madv), "BoAdvice");

static int create(int gpu, Bo *bo)
{
    struct drm_mode_create_dumb create = {
        .width = BO_TEXTURE_WIDTH, .bpp = TEXEL_BITS,
        .height = bo->bytes / (BO_TEXTURE_WIDTH * TEXEL_BITS / 8),
    };
    int ret = drm_request(gpu, DRM_IOCTL_MODE_CREATE_DUMB, &create);

    bo->handle = create.handle;
    return ret;
}

static int get_offset(int gpu, uint32_t handle, uint64_t *offset)
{
    struct drm_mode_map_dumb map = { .handle = handle };
    int ret = drm_request(gpu, DRM_IOCTL_MODE_MAP_DUMB, &map);

    *offset = map.offset;
    return ret;
}

const BoDriver bo_driver_vgem = {
    .name = "vgem", .debugfs = "vgem", .create = create,
    .get_offset = get_offset, .madvise = DRM_IOCTL_VGEM_MADVISE,
};
