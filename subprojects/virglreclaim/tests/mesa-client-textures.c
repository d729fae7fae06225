/* SPDX-License-Identifier: MIT */
/* Textures that are uploaded, idle, read, copied, and drawn with. */

#include "mesa-client.h"

#include <string.h>

struct texture {
    const char *name;
    GLenum target, format, upload, type;
    int levels, layers;
    const char *sampler, *color;
    GLuint id;
};

#define BYTES GL_UNSIGNED_BYTE
#define D2 "sampler2D", "texture(tex, at.xy)"
/* Compressed, in blocks of 4 x 4 pixels. */
#define NONE 0
#define BLOCK_BYTES 16

static struct texture textures[] = {
    { "2d rgba8", GL_TEXTURE_2D, GL_RGBA8, GL_RGBA, BYTES, 7, 1, D2, 0 },
    { "2d bgra8", GL_TEXTURE_2D, GL_RGBA8, GL_BGRA, BYTES, 1, 1, D2, 0 },
    { "2d srgb", GL_TEXTURE_2D, GL_SRGB8_ALPHA8, GL_RGBA, BYTES, 7, 1, D2, 0 },
    { "2d r8", GL_TEXTURE_2D, GL_R8, GL_RED, BYTES, 3, 1, D2, 0 },
    { "2d rg8", GL_TEXTURE_2D, GL_RG8, GL_RG, BYTES, 1, 1, D2, 0 },
    { "2d rgba8 snorm", GL_TEXTURE_2D, GL_RGBA8_SNORM, GL_RGBA, GL_BYTE, 1, 1,
      D2, 0 },
    { "2d r16", GL_TEXTURE_2D, GL_R16, GL_RED, GL_UNSIGNED_SHORT, 1, 1, D2, 0 },
    { "2d rgba16f", GL_TEXTURE_2D, GL_RGBA16F, GL_RGBA, GL_HALF_FLOAT, 4, 1,
      D2, 0 },
    { "2d r32f", GL_TEXTURE_2D, GL_R32F, GL_RED, GL_FLOAT, 1, 1, D2, 0 },
    { "2d rgb9e5", GL_TEXTURE_2D, GL_RGB9_E5, GL_RGB,
      GL_UNSIGNED_INT_5_9_9_9_REV, 1, 1, D2, 0 },
    { "2d rgb565", GL_TEXTURE_2D, GL_RGB565, GL_RGB, GL_UNSIGNED_SHORT_5_6_5,
      1, 1, D2, 0 },
    { "2d rgba8ui", GL_TEXTURE_2D, GL_RGBA8UI, GL_RGBA_INTEGER, BYTES, 2, 1,
      "usampler2D", "vec4(texture(tex, at.xy)) / 255.0", 0 },
    { "2d r32i", GL_TEXTURE_2D, GL_R32I, GL_RED_INTEGER, GL_INT, 1, 1,
      "isampler2D", "vec4(texture(tex, at.xy)) / 2.0e9", 0 },
    { "2d depth", GL_TEXTURE_2D, GL_DEPTH_COMPONENT16, GL_DEPTH_COMPONENT,
      GL_UNSIGNED_SHORT, 1, 1, D2, 0 },
    { "rect", GL_TEXTURE_RECTANGLE, GL_RGBA8, GL_RGBA, BYTES, 1, 1,
      "sampler2DRect", "texture(tex, at.xy * 64.0)", 0 },
    { "1d", GL_TEXTURE_1D, GL_RGBA8, GL_RGBA, BYTES, 7, 1,
      "sampler1D", "texture(tex, at.x)", 0 },
    { "1d array", GL_TEXTURE_1D_ARRAY, GL_RG16F, GL_RG, GL_HALF_FLOAT, 3, 5,
      "sampler1DArray", "texture(tex, at.xy * vec2(1.0, 5.0))", 0 },
    { "2d array", GL_TEXTURE_2D_ARRAY, GL_RGBA8, GL_RGBA, BYTES, 5, 3,
      "sampler2DArray", "texture(tex, at * vec3(1.0, 1.0, 3.0))", 0 },
    { "3d", GL_TEXTURE_3D, GL_RGBA8, GL_RGBA, BYTES, 4, 8,
      "sampler3D", "texture(tex, at)", 0 },
    { "cube", GL_TEXTURE_CUBE_MAP, GL_RGBA8, GL_RGBA, BYTES, 4, 6,
      "samplerCube", "texture(tex, at * 2.0 - 1.0)", 0 },
    { "cube array", GL_TEXTURE_CUBE_MAP_ARRAY, GL_R8, GL_RED, BYTES, 2, 12,
      "samplerCubeArray", "texture(tex, vec4(at * 2.0 - 1.0, at.x * 2.0))", 0 },
    { "dxt5", GL_TEXTURE_2D, GL_COMPRESSED_RGBA_S3TC_DXT5_EXT, NONE, NONE, 5, 1,
      D2, 0 },
    { "rgtc2", GL_TEXTURE_2D, GL_COMPRESSED_RG_RGTC2, NONE, NONE, 2, 1, D2, 0 },
    { "bptc", GL_TEXTURE_2D, GL_COMPRESSED_RGBA_BPTC_UNORM, NONE, NONE, 1, 1,
      D2, 0 },
};

/* Larger than any level. */
static uint8_t pixels[SIDE * SIDE * 16 * 12];

