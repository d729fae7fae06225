/* SPDX-License-Identifier: MIT */
/* Compression is lossless in every format. */

#include "readback.h"
#include "renderer.h"

#include <string.h>
#include <epoxy/gl.h>

struct combination {
    const char *name;
    uint32_t target, format;
    uint32_t width, height, depth, array_size, last_level;
};

#define PLANE(_name, _format) \
    { _name, VR_TARGET_2D, _format, 61, 67, 1, 1, 0 }

/* Formats are protocol numbers; sizes are odd where GL allows it. */
static const struct combination combinations[] = {
    PLANE("bgra8", 1), PLANE("bgrx8", 2), PLANE("bgr5a1", 5),
    PLANE("bgra4", 6), PLANE("bgr565", 7), PLANE("rgb10a2", 8),
    PLANE("l8", 9), PLANE("a8", 10), PLANE("l16", 13),
    PLANE("z16", 16), PLANE("z32", 17), PLANE("z32f", 18), PLANE("s8z24", 20),
    PLANE("z24x8", 21), PLANE("z32f-s8x24", 126),
    PLANE("r32f", 28), PLANE("rg32f", 29), PLANE("rgb32f", 30),
    PLANE("rgba32f", 31),
    PLANE("r16", 48), PLANE("rg16", 49), PLANE("rgba16", 51),
    PLANE("r16-snorm", 56), PLANE("rg16-snorm", 57), PLANE("rgba16-snorm", 59),
    PLANE("r8", 64), PLANE("rg8", 65), PLANE("rgba8", 67),
    PLANE("r8-snorm", 74), PLANE("rg8-snorm", 75), PLANE("rgba8-snorm", 77),
    PLANE("r16f", 91), PLANE("rg16f", 92), PLANE("rgba16f", 94),
    PLANE("bgra8-srgb", 100), PLANE("rgba8-srgb", 104),
    PLANE("r11g11b10f", 124), PLANE("rgb9e5", 125), PLANE("rgbx8", 134),
    PLANE("r8ui", 177), PLANE("rg8ui", 178), PLANE("rgba8ui", 180),
    PLANE("r8i", 181), PLANE("rgba8i", 184), PLANE("r16ui", 185),
    PLANE("rgba16ui", 188), PLANE("r16i", 189), PLANE("rgba16i", 192),
    PLANE("r32ui", 193), PLANE("rgba32ui", 196), PLANE("r32i", 197),
    PLANE("rgba32i", 200), PLANE("rgb10a2ui", 225),
    PLANE("dxt1", 105), PLANE("dxt1a", 106), PLANE("dxt3", 107),
    PLANE("dxt5", 108), PLANE("dxt1-srgb", 109), PLANE("dxt5-srgb", 112),
    PLANE("rgtc1", 113), PLANE("rgtc1-snorm", 114), PLANE("rgtc2", 115),
    PLANE("bptc", 255), PLANE("bptc-srgb", 256), PLANE("bptc-float", 257),
    { "1d", VR_TARGET_1D, 67, 4099, 1, 1, 1, 0 },
    { "1d-mipmaps", VR_TARGET_1D, 94, 2048, 1, 1, 1, 11 },
    { "1d-array", VR_TARGET_1D_ARRAY, 67, 509, 1, 1, 17, 0 },
    { "1d-array-mipmaps", VR_TARGET_1D_ARRAY, 31, 512, 1, 1, 5, 9 },
    { "2d-mipmaps", VR_TARGET_2D, 67, 131, 67, 1, 1, 7 },
    { "2d-large", VR_TARGET_2D, 67, 1021, 1023, 1, 1, 0 },
    { "2d-large-mipmaps", VR_TARGET_2D, 1, 1024, 1024, 1, 1, 10 },
    { "2d-array", VR_TARGET_2D_ARRAY, 67, 61, 67, 1, 5, 0 },
    { "2d-array-mipmaps", VR_TARGET_2D_ARRAY, 100, 64, 64, 1, 3, 6 },
    { "2d-array-z16", VR_TARGET_2D_ARRAY, 16, 64, 64, 1, 3, 0 },
    { "2d-array-dxt5", VR_TARGET_2D_ARRAY, 108, 60, 68, 1, 5, 2 },
    { "3d", VR_TARGET_3D, 67, 31, 29, 17, 1, 0 },
    { "3d-mipmaps", VR_TARGET_3D, 31, 16, 32, 16, 1, 5 },
    { "cube", VR_TARGET_CUBE, 67, 61, 61, 1, 6, 0 },
    { "cube-mipmaps", VR_TARGET_CUBE, 94, 64, 64, 1, 6, 6 },
    { "cube-s8z24", VR_TARGET_CUBE, 20, 64, 64, 1, 6, 0 },
    { "cube-dxt1-mipmaps", VR_TARGET_CUBE, 105, 64, 64, 1, 6, 4 },
    { "cube-array", VR_TARGET_CUBE_ARRAY, 67, 31, 31, 1, 12, 0 },
    { "cube-array-mipmaps", VR_TARGET_CUBE_ARRAY, 67, 32, 32, 1, 12, 5 },
    { "rect", VR_TARGET_RECT, 67, 61, 67, 1, 1, 0 },
    { "rect-rgba32f", VR_TARGET_RECT, 31, 61, 67, 1, 1, 0 },
    { "buffer", VR_TARGET_BUFFER, FORMAT_R8, 1000003, 1, 1, 1, 0 },
    { "buffer-small", VR_TARGET_BUFFER, FORMAT_R8, 4096, 1, 1, 1, 0 },
    { "buffer-custom", VR_TARGET_BUFFER, FORMAT_R8, 8192, 1, 1, 1, 0 },
};

