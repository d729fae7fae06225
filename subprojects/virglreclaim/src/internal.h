/* SPDX-License-Identifier: MIT */
/* Declarations that need no instance. */

#ifndef VIRGLRECLAIM_INTERNAL_H
#define VIRGLRECLAIM_INTERNAL_H

#include "virglreclaim.h"

/* Values of virglrenderer's protocol that its installed header lacks. */
#define VR_BIND_STAGING         (1u << 19)

enum vr_target {
    VR_TARGET_BUFFER,
    VR_TARGET_1D,
    VR_TARGET_2D,
    VR_TARGET_3D,
    VR_TARGET_CUBE,
    VR_TARGET_RECT,
    VR_TARGET_1D_ARRAY,
    VR_TARGET_2D_ARRAY,
    VR_TARGET_CUBE_ARRAY,
};

/* Layout of the struct virgl_box that the renderer's functions take. */
struct virgl_box {
    uint32_t x, y, z;
    uint32_t w, h, d;
};

typedef struct virgl_renderer_resource_create_args vr_args;

/* alloc.c: zeroed memory or NULL; freeing NULL does nothing. */
extern const struct virgl_reclaim_allocator vr_libc;

void *vr_alloc0(const struct virgl_reclaim_allocator *a, size_t size);
void vr_free(const struct virgl_reclaim_allocator *a, void *memory);

/* format.c: blocks of width x height pixels, of so many bytes each. */
struct vr_block {
    uint8_t width, height, bytes;
};

struct vr_block vr_format_block(uint32_t format);
bool vr_format_known(uint32_t format);

/* accounting.c: one mip level, in pixels, and its layers, in bytes. */
struct vr_level {
    uint32_t width, height;
    uint32_t layers;            /* slices of a 3D texture, faces of a cube */
    uint64_t layer_bytes;       /* of one sample */
};

struct vr_level vr_args_level(const vr_args *args, uint32_t level);

/* transfer.c: returns 0 or -EINVAL. */
int vr_transfer_validate(const vr_args *args, uint64_t backing,
                         const struct virgl_reclaim_transfer *t);

/* zero.c: clear the storage of resource args->handle, context 0 current. */
int vr_zero(const struct virgl_reclaim_allocator *a, const vr_args *args,
            uint32_t name);
/* The GL target of a resource's texture, and the enum to query its binding. */
void vr_texture_target(const vr_args *args, uint32_t *target,
                       uint32_t *binding);
/* The renderer would take a pending GL error for one of its own. */
void vr_clear_gl_errors(void);

#endif
