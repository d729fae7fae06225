/* SPDX-License-Identifier: MIT */
/* What the parts of virglreclaim know of each other. */

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

/* alloc.c: memory that is zero, or NULL; freeing NULL does nothing. */
extern const struct virgl_reclaim_allocator vr_libc;

void *vr_alloc0(const struct virgl_reclaim_allocator *a, size_t size);
void vr_free(const struct virgl_reclaim_allocator *a, void *memory);

/* format.c: a format stores blocks of width x height pixels in bytes. */
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

/* transfer.c: 0 or -EINVAL. */
int vr_check_transfer(const vr_args *args, uint64_t backing,
                      const struct virgl_reclaim_transfer *t);

/*
 * storage.c: the GL object behind a resource. What the books give up and
 * something in a context still refers to is a ghost, with what follows.
 */
struct vr_storage {
    bool buffer;
    uint32_t name;              /* 0: none, or not a GL object */
    uint32_t target, binding;   /* GL's, of a texture */
    uint32_t id;                /* of its resource */
    uint64_t bytes;
    unsigned references;        /* from contexts: references.c */
    bool pinned;                /* refers to it who cannot be told */
    bool forgotten;             /* by the books: free it with the last one */
    bool wanted;                /* to be told of when it is not referred to */
    bool ghost;
    bool purged;                /* or destroyed */
    struct vr_resource *owner;  /* NULL once restored or destroyed */
    struct vr_storage *next;
};

/* Sets buffer, name, target and binding. */
int vr_storage_create(const struct virgl_reclaim_allocator *a,
                      const vr_args *args, struct vr_storage *storage);
void vr_storage_drop(uint32_t id);
/* Not to be asked about what is not GL's. */
bool vr_storage_alive(const struct vr_storage *storage);
/*
 * Give back the memory of a buffer that lives on, with context 0 current. False
 * if that cannot be done.
 */
bool vr_storage_empty(const struct vr_storage *storage);

/* zero.c: clear the storage of resource args->handle, context 0 current. */
int vr_zero(const struct virgl_reclaim_allocator *a, const vr_args *args,
            uint32_t name);
/* Where GL binds the texture that the renderer makes, and how to ask. */
void vr_texture_target(const vr_args *args, uint32_t *target,
                       uint32_t *binding);
/* The renderer takes an error that is left for one of its own. */
void vr_forget_gl_errors(void);

#endif
