/* SPDX-License-Identifier: MIT */
/* Lossless readback and upload of storage, one tile at a time. */

#include "readback.h"
#include "gl-context.h"

#include <errno.h>
#include <string.h>
#include <epoxy/gl.h>

/*
 * GL converts pixels between the format of a texture and that of memory, which
 * loses bits for some formats (two encodings of -1.0 in signed normalized
 * ones, several NaNs in floats). A texture view as unsigned integers of the
 * same size is read without conversion. Formats without such a view,
 * compressed, depth and stencil formats are read in a layout of their own; an
 * upload to a scratch texture and a second readback verify that nothing
 * changes.
 */

static const struct {
    GLenum view_class, view_format;
    GLenum format, type;
    uint8_t bytes;
} view_classes[] = {
    { GL_VIEW_CLASS_8_BITS, GL_R8UI, GL_RED_INTEGER, GL_UNSIGNED_BYTE, 1 },
    { GL_VIEW_CLASS_16_BITS, GL_R16UI, GL_RED_INTEGER, GL_UNSIGNED_SHORT, 2 },
    { GL_VIEW_CLASS_24_BITS, GL_RGB8UI, GL_RGB_INTEGER, GL_UNSIGNED_BYTE, 3 },
    { GL_VIEW_CLASS_32_BITS, GL_R32UI, GL_RED_INTEGER, GL_UNSIGNED_INT, 4 },
    { GL_VIEW_CLASS_48_BITS, GL_RGB16UI, GL_RGB_INTEGER, GL_UNSIGNED_SHORT,
      6 },
    { GL_VIEW_CLASS_64_BITS, GL_RG32UI, GL_RG_INTEGER, GL_UNSIGNED_INT, 8 },
    { GL_VIEW_CLASS_96_BITS, GL_RGB32UI, GL_RGB_INTEGER, GL_UNSIGNED_INT,
      12 },
    { GL_VIEW_CLASS_128_BITS, GL_RGBA32UI, GL_RGBA_INTEGER, GL_UNSIGNED_INT,
      16 },
};

static const struct {
    GLenum internal_format, format, type;
    uint8_t bytes;
} layouts[] = {
    { GL_DEPTH_COMPONENT16, GL_DEPTH_COMPONENT, GL_UNSIGNED_SHORT, 2 },
    { GL_DEPTH_COMPONENT24, GL_DEPTH_COMPONENT, GL_FLOAT, 4 },
    { GL_DEPTH_COMPONENT32, GL_DEPTH_COMPONENT, GL_UNSIGNED_INT, 4 },
    { GL_DEPTH_COMPONENT32F, GL_DEPTH_COMPONENT, GL_FLOAT, 4 },
    { GL_DEPTH24_STENCIL8, GL_DEPTH_STENCIL, GL_UNSIGNED_INT_24_8, 4 },
    { GL_DEPTH32F_STENCIL8, GL_DEPTH_STENCIL,
      GL_FLOAT_32_UNSIGNED_INT_24_8_REV, 8 },
    { GL_STENCIL_INDEX8, GL_STENCIL_INDEX, GL_UNSIGNED_BYTE, 1 },
    { GL_RGB565, GL_RGB, GL_UNSIGNED_SHORT_5_6_5, 2 },
    { GL_RGBA4, GL_RGBA, GL_UNSIGNED_SHORT_4_4_4_4, 2 },
    { GL_RGB5_A1, GL_RGBA, GL_UNSIGNED_SHORT_5_5_5_1, 2 },
};

static const GLenum texture_targets[] = {
    [VR_TARGET_1D] = GL_TEXTURE_1D,
    [VR_TARGET_2D] = GL_TEXTURE_2D,
    [VR_TARGET_3D] = GL_TEXTURE_3D,
    [VR_TARGET_CUBE] = GL_TEXTURE_CUBE_MAP,
    [VR_TARGET_RECT] = GL_TEXTURE_RECTANGLE,
    [VR_TARGET_1D_ARRAY] = GL_TEXTURE_1D_ARRAY,
    [VR_TARGET_2D_ARRAY] = GL_TEXTURE_2D_ARRAY,
    [VR_TARGET_CUBE_ARRAY] = GL_TEXTURE_CUBE_MAP_ARRAY,
};

