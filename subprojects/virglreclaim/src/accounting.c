/* SPDX-License-Identifier: MIT */
/* Host memory of a resource, computed from its creation arguments. */

#include "internal.h"

/* Dimensions have 32 bits, so there are no more levels. */
#define MAX_LEVELS 32

static uint32_t minify(uint32_t size, uint32_t level)
{
    return size >> level ? size >> level : 1;
}

static uint64_t blocks(uint32_t pixels, uint32_t block)
{
    return ((uint64_t)pixels + block - 1) / block;
}

/* Two 32-bit dimensions fit in 64 bits, but not times the block size. */
static uint64_t multiply(uint64_t a, uint64_t b)
{
    uint64_t product;

    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

struct vr_level vr_args_level(const vr_args *args, uint32_t level)
{
    struct vr_block block = vr_format_block(args->format);
    struct vr_level l = { .width = 1, .height = 1, .layers = 1 };
    uint64_t count;

    if (args->target == VR_TARGET_BUFFER) {
        /* The width of a buffer is in bytes, whatever its format. */
        l.width = args->width;
        l.layer_bytes = args->width;
        return l;
    }

    l.width = minify(args->width, level);
    switch (args->target) {
    case VR_TARGET_1D:
        break;
    case VR_TARGET_1D_ARRAY:
        l.layers = minify(args->array_size, 0);
        break;
    case VR_TARGET_3D:
        l.height = minify(args->height, level);
        l.layers = minify(args->depth, level);
        break;
    case VR_TARGET_CUBE:
        l.height = minify(args->height, level);
        l.layers = 6;
        break;
    default:
        l.height = minify(args->height, level);
        l.layers = minify(args->array_size, 0);
        break;
    }

    count = blocks(l.width, block.width) * blocks(l.height, block.height);
    l.layer_bytes = multiply(count, block.bytes);
    return l;
}

/*
 * Samples of each pixel in storage. The renderer makes a multisampled texture
 * for any nr_samples but 0, and GL rounds the number up to one it supports.
 * With llvmpipe (Mesa 22.3) RSS rises by 4 samples a pixel for each of 1 to 4,
 * and more are rejected: test_samples() in tests/test-resource-types.c. A GPU
 * may support fewer than 4, then too much is counted, and powers of two above.
 */
static uint64_t stored_samples(uint32_t nr_samples)
{
    uint64_t samples = 4;

    if (!nr_samples) {
        return 1;
    }
    while (samples < nr_samples) {
        samples *= 2;
    }
    return samples;
}

uint64_t virgl_reclaim_args_bytes(const vr_args *args)
{
    uint64_t samples = stored_samples(args->nr_samples);
    uint64_t bytes = 0;

    if (args->last_level >= MAX_LEVELS) {
        return UINT64_MAX;
    }
    if (args->target == VR_TARGET_BUFFER && args->bind == VR_BIND_STAGING) {
        return 0;
    }

    for (uint32_t i = 0; i <= args->last_level; i++) {
        struct vr_level level = vr_args_level(args, i);
        uint64_t size = multiply(multiply(level.layer_bytes, level.layers),
                                 samples);

        if (__builtin_add_overflow(bytes, size, &bytes)) {
            return UINT64_MAX;
        }
    }
    return bytes;
}
