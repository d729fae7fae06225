/* SPDX-License-Identifier: MIT */
/* Sizes computed from creation arguments. */

#include "renderer.h"

static const struct {
    const char *what;
    uint32_t target, format, width, height, depth, array_size, last_level;
    uint32_t samples;
    uint64_t bytes;
} cases[] = {
    { "buffer", VR_TARGET_BUFFER, FORMAT_R8, 4096, 1, 1, 1, 0, 0, 4096 },
    { "buffer of pixels", VR_TARGET_BUFFER, FORMAT_RGBA32F, 4096, 1, 1, 1, 0,
      0, 4096 },
    { "empty buffer", VR_TARGET_BUFFER, FORMAT_R8, 0, 1, 1, 1, 0, 0, 0 },
    { "bgra8", VR_TARGET_2D, FORMAT_BGRA8, 1920, 1080, 1, 1, 0, 0, 8294400 },
    { "r8", VR_TARGET_2D, FORMAT_R8, 3, 5, 1, 1, 0, 0, 15 },
    { "565", VR_TARGET_2D, 7, 3, 5, 1, 1, 0, 0, 30 },
    { "rgb8", VR_TARGET_2D, 66, 10, 10, 1, 1, 0, 0, 300 },
    { "rgba16f", VR_TARGET_2D, FORMAT_RGBA16F, 64, 64, 1, 1, 0, 0, 32768 },
    { "rgba32f", VR_TARGET_2D, FORMAT_RGBA32F, 64, 64, 1, 1, 0, 0, 65536 },
    { "rgba64f", VR_TARGET_2D, 27, 2, 2, 1, 1, 0, 0, 128 },
    { "rgb32ui", VR_TARGET_2D, 195, 2, 2, 1, 1, 0, 0, 48 },
    { "z16", VR_TARGET_2D, FORMAT_Z16, 10, 10, 1, 1, 0, 0, 200 },
    { "s8z24", VR_TARGET_2D, FORMAT_S8Z24, 10, 10, 1, 1, 0, 0, 400 },
    { "s8", VR_TARGET_2D, FORMAT_S8, 10, 10, 1, 1, 0, 0, 100 },
    { "z32f_s8", VR_TARGET_2D, 126, 10, 10, 1, 1, 0, 0, 800 },
    { "nv12", VR_TARGET_2D, 166, 640, 480, 1, 1, 0, 0, 460800 },
    { "yuyv, odd", VR_TARGET_2D, 15, 3, 1, 1, 1, 0, 0, 8 },
    { "r1", VR_TARGET_2D, 127, 9, 1, 1, 1, 0, 0, 2 },
    { "dxt1", VR_TARGET_2D, FORMAT_DXT1, 16, 16, 1, 1, 0, 0, 128 },
    { "dxt5, part of a block", VR_TARGET_2D, FORMAT_DXT5, 5, 1, 1, 1, 0, 0,
      32 },
    { "bptc", VR_TARGET_2D, FORMAT_BPTC, 8, 8, 1, 1, 0, 0, 64 },
    { "etc2 rgb", VR_TARGET_2D, 269, 8, 8, 1, 1, 0, 0, 32 },
    { "etc2 rgba", VR_TARGET_2D, 273, 8, 8, 1, 1, 0, 0, 64 },
    { "astc 12x12", VR_TARGET_2D, 292, 25, 12, 1, 1, 0, 0, 48 },
    { "unknown format", VR_TARGET_2D, 4000, 10, 10, 1, 1, 0, 0, 400 },
    { "gap in the formats", VR_TARGET_2D, 73, 10, 10, 1, 1, 0, 0, 400 },

    { "mipmaps", VR_TARGET_2D, FORMAT_BGRA8, 8, 4, 1, 1, 3, 0,
      4 * (32 + 8 + 2 + 1) },
    { "mipmaps, blocks", VR_TARGET_2D, FORMAT_DXT1, 8, 8, 1, 1, 3, 0,
      8 * (4 + 1 + 1 + 1) },
    { "1d", VR_TARGET_1D, FORMAT_BGRA8, 7, 1, 1, 1, 0, 0, 28 },
    { "1d array", VR_TARGET_1D_ARRAY, FORMAT_BGRA8, 8, 1, 1, 5, 1, 0,
      4 * 5 * (8 + 4) },
    { "2d array", VR_TARGET_2D_ARRAY, FORMAT_BGRA8, 4, 4, 1, 3, 1, 0,
      4 * 3 * (16 + 4) },
    { "3d", VR_TARGET_3D, FORMAT_BGRA8, 4, 4, 4, 1, 2, 0, 4 * (64 + 8 + 1) },
    { "cube", VR_TARGET_CUBE, FORMAT_BGRA8, 4, 4, 1, 6, 2, 0,
      4 * 6 * (16 + 4 + 1) },
    { "cube array", VR_TARGET_CUBE_ARRAY, FORMAT_BGRA8, 4, 4, 1, 12, 0, 0,
      4 * 12 * 16 },
    { "rect", VR_TARGET_RECT, FORMAT_BGRA8, 3, 5, 1, 1, 0, 0, 60 },
    { "multisample", VR_TARGET_2D, FORMAT_BGRA8, 10, 10, 1, 1, 0, 4, 1600 },
    { "multisample array", VR_TARGET_2D_ARRAY, FORMAT_BGRA8, 10, 10, 1, 2, 0,
      4, 3200 },
    { "1 sample", VR_TARGET_2D, FORMAT_BGRA8, 10, 10, 1, 1, 0, 1, 1600 },
    { "2 samples", VR_TARGET_2D, FORMAT_BGRA8, 10, 10, 1, 1, 0, 2, 1600 },
    { "3 samples", VR_TARGET_2D, FORMAT_BGRA8, 10, 10, 1, 1, 0, 3, 1600 },
    { "5 samples", VR_TARGET_2D, FORMAT_BGRA8, 10, 10, 1, 1, 0, 5, 3200 },
    { "16 samples", VR_TARGET_2D, FORMAT_BGRA8, 10, 10, 1, 1, 0, 16, 6400 },
    { "most samples", VR_TARGET_2D, FORMAT_BGRA8, 1, 1, 1, 1, 0, UINT32_MAX,
      1ull << 34 },

    { "large", VR_TARGET_2D, FORMAT_BGRA8, 1u << 31, 1u << 30, 1, 1, 0, 0,
      1ull << 63 },
    { "blocks overflow", VR_TARGET_2D, FORMAT_BGRA8, UINT32_MAX, UINT32_MAX, 1,
      1, 0, 0, UINT64_MAX },
    { "layers overflow", VR_TARGET_3D, FORMAT_R8, UINT32_MAX, UINT32_MAX,
      UINT32_MAX, 1, 0, 0, UINT64_MAX },
    { "samples overflow", VR_TARGET_2D, FORMAT_R8, 1u << 31, 1u << 31, 1, 1, 0,
      UINT32_MAX, UINT64_MAX },
    { "levels overflow", VR_TARGET_2D_ARRAY, FORMAT_R8, 1u << 31, 1u << 31, 1,
      3, 1, 0, 3ull * (1ull << 62) + 3ull * (1ull << 60) },
    { "sum overflows", VR_TARGET_1D_ARRAY, FORMAT_RGBA32F, 1u << 28, 1, 1,
      UINT32_MAX, 2, 0, UINT64_MAX },
    { "too many levels", VR_TARGET_2D, FORMAT_R8, 1, 1, 1, 1, 32, 0,
      UINT64_MAX },
    { "most levels", VR_TARGET_2D, FORMAT_R8, 1, 1, 1, 1, 31, 0, 32 },
    { "silly levels", VR_TARGET_2D, FORMAT_R8, 1, 1, 1, 1, UINT32_MAX, 0,
      UINT64_MAX },
};

