/* SPDX-License-Identifier: MIT */
/* Host memory of a resource, computed from its creation arguments. */

#include "internal.h"
#include "stream.h"

/*
 * What renderer, GL and this library allocate for a resource besides storage:
 * RSS for each of 40,000 resources with llvmpipe (Mesa 22.3), and a tenth on
 * top. test_overhead() in tests/test-resource-types.c measures it.
 */
enum {
    STAGING_OVERHEAD = 1024,    /* 763 bytes */
    BUFFER_OVERHEAD = 2048,     /* 1683 */
    TEXTURE_OVERHEAD = 3072,    /* 2678 */
    IMAGE_OVERHEAD = 128,       /* 125 for each level, and face of a cube */
};

/*
 * The same for objects of contexts, of thousands: qtest limit/objects prints it.
 * Shaders exist as text, tokens and GLSL. What drawing with them adds is not here.
 */
enum {
    STATE_BYTES = 256,          /* 143 */
    VERTEX_ELEMENTS_BYTES = 4096,   /* 3439 */
    SAMPLER_BYTES = 512,        /* 385 */
    SHADER_BYTES = 16384,       /* 8490 with 34 bytes of text */
    SHADER_TEXT_FORMS = 16,
    VIEW_BYTES = 4096,          /* 287, and a texture if it is a view in GL, too */
    QUERY_BYTES = 512,          /* 374; stream-out targets 262 */
};

uint64_t vr_object_bytes(const struct vr_command *cmd)
{
    switch (cmd->type) {
    case VR_OBJECT_SHADER:
        /* The length of all text, or else where this part of it belongs. */
        if (cmd->length > 2 && cmd->args[2] >> 31) {
            return 0;
        }
        return SHADER_BYTES + SHADER_TEXT_FORMS *
               (uint64_t)(cmd->length > 2 ? cmd->args[2] : 0);
    case VR_OBJECT_VERTEX_ELEMENTS:
        return VERTEX_ELEMENTS_BYTES;
    case VR_OBJECT_SAMPLER_STATE:
        return SAMPLER_BYTES;
    case VR_OBJECT_SAMPLER_VIEW:
    case VR_OBJECT_SURFACE:
    case VR_OBJECT_MSAA_SURFACE:
        return VIEW_BYTES;
    case VR_OBJECT_QUERY:
    case VR_OBJECT_STREAMOUT_TARGET:
        return QUERY_BYTES;
    default:
        return STATE_BYTES;
    }
}

/*
 * llvmpipe allocates blocks of 4 by 4 pixels, of targets without height 4 by 1,
 * and rows of so many bytes.
 */
enum { PADDED_PIXELS = 4, PADDED_ROW = 64 };

/* Dimensions have 32 bits, so there are no more levels. */
#define MAX_LEVELS 32

static bool is_staging(const vr_args *args)
{
    return args->target == VR_TARGET_BUFFER && args->bind == VR_BIND_STAGING;
}

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
    if (is_staging(args)) {
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

/* Bytes of a level, of one sample, as llvmpipe allocates it. */
static uint64_t padded_level_bytes(const vr_args *args,
                                   const struct vr_level *level)
{
    struct vr_block block = vr_format_block(args->format);
    bool flat = args->target == VR_TARGET_1D ||
                args->target == VR_TARGET_1D_ARRAY;
    uint64_t columns = blocks(level->width, PADDED_PIXELS) * PADDED_PIXELS;
    uint64_t rows = flat ? 1 :
                    blocks(level->height, PADDED_PIXELS) * PADDED_PIXELS;
    uint64_t row_bytes;

    columns = (columns + block.width - 1) / block.width;
    rows = (rows + block.height - 1) / block.height;
    row_bytes = (columns * block.bytes + PADDED_ROW - 1) / PADDED_ROW *
                PADDED_ROW;
    return multiply(multiply(row_bytes, rows), level->layers);
}

uint64_t virgl_reclaim_args_overhead(const vr_args *args)
{
    uint64_t samples = stored_samples(args->nr_samples);
    uint64_t faces = args->target == VR_TARGET_CUBE ? 6 : 1;
    uint64_t bytes = TEXTURE_OVERHEAD;

    if (args->target == VR_TARGET_BUFFER) {
        return is_staging(args) ? STAGING_OVERHEAD : BUFFER_OVERHEAD;
    }
    for (uint32_t i = 0; i <= args->last_level && i < MAX_LEVELS; i++) {
        struct vr_level level = vr_args_level(args, i);
        uint64_t size = multiply(multiply(level.layer_bytes, level.layers),
                                 samples);
        uint64_t padded = multiply(padded_level_bytes(args, &level), samples);

        if (padded == UINT64_MAX ||
            __builtin_add_overflow(bytes, padded - size + faces * IMAGE_OVERHEAD,
                                   &bytes)) {
            return UINT64_MAX;
        }
    }
    return bytes;
}
