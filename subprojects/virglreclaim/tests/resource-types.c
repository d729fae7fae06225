/* SPDX-License-Identifier: MIT */
/* The types of resources that a guest can create, with Mesa's arguments. */

#include "resource-types.h"

/* Protocol values that the renderer's installed header lacks. */
enum {
    BIND_COMMAND_ARGS = 1 << 8,
    BIND_SHADER_BUFFER = 1 << 14,
    BIND_QUERY_BUFFER = 1 << 15,
};

enum {
    SAMPLED = VIRGL_RES_BIND_SAMPLER_VIEW,
    DRAWN = VIRGL_RES_BIND_SAMPLER_VIEW | VIRGL_RES_BIND_RENDER_TARGET,
    DEPTH = VIRGL_RES_BIND_SAMPLER_VIEW | VIRGL_RES_BIND_DEPTH_STENCIL,
};

#define BUFFER(_name, _bind, _flags) \
    { _name, VR_TARGET_BUFFER, FORMAT_R8, _bind, 4 << 20, 1, 1, 1, 0, 0, \
      _flags }

/* 256 KiB to 24 MiB each. */
const struct resource_type resource_types[] = {
    BUFFER("buffer, vertex", VIRGL_RES_BIND_VERTEX_BUFFER, 0),
    BUFFER("buffer, index", VIRGL_RES_BIND_INDEX_BUFFER, 0),
    BUFFER("buffer, constant", VIRGL_RES_BIND_CONSTANT_BUFFER, 0),
    BUFFER("buffer, stream output", VIRGL_RES_BIND_STREAM_OUTPUT, 0),
    BUFFER("buffer, shader storage", BIND_SHADER_BUFFER, 0),
    BUFFER("buffer, texture", SAMPLED, 0),
    BUFFER("buffer, draw arguments", BIND_COMMAND_ARGS, 0),
    BUFFER("buffer, query", BIND_QUERY_BUFFER, TYPE_GL_ONLY),
    BUFFER("buffer, custom", VIRGL_RES_BIND_CUSTOM, TYPE_UNSEEN),
    BUFFER("buffer, staging", VR_BIND_STAGING, TYPE_NO_STORAGE),
    { "2D-created", VR_TARGET_2D, FORMAT_BGRA8, VIRGL_RES_BIND_RENDER_TARGET,
      1024, 1024, 1, 1, 0, 0, 0 },
    { "1D", VR_TARGET_1D, FORMAT_RGBA32F, SAMPLED, 16384, 1, 1, 1, 0, 0,
      TYPE_GL_ONLY },
    { "1D array", VR_TARGET_1D_ARRAY, FORMAT_RGBA8, SAMPLED,
      4096, 1, 1, 256, 0, 0, TYPE_GL_ONLY },
    { "2D", VR_TARGET_2D, FORMAT_RGBA8, SAMPLED, 1024, 1024, 1, 1, 0, 0, 0 },
    { "2D, BGRA", VR_TARGET_2D, FORMAT_BGRA8, SAMPLED,
      1024, 1024, 1, 1, 0, 0, 0 },
    { "2D, BGRA sRGB", VR_TARGET_2D, FORMAT_BGRA8_SRGB, SAMPLED,
      1024, 1024, 1, 1, 0, 0, TYPE_GL_ONLY },
    { "2D, sRGB", VR_TARGET_2D, FORMAT_RGBA8_SRGB, SAMPLED,
      1024, 1024, 1, 1, 0, 0, 0 },
    { "2D, half float", VR_TARGET_2D, FORMAT_RGBA16F, SAMPLED,
      1024, 1024, 1, 1, 0, 0, TYPE_GL_ONLY },
    { "2D, one byte a pixel", VR_TARGET_2D, FORMAT_R8, SAMPLED,
      2048, 2048, 1, 1, 0, 0, 0 },
    { "2D, odd size", VR_TARGET_2D, FORMAT_RGBA8, SAMPLED,
      1021, 1021, 1, 1, 0, 0, 0 },
    { "2D, mipmapped", VR_TARGET_2D, FORMAT_RGBA8, SAMPLED,
      1024, 1024, 1, 1, 10, 0, 0 },
    { "2D array", VR_TARGET_2D_ARRAY, FORMAT_RGBA8, SAMPLED,
      512, 512, 1, 8, 0, 0, 0 },
    { "2D array, mipmapped", VR_TARGET_2D_ARRAY, FORMAT_RGBA8, SAMPLED,
      512, 512, 1, 8, 9, 0, 0 },
    { "rect", VR_TARGET_RECT, FORMAT_RGBA8, SAMPLED,
      1024, 1024, 1, 1, 0, 0, 0 },
    { "3D", VR_TARGET_3D, FORMAT_RGBA8, SAMPLED, 128, 128, 64, 1, 0, 0, 0 },
    { "3D, mipmapped", VR_TARGET_3D, FORMAT_RGBA8, SAMPLED,
      128, 128, 64, 1, 7, 0, 0 },
    { "cube", VR_TARGET_CUBE, FORMAT_RGBA8, SAMPLED,
      512, 512, 1, 6, 0, 0, 0 },
    { "cube, mipmapped", VR_TARGET_CUBE, FORMAT_RGBA8, SAMPLED,
      512, 512, 1, 6, 9, 0, 0 },
    { "cube array", VR_TARGET_CUBE_ARRAY, FORMAT_RGBA8, SAMPLED,
      256, 256, 1, 12, 0, 0, TYPE_GL_ONLY },
    { "render target", VR_TARGET_2D, FORMAT_BGRA8, DRAWN,
      1920, 1080, 1, 1, 0, 0, 0 },
    { "render target, float", VR_TARGET_2D, FORMAT_RGBA32F, DRAWN,
      1024, 1024, 1, 1, 0, 0, 0 },
    { "multisampled", VR_TARGET_2D, FORMAT_RGBA8, DRAWN,
      1024, 1024, 1, 1, 0, 4, TYPE_NO_TRANSFER },
    { "multisampled array", VR_TARGET_2D_ARRAY, FORMAT_RGBA8, DRAWN,
      512, 512, 1, 4, 0, 4, TYPE_NO_TRANSFER },
    { "multisampled depth", VR_TARGET_2D, FORMAT_S8Z24, DEPTH,
      1024, 1024, 1, 1, 0, 4, TYPE_NO_TRANSFER | TYPE_GL_ONLY },
    { "depth, 16 bits", VR_TARGET_2D, FORMAT_Z16, DEPTH,
      2048, 1024, 1, 1, 0, 0, TYPE_GL_ONLY },
    { "depth, float", VR_TARGET_2D, FORMAT_Z32F, DEPTH,
      1024, 1024, 1, 1, 0, 0, TYPE_GL_ONLY },
    { "depth and stencil", VR_TARGET_2D, FORMAT_S8Z24, DEPTH,
      1024, 1024, 1, 1, 0, 0, TYPE_GL_ONLY },
    { "depth, float, and stencil", VR_TARGET_2D, FORMAT_Z32F_S8X24, DEPTH,
      1024, 1024, 1, 1, 0, 0, TYPE_GL_ONLY },
    { "compressed, DXT1", VR_TARGET_2D, FORMAT_DXT1, SAMPLED,
      2048, 2048, 1, 1, 0, 0, TYPE_GL_ONLY },
    { "compressed, DXT5, mipmapped", VR_TARGET_2D, FORMAT_DXT5, SAMPLED,
      2048, 2048, 1, 1, 11, 0, TYPE_GL_ONLY },
    { "compressed, RGTC2", VR_TARGET_2D, FORMAT_RGTC2, SAMPLED,
      2048, 2048, 1, 1, 0, 0, TYPE_GL_ONLY },
    { "compressed, BPTC, cube", VR_TARGET_CUBE, FORMAT_BPTC, SAMPLED,
      1024, 1024, 1, 6, 0, 0, TYPE_GL_ONLY },
    { "2D, 64 by 64 pixels", VR_TARGET_2D, FORMAT_RGBA8, SAMPLED,
      64, 64, 1, 1, 0, 0, TYPE_SMALL },
    { "buffer, 4 KiB", VR_TARGET_BUFFER, FORMAT_R8,
      VIRGL_RES_BIND_VERTEX_BUFFER, 4096, 1, 1, 1, 0, 0, TYPE_SMALL },
    { "2D, with a sampler view", VR_TARGET_2D, FORMAT_RGBA8, SAMPLED,
      1024, 1024, 1, 1, 0, 0, TYPE_VIEWED },
};
const size_t n_resource_types = G_N_ELEMENTS(resource_types);

struct virgl_renderer_resource_create_args type_args(
    const struct resource_type *type, uint32_t id)
{
    return (struct virgl_renderer_resource_create_args) {
        .handle = id,
        .target = type->target,
        .format = type->format,
        .bind = type->bind,
        .width = type->width,
        .height = type->height,
        .depth = type->depth,
        .array_size = type->array_size,
        .last_level = type->last_level,
        .nr_samples = type->nr_samples,
    };
}
