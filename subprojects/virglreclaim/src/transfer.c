/* SPDX-License-Identifier: MIT */
/* Validation of transfers: within their level and their backing. */

#include "internal.h"

#include <errno.h>

static bool in_range(uint32_t start, uint32_t size, uint32_t end)
{
    return start <= end && size <= end - start;
}

/* end += count * step; returns false on overflow. */
static bool advance(uint64_t *end, uint64_t count, uint64_t step)
{
    uint64_t product;

    return !__builtin_mul_overflow(count, step, &product) &&
           !__builtin_add_overflow(*end, product, end);
}

static uint64_t blocks(uint32_t pixels, uint32_t block)
{
    return ((uint64_t)pixels + block - 1) / block;
}

/*
 * Computes the last byte for packed rows. Without a stride the renderer may
 * take rows to be longer than the box, and checks that itself.
 */
static bool in_backing(const vr_args *args, uint64_t backing,
                       const struct virgl_reclaim_transfer *t)
{
    bool buffer = args->target == VR_TARGET_BUFFER;
    struct vr_block block = { 1, 1, 1 };
    uint64_t row, rows, stride, layer_stride, end = t->offset;

    if (!buffer && vr_format_known(args->format)) {
        block = vr_format_block(args->format);
    }
    row = blocks(t->w, block.width) * block.bytes;
    rows = blocks(t->h, block.height);
    if (!row || !rows || !t->d) {
        return end <= backing;
    }
    if (t->stride && t->stride < row && rows > 1) {
        return false;
    }
    stride = t->stride ? t->stride : row;
    layer_stride = t->layer_stride ? t->layer_stride : rows * stride;
    return advance(&end, t->d - 1, layer_stride) &&
           advance(&end, rows - 1, stride) &&
           advance(&end, 1, row) && end <= backing;
}

int vr_transfer_validate(const vr_args *args, uint64_t backing,
                         const struct virgl_reclaim_transfer *t)
{
    struct vr_level level;

    if (t->level > args->last_level) {
        return -EINVAL;
    }
    level = vr_args_level(args, t->level);
    if (!in_range(t->x, t->w, level.width) ||
        !in_range(t->y, t->h, level.height) ||
        !in_range(t->z, t->d, level.layers) ||
        !in_backing(args, backing, t)) {
        return -EINVAL;
    }
    return 0;
}