static int dimensions(const struct texture *t)
{
    switch (t->target) {
    case GL_TEXTURE_1D:
        return 1;
    case GL_TEXTURE_2D_ARRAY:
    case GL_TEXTURE_3D:
    case GL_TEXTURE_CUBE_MAP_ARRAY:
        return 3;
    default:
        return 2;
    }
}

static void define(const struct texture *t)
{
    GLsizei height = t->target == GL_TEXTURE_1D_ARRAY ? t->layers : SIDE;

    if (dimensions(t) == 1) {
        glTexStorage1D(t->target, t->levels, t->format, SIDE);
    } else if (dimensions(t) == 2) {
        glTexStorage2D(t->target, t->levels, t->format, SIDE, height);
    } else {
        glTexStorage3D(t->target, t->levels, t->format, SIDE, SIDE, t->layers);
    }
}

static void upload_level(const struct texture *t, int level)
{
    int w = SIDE >> level, h = w, d = t->layers;

    if (t->upload == NONE) {
        int blocks = (w + 3) / 4;

        glCompressedTexSubImage2D(t->target, level, 0, 0, w, h, t->format,
                                  blocks * blocks * BLOCK_BYTES, pixels);
    } else if (t->target == GL_TEXTURE_CUBE_MAP) {
        for (int face = 0; face < 6; face++) {
            fill(pixels, w * h * 4, face * 7 + level);
            glTexSubImage2D(GL_TEXTURE_CUBE_MAP_POSITIVE_X + face, level, 0, 0,
                            w, h, t->upload, t->type, pixels);
        }
    } else if (dimensions(t) == 1) {
        glTexSubImage1D(t->target, level, 0, w, t->upload, t->type, pixels);
    } else if (dimensions(t) == 2) {
        h = t->target == GL_TEXTURE_1D_ARRAY ? t->layers : h;
        glTexSubImage2D(t->target, level, 0, 0, w, h, t->upload, t->type,
                        pixels);
    } else {
        d = t->target == GL_TEXTURE_3D ? d >> level : d;
        glTexSubImage3D(t->target, level, 0, 0, 0, w, h, d, t->upload, t->type,
                        pixels);
    }
}

void make_textures(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(textures); i++) {
        struct texture *t = &textures[i];

        glGenTextures(1, &t->id);
        glBindTexture(t->target, t->id);
        define(t);
        for (int level = 0; level < t->levels; level++) {
            fill(pixels, sizeof(pixels), i * 10 + level);
            upload_level(t, level);
        }
        glBindTexture(t->target, 0);
        submit();
    }
}

static void tell_level(const struct texture *t, int level)
{
    int faces = t->target == GL_TEXTURE_CUBE_MAP ? 6 : 1;

    for (int face = 0; face < faces; face++) {
        GLenum target = faces == 6 ? GL_TEXTURE_CUBE_MAP_POSITIVE_X + face :
                        t->target;

        memset(pixels, 0, sizeof(pixels));
        if (t->upload == NONE) {
            glGetCompressedTexImage(target, level, pixels);
        } else {
            glGetTexImage(target, level, t->upload, t->type, pixels);
        }
        tell(t->name, pixels, sizeof(pixels));
    }
}

static void read_textures(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(textures); i++) {
        struct texture *t = &textures[i];

        glBindTexture(t->target, t->id);
        for (int level = 0; level < t->levels; level++) {
            tell_level(t, level);
        }
        submit();
    }
}

static void draw_textures(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(textures); i++) {
        const struct texture *t = &textures[i];
        g_autofree char *declaration =
            g_strdup_printf("uniform %s tex;\n", t->sampler);
        GLuint program = make_program(declaration, t->color);
        GLuint frame = begin_frame();

        glBindTexture(t->target, t->id);
        glTexParameteri(t->target, GL_TEXTURE_MAG_FILTER, GL_NEAREST);
        glTexParameteri(t->target, GL_TEXTURE_MIN_FILTER, t->levels > 1 ?
                        GL_NEAREST_MIPMAP_NEAREST : GL_NEAREST);
        draw_shape(&shapes[i % SHAPES]);
        end_frame(t->name, frame);
        glDeleteProgram(program);
        submit();
    }
}

static void copy_level(const struct texture *from, const struct texture *to,
                       int level)
{
    int side = SIDE >> level;
    bool flat = from->target == GL_TEXTURE_1D ||
                from->target == GL_TEXTURE_1D_ARRAY;
    int depth = from->target == GL_TEXTURE_3D ? from->layers >> level :
                from->layers;

    glCopyImageSubData(from->id, from->target, level, 0, 0, 0, to->id,
                       to->target, level, 0, 0, 0, side, flat ? 1 : side,
                       depth);
}

/* Mesa caches uploads itself; a copy must be read from the host. */
static void copy_textures(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(textures); i++) {
        struct texture copy = textures[i];

        glGenTextures(1, &copy.id);
        glBindTexture(copy.target, copy.id);
        define(&copy);
        for (int level = 0; level < copy.levels; level++) {
            copy_level(&textures[i], &copy, level);
        }
        submit();
        for (int level = 0; level < copy.levels; level++) {
            tell_level(&copy, level);
        }
        glDeleteTextures(1, &copy.id);
    }
}

void use_textures(void)
{
    read_textures();
    copy_textures();
    draw_textures();
    read_textures();
}