static bool is_depth(uint32_t format)
{
    return (format >= 16 && format <= 21) || format == 126;
}

static struct virgl_renderer_resource_create_args args_of(
    const struct combination *c)
{
    struct virgl_renderer_resource_create_args args = {
        .handle = 1,
        .target = c->target,
        .format = c->format,
        .bind = VIRGL_RES_BIND_SAMPLER_VIEW,
        .width = c->width,
        .height = c->height,
        .depth = c->depth,
        .array_size = c->array_size,
        .last_level = c->last_level,
    };

    if (c->target == VR_TARGET_BUFFER) {
        args.bind = strstr(c->name, "custom") ? VIRGL_RES_BIND_CUSTOM
                                              : VIRGL_RES_BIND_VERTEX_BUFFER;
    } else if (is_depth(c->format)) {
        args.bind = VIRGL_RES_BIND_DEPTH_STENCIL;
    }
    return args;
}

/*
 * All byte values, compressible: repeats after 251 bytes, with an offset for
 * each layer and level.
 */
static void fill_tile(const struct vr_tile *tile, uint8_t *data)
{
    uint8_t bytes[251];

    fill(bytes, sizeof(bytes), 1 + tile->level * 1000 + tile->z);
    for (size_t i = 0; i < tile->size; i++) {
        data[i] = bytes[i % sizeof(bytes)] ^ (i % 7 == 0);
    }
}

/* Depth is a fraction, in the first word of each pixel. */
static void fill_depth(const struct vr_readback *rb,
                       const struct vr_tile *tile, void *data)
{
    uint32_t words = rb->block.bytes / sizeof(float);
    float *depth = data;

    for (size_t i = 0; i < tile->size / sizeof(*depth); i += words) {
        uint32_t bits = (i * 2654435761u) >> 8 & ~(0xfffu << (i % 12));

        depth[i] = bits / 16777215.0;
    }
}

/* Write the GL contents, or read them into a checksum. */
static char *contents(const vr_args *args, bool write)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
    struct vr_tile tile = { 0 };
    g_autofree uint8_t *data = NULL;
    struct vr_readback rb;

    virgl_renderer_force_ctx_0();
    g_assert_cmpint(vr_readback_begin(&rb, args, gl_name(args->handle)), ==,
                    0);
    data = g_malloc(vr_readback_max_tile(&rb) + 1);
    while (vr_readback_next(&rb, &tile)) {
        if (write) {
            fill_tile(&tile, data);
            if (rb.type == GL_FLOAT ||
                rb.type == GL_FLOAT_32_UNSIGNED_INT_24_8_REV) {
                fill_depth(&rb, &tile, data);
            }
            g_assert_cmpint(vr_readback_write(&rb, &tile, data), ==, 0);
        } else {
            g_assert_cmpint(vr_readback_read(&rb, &tile, data), ==, 0);
        }
        g_checksum_update(sum, data, tile.size);
    }
    vr_readback_end(&rb);
    return g_strdup(g_checksum_get_string(sum));
}

/* The same by transfers of the renderer, as a guest does. */
static char *seen(const vr_args *args)
{
    g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);

    for (uint32_t i = 0; i <= args->last_level; i++) {
        struct vr_level level = vr_args_level(args, i);
        g_autofree uint8_t *data = g_malloc0(level.layer_bytes);

        for (uint32_t z = 0; z < level.layers; z++) {
            transfer_layer(false, args->handle, i, z, &level, data);
            g_checksum_update(sum, data, level.layer_bytes);
        }
    }
    return g_strdup(g_checksum_get_string(sum));
}

static void test_combination(Fixture *f, gconstpointer data)
{
    const struct combination *c = data;
    struct virgl_renderer_resource_create_args args = args_of(c);
    g_autofree char *written = NULL, *before = NULL, *seen_before = NULL;
    g_autofree char *after = NULL, *seen_after = NULL;
    struct virgl_reclaim_stats stats = { .size = sizeof(stats) };

    virgl_reclaim_set_compress_max(f->vr, UINT64_MAX);
    g_assert_cmpint(virgl_reclaim_resource_create(f->vr, &args), ==, 0);
    written = contents(&args, true);
    before = contents(&args, false);
    if (!is_depth(c->format)) {
        /* Depth formats have unused bits. */
        g_assert_cmpstr(written, ==, before);
    }
    seen_before = seen(&args);

    g_assert_cmpint(virgl_reclaim_resource_compress(f->vr, 1), ==, 0);
    g_assert_cmpint(virgl_reclaim_resource_state(f->vr, 1), ==,
                    VIRGL_RECLAIM_COMPRESSED);
    virgl_reclaim_get_stats(f->vr, &stats);
    g_assert_cmpuint(stats.compressed, ==, 1);
    g_assert_cmpuint(stats.resident_bytes, ==, 0);
    g_assert_cmpuint(stats.deferred, ==, 0);
    g_assert_cmpuint(gl_name(1), ==, 0);

    g_assert_cmpint(virgl_reclaim_resource_restore(f->vr, 1), ==, 0);
    after = contents(&args, false);
    seen_after = seen(&args);
    g_assert_cmpstr(before, ==, after);
    g_assert_cmpstr(seen_before, ==, seen_after);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(combinations); i++) {
        g_autofree char *path = g_strdup_printf("/lossless/%s",
                                                combinations[i].name);

        g_test_add(path, Fixture, &combinations[i], fixture_set_up,
                   test_combination, fixture_tear_down);
    }
    return g_test_run();
}