static void test_case(gconstpointer data)
{
    size_t i = GPOINTER_TO_SIZE(data);
    struct virgl_renderer_resource_create_args args = {
        .handle = 1,
        .target = cases[i].target,
        .format = cases[i].format,
        .bind = VIRGL_RES_BIND_SAMPLER_VIEW,
        .width = cases[i].width,
        .height = cases[i].height,
        .depth = cases[i].depth,
        .array_size = cases[i].array_size,
        .last_level = cases[i].last_level,
        .nr_samples = cases[i].samples,
    };

    g_assert_cmpuint(virgl_reclaim_args_bytes(&args), ==, cases[i].bytes);
}

static void test_binds(void)
{
    struct virgl_renderer_resource_create_args args = buffer_args(1, 4096);

    /* Guest memory only. */
    args.bind = VR_BIND_STAGING;
    g_assert_cmpuint(virgl_reclaim_args_bytes(&args), ==, 0);
    /* A plain allocation. */
    args.bind = VIRGL_RES_BIND_CUSTOM;
    g_assert_cmpuint(virgl_reclaim_args_bytes(&args), ==, 4096);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *path = g_strdup_printf("/accounting/%s",
                                                cases[i].what);

        g_test_add_data_func(path, GSIZE_TO_POINTER(i), test_case);
    }
    g_test_add_func("/accounting/binds", test_binds);
    return g_test_run();
}