/* Pixel store state for transfers, which the renderer may have changed. */
static const struct {
    GLenum name, setting;
} pixel_store[] = {
    { GL_PACK_ALIGNMENT, 1 },
    { GL_PACK_ROW_LENGTH, 0 },
    { GL_UNPACK_ALIGNMENT, 1 },
    { GL_UNPACK_ROW_LENGTH, 0 },
    { GL_UNPACK_IMAGE_HEIGHT, 0 },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void clear_gl_errors(void)
{
    /* A lost GL context never stops to report errors. */
    for (int i = 0; i < 16 && glGetError() != GL_NO_ERROR; i++) {
    }
}

static int gl_result(void)
{
    switch (glGetError()) {
    case GL_NO_ERROR:
        return 0;
    case GL_OUT_OF_MEMORY:
        return -ENOMEM;
    default:
        return -ENOTSUP;
    }
}

/* Texture views and direct state access. */
static bool have_gl(void)
{
    return vr_gl()->desktop && vr_gl()->version >= 45;
}

/* Create a view of the whole texture as unsigned integers. */
static int begin_view(struct vr_readback *rb, GLenum target, size_t class)
{
    GLint levels = 0, layers = 0;
    GLuint view;
    int ret;

    glGetTextureParameteriv(rb->name, GL_TEXTURE_IMMUTABLE_LEVELS, &levels);
    layers = rb->args->target == VR_TARGET_3D ? 1 :
             vr_args_level(rb->args, 0).layers;
    glGenTextures(1, &view);
    glTextureView(view, target, rb->name, view_classes[class].view_format, 0,
                  levels, 0, layers);
    ret = gl_result();
    if (ret) {
        glDeleteTextures(1, &view);
        return ret;
    }
    rb->method = VR_READBACK_PIXELS;
    rb->name = view;
    rb->view = true;
    rb->lossless = true;
    rb->format = view_classes[class].format;
    rb->type = view_classes[class].type;
    rb->block = (struct vr_block) { 1, 1, view_classes[class].bytes };
    return 0;
}

static int begin_compressed(struct vr_readback *rb)
{
    rb->method = VR_READBACK_COMPRESSED;
    rb->block = vr_format_block(rb->args->format);
    return vr_format_known(rb->args->format) ? 0 : -ENOTSUP;
}

static int begin_layout(struct vr_readback *rb)
{
    for (size_t i = 0; i < COUNT(layouts); i++) {
        if (layouts[i].internal_format == rb->internal_format) {
            rb->method = VR_READBACK_PIXELS;
            rb->format = layouts[i].format;
            rb->type = layouts[i].type;
            rb->block = (struct vr_block) { 1, 1, layouts[i].bytes };
            return 0;
        }
    }
    return -ENOTSUP;
}

static int begin_texture(struct vr_readback *rb)
{
    GLenum target = texture_targets[rb->args->target];
    GLint internal_format = 0, compressed = 0, class = 0, width = 0;

    glGetTextureLevelParameteriv(rb->name, 0, GL_TEXTURE_INTERNAL_FORMAT,
                                 &internal_format);
    glGetTextureLevelParameteriv(rb->name, 0, GL_TEXTURE_COMPRESSED,
                                 &compressed);
    glGetTextureLevelParameteriv(rb->name, 0, GL_TEXTURE_WIDTH, &width);
    if (glGetError() != GL_NO_ERROR) {
        return -ENOTSUP;
    }
    /* The renderer does not check for GL_OUT_OF_MEMORY. */
    if (!width) {
        return -ENOMEM;
    }
    rb->internal_format = internal_format;
    if (compressed) {
        return begin_compressed(rb);
    }
    glGetInternalformativ(target, internal_format, GL_VIEW_COMPATIBILITY_CLASS,
                          1, &class);
    clear_gl_errors();
    for (size_t i = 0; i < COUNT(view_classes); i++) {
        if (view_classes[i].view_class == (GLenum)class) {
            return begin_view(rb, target, i);
        }
    }
    return begin_layout(rb);
}

void vr_readback_resume(struct vr_readback *rb)
{
    if (rb->method == VR_READBACK_RENDERER) {
        return;
    }
    for (size_t i = 0; i < COUNT(pixel_store); i++) {
        glGetIntegerv(pixel_store[i].name, &rb->pixel_store[i]);
        glPixelStorei(pixel_store[i].name, pixel_store[i].setting);
    }
}

void vr_readback_suspend(const struct vr_readback *rb)
{
    if (rb->method == VR_READBACK_RENDERER) {
        return;
    }
    for (size_t i = 0; i < COUNT(pixel_store); i++) {
        glPixelStorei(pixel_store[i].name, rb->pixel_store[i]);
    }
}

/* The same of a buffer. */
static bool has_memory(const vr_args *args, uint32_t name)
{
    GLint64 size = 0;
    GLint old = 0;

    if (name) {
        clear_gl_errors();
        glGetIntegerv(GL_COPY_WRITE_BUFFER_BINDING, &old);
        glBindBuffer(GL_COPY_WRITE_BUFFER, name);
        glGetBufferParameteri64v(GL_COPY_WRITE_BUFFER, GL_BUFFER_SIZE, &size);
        glBindBuffer(GL_COPY_WRITE_BUFFER, old);
        clear_gl_errors();
    }
    return !name || size >= args->width;
}

int vr_readback_begin(struct vr_readback *rb, const vr_args *args,
                      uint32_t name)
{
    int ret;

    *rb = (struct vr_readback) { .args = args, .name = name };
    if (args->target == VR_TARGET_BUFFER) {
        rb->method = VR_READBACK_RENDERER;
        rb->lossless = true;
        rb->block = (struct vr_block) { 1, 1, 1 };
        /*
         * Staging buffers have no contents on the host. The renderer rejects
         * transfers of a buffer without layers: Mesa's fences with virpipe.
         */
        if ((!name && args->bind != VIRGL_RES_BIND_CUSTOM) ||
            !args->array_size) {
            return -ENOTSUP;
        }
        return has_memory(args, name) ? 0 : -ENOMEM;
    }
    if (!name || args->nr_samples || !have_gl()) {
        return -ENOTSUP;
    }
    clear_gl_errors();
    ret = begin_texture(rb);
    if (ret == 0) {
        vr_readback_resume(rb);
    }
    return ret;
}

void vr_readback_release(struct vr_readback *rb)
{
    if (rb->view) {
        glDeleteTextures(1, &rb->name);
        rb->view = false;
        rb->name = 0;
    }
    if (rb->scratch) {
        glDeleteTextures(1, &rb->scratch);
        rb->scratch = 0;
    }
}

void vr_readback_end(struct vr_readback *rb)
{
    if (rb->method == VR_READBACK_RENDERER) {
        return;
    }
    vr_readback_release(rb);
    vr_readback_suspend(rb);
    clear_gl_errors();
}

/* Tiles */

static uint32_t blocks(uint32_t pixels, uint32_t block)
{
    return (pixels + block - 1) / block;
}

static uint32_t max_rows(size_t row_bytes)
{
    return row_bytes < VR_TILE_BYTES ? VR_TILE_BYTES / row_bytes : 1;
}

/* Set the size of @tile at its position, as large as possible. */
static void measure(const struct vr_readback *rb, struct vr_level level,
                    struct vr_tile *tile)
{
    size_t row_bytes = (size_t)blocks(level.width, rb->block.width) *
                       rb->block.bytes;
    uint32_t rows = blocks(level.height - tile->y, rb->block.height);
    uint32_t pixels;

    if (rows > max_rows(row_bytes)) {
        rows = max_rows(row_bytes);
    }
    pixels = rows * rb->block.height;
    tile->width = level.width;
    tile->height = pixels < level.height - tile->y ? pixels :
                    level.height - tile->y;
    tile->size = rows * row_bytes;
}

/* A buffer is a column of bytes: its rows are bytes. */
static struct vr_level level_of(const struct vr_readback *rb, uint32_t i)
{
    struct vr_level level = vr_args_level(rb->args, i);

    if (rb->method == VR_READBACK_RENDERER) {
        level.height = level.width;
        level.width = 1;
    }
    return level;
}

bool vr_readback_next(const struct vr_readback *rb, struct vr_tile *tile)
{
    struct vr_level level = level_of(rb, tile->level);

    tile->y += tile->height;
    if (tile->y >= level.height) {
        tile->y = 0;
        tile->z++;
    }
    if (!level.height || tile->z >= level.layers) {
        tile->z = 0;
        tile->level++;
        if (tile->level > rb->args->last_level) {
            return false;
        }
        level = level_of(rb, tile->level);
    }
    measure(rb, level, tile);
    return true;
}

size_t vr_readback_max_tile(const struct vr_readback *rb)
{
    struct vr_level level = level_of(rb, 0);
    size_t row = (size_t)blocks(level.width, rb->block.width) *
                 rb->block.bytes;
    size_t layer = row * blocks(level.height, rb->block.height);
    size_t tile = row > VR_TILE_BYTES ? row : VR_TILE_BYTES;

    return layer < tile ? layer : tile;
}

/* Transfers */

/* Clear the unused bits of a stencil word, which are undefined. */
static void clear_unused(const struct vr_readback *rb, uint32_t *words,
                         size_t size)
{
    if (rb->type == GL_FLOAT_32_UNSIGNED_INT_24_8_REV) {
        for (size_t i = 1; i < size / sizeof(*words); i += 2) {
            words[i] &= 0xff;
        }
    }
}

static void read_texture(const struct vr_readback *rb, uint32_t name,
                         struct vr_tile p, void *data)
{
    if (rb->method == VR_READBACK_COMPRESSED) {
        glGetCompressedTextureSubImage(name, p.level, 0, p.y, p.z, p.width,
                                       p.height, 1, p.size, data);
    } else {
        glGetTextureSubImage(name, p.level, 0, p.y, p.z, p.width, p.height, 1,
                             rb->format, rb->type, p.size, data);
        clear_unused(rb, data, p.size);
    }
}

static void write_pixels(const struct vr_readback *rb, uint32_t name,
                         uint32_t target, struct vr_tile p, const void *data)
{
    switch (target) {
    case VR_TARGET_1D:
        glTextureSubImage1D(name, p.level, 0, p.width, rb->format, rb->type,
                            data);
        break;
    case VR_TARGET_1D_ARRAY:
    case VR_TARGET_2D:
    case VR_TARGET_RECT:
        glTextureSubImage2D(name, p.level, 0, p.y, p.width, p.height,
                            rb->format, rb->type, data);
        break;
    default:
        glTextureSubImage3D(name, p.level, 0, p.y, p.z, p.width, p.height, 1,
                            rb->format, rb->type, data);
        break;
    }
}

static void write_texture(const struct vr_readback *rb, uint32_t name,
                          uint32_t target, struct vr_tile p,
                          const void *data)
{
    if (rb->method == VR_READBACK_PIXELS) {
        write_pixels(rb, name, target, p, data);
    } else if (target == VR_TARGET_2D) {
        glCompressedTextureSubImage2D(name, p.level, 0, p.y, p.width,
                                      p.height, rb->internal_format, p.size,
                                      data);
    } else {
        glCompressedTextureSubImage3D(name, p.level, 0, p.y, p.z, p.width,
                                      p.height, 1, rb->internal_format,
                                      p.size, data);
    }
}

/* The layers of a 1D array are rows to GL. */
static struct vr_tile gl_tile(const struct vr_readback *rb,
                                const struct vr_tile *tile)
{
    struct vr_tile p = *tile;

    if (rb->args->target == VR_TARGET_1D_ARRAY) {
        p.y = p.z;
        p.z = 0;
    }
    return p;
}

static int transfer_bytes(const struct vr_readback *rb, bool write,
                          const struct vr_tile *tile, void *data)
{
    struct virgl_box box = { .x = tile->y, .w = tile->height, .h = 1, .d = 1 };
    struct iovec iov = { data, tile->size };
    uint32_t id = rb->args->handle;
    int ret;

    if (write) {
        ret = virgl_renderer_transfer_write_iov(id, 0, 0, 0, 0, &box, 0, &iov,
                                                1);
    } else {
        ret = virgl_renderer_transfer_read_iov(id, 0, 0, 0, 0, &box, 0, &iov,
                                               1);
    }
    if (ret) {
        return ret == ENOMEM || ret == -ENOMEM ? -ENOMEM : -ENOTSUP;
    }
    return 0;
}

int vr_readback_read(struct vr_readback *rb, const struct vr_tile *tile,
                     void *data)
{
    if (rb->method == VR_READBACK_RENDERER) {
        return transfer_bytes(rb, false, tile, data);
    }
    read_texture(rb, rb->name, gl_tile(rb, tile), data);
    return gl_result();
}

int vr_readback_write(struct vr_readback *rb, const struct vr_tile *tile,
                      const void *data)
{
    if (rb->method == VR_READBACK_RENDERER) {
        return transfer_bytes(rb, true, tile, (void *)data);
    }
    write_texture(rb, rb->name, rb->args->target, gl_tile(rb, tile), data);
    return gl_result();
}

static int make_scratch(struct vr_readback *rb, uint32_t width,
                        uint32_t height)
{
    if (rb->scratch && rb->scratch_width == width &&
        rb->scratch_height == height) {
        return 0;
    }
    if (rb->scratch) {
        glDeleteTextures(1, &rb->scratch);
    }
    rb->scratch_width = width;
    rb->scratch_height = height;
    glCreateTextures(GL_TEXTURE_2D, 1, &rb->scratch);
    glTextureStorage2D(rb->scratch, 1, rb->internal_format, width, height);
    return gl_result();
}

int vr_readback_verify(struct vr_readback *rb, const struct vr_tile *tile,
                       const void *data, void *again)
{
    struct vr_tile p = {
        .width = tile->width, .height = tile->height, .size = tile->size,
    };
    int ret;

    if (rb->lossless) {
        return 0;
    }
    ret = make_scratch(rb, p.width, p.height);
    if (ret) {
        return ret;
    }
    write_texture(rb, rb->scratch, VR_TARGET_2D, p, data);
    read_texture(rb, rb->scratch, p, again);
    ret = gl_result();
    if (ret) {
        return ret;
    }
    return memcmp(data, again, p.size) ? -ENOTSUP : 0;
}
