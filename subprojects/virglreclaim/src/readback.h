/* SPDX-License-Identifier: MIT */
/* Lossless readback and upload of storage, one tile at a time. */

#ifndef VIRGLRECLAIM_READBACK_H
#define VIRGLRECLAIM_READBACK_H

#include "internal.h"

#include <stddef.h>

/* How one resource is read and written. */
struct vr_readback {
    const vr_args *args;
    enum {
        VR_READBACK_RENDERER,   /* buffers: a transfer of the renderer */
        VR_READBACK_PIXELS,     /* textures of one pixel a block */
        VR_READBACK_COMPRESSED,
    } method;
    uint32_t name;              /* of the texture to read, or of a view of it */
    bool view;                  /* a view, to be deleted */
    bool lossless;              /* by construction: need not be verified */
    uint32_t internal_format;
    uint32_t format, type;      /* GL enums, for pixels */
    struct vr_block block;      /* of the transferred data */
    uint32_t scratch;           /* texture to verify uploads with, or 0 */
    uint32_t scratch_width, scratch_height;
    int32_t pixel_store[8];     /* to be restored */
};

/* Some rows of a layer of a level; some bytes of a buffer. */
struct vr_tile {
    uint32_t level, z, y, width, height;
    size_t size;                /* bytes, packed */
};

/* Maximum size of a tile, unless one row of blocks is larger. */
#define VR_TILE_BYTES (512u << 10)

/*
 * Prepare the readback of resource args->handle, whose storage is the GL object
 * @name or 0, context 0 current. Returns 0, to be ended with vr_readback_end(),
 * or a negative errno: -ENOTSUP if no lossless readback is possible.
 */
int vr_readback_begin(struct vr_readback *rb, const vr_args *args,
                      uint32_t name);
void vr_readback_end(struct vr_readback *rb);
/* Delete the GL textures that it has made, context 0 current. It is of no use. */
void vr_readback_release(struct vr_readback *rb);
/*
 * Set and reset the pixel store state of context 0, in which others read and
 * write between two tiles. It is set after vr_readback_begin(), and must be for
 * all other calls.
 */
void vr_readback_resume(struct vr_readback *rb);
void vr_readback_suspend(const struct vr_readback *rb);

/*
 * Advance @tile, which is all zero at first, to the next tile. Returns false at
 * the end. The order is always the same.
 */
bool vr_readback_next(const struct vr_readback *rb, struct vr_tile *tile);

/* Size in bytes of the largest tile. */
size_t vr_readback_max_tile(const struct vr_readback *rb);

/* Both return 0, -ENOMEM or -ENOTSUP. */
int vr_readback_read(struct vr_readback *rb, const struct vr_tile *tile,
                     void *data);
int vr_readback_write(struct vr_readback *rb, const struct vr_tile *tile,
                      const void *data);

/*
 * Verify the round trip of @data, which was read from @tile: upload it to a
 * scratch texture, read that into @again, of the same size, and compare.
 * Returns 0, -ENOTSUP if they differ, or -ENOMEM.
 */
int vr_readback_verify(struct vr_readback *rb, const struct vr_tile *tile,
                      const void *data, void *again);

#endif
