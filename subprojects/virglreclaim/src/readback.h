/* SPDX-License-Identifier: MIT */
/* Contents of storage, read and written back bit by bit, a piece at a time. */

#ifndef VIRGLRECLAIM_READBACK_H
#define VIRGLRECLAIM_READBACK_H

#include "internal.h"

#include <stddef.h>

/* How the contents of one resource are read and written. */
struct vr_readback {
    const vr_args *args;
    enum {
        VR_READBACK_RENDERER,   /* buffers: the renderer copies bytes */
        VR_READBACK_PIXELS,     /* textures of one pixel a block */
        VR_READBACK_COMPRESSED,
    } method;
    uint32_t name;              /* of the texture to read; its own view, or it */
    bool view;                  /* it is one, to be deleted */
    bool proven;                /* bits as they are: nothing can change them */
    uint32_t internal_format;
    uint32_t format, type;      /* GL's, for pixels */
    struct vr_block block;      /* as the GL stores it */
    uint32_t scratch;           /* texture to try an upload in, or 0 */
    uint32_t scratch_width, scratch_height;
    int32_t pixel_store[8];     /* to be put back */
};

/* Some rows of a layer of a level; of a buffer, some bytes. */
struct vr_piece {
    uint32_t level, z, y, width, height;
    size_t size;                /* bytes, packed */
};

/* No piece is larger, unless one row of blocks is. */
#define VR_PIECE_BYTES (512u << 10)

/*
 * Find out how to read resource args->handle, whose storage has the GL object
 * @name or 0, context 0 current. To be ended with vr_readback_end(), unless
 * it fails: -ENOTSUP if there is no way to have its bits.
 */
int vr_readback_begin(struct vr_readback *rb, const vr_args *args,
                      uint32_t name);
void vr_readback_end(struct vr_readback *rb);

/*
 * The piece after @piece, which is all zero at first. Returns false at the
 * end. The order is the same each time.
 */
bool vr_readback_next(const struct vr_readback *rb, struct vr_piece *piece);

/* The largest that vr_readback_next() comes to. */
size_t vr_readback_max_piece(const struct vr_readback *rb);

/* 0, -ENOMEM, -ENOTSUP. */
int vr_readback_read(struct vr_readback *rb, const struct vr_piece *piece,
                     void *data);
int vr_readback_write(struct vr_readback *rb, const struct vr_piece *piece,
                      const void *data);

/*
 * Whether what was read into @data would be the same when written and read
 * again. Tries it with a texture of its own and @again, of the same size.
 */
int vr_readback_prove(struct vr_readback *rb, const struct vr_piece *piece,
                      const void *data, void *again);

#endif
