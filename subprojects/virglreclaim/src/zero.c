/* SPDX-License-Identifier: MIT */
/* Clearing of new storage: GL drivers hand out memory with old contents. */

#include "gl-context.h"
#include "internal.h"

#include <errno.h>
#include <epoxy/gl.h>

/*
 * The renderer caches some of its bindings, so every binding that is changed
 * here is restored.
 */

enum {
    MULTISAMPLE_2D = VR_TARGET_CUBE_ARRAY + 1,
    MULTISAMPLE_2D_ARRAY,
};

static const struct {
    GLenum target, binding, image;
} gl_targets[] = {
    [VR_TARGET_1D] = {
        GL_TEXTURE_1D, GL_TEXTURE_BINDING_1D, GL_TEXTURE_1D
    },
    [VR_TARGET_2D] = {
        GL_TEXTURE_2D, GL_TEXTURE_BINDING_2D, GL_TEXTURE_2D
    },
    [VR_TARGET_3D] = {
        GL_TEXTURE_3D, GL_TEXTURE_BINDING_3D, GL_TEXTURE_3D
    },
    [VR_TARGET_CUBE] = {
        GL_TEXTURE_CUBE_MAP, GL_TEXTURE_BINDING_CUBE_MAP,
        GL_TEXTURE_CUBE_MAP_POSITIVE_X
    },
    [VR_TARGET_RECT] = {
        GL_TEXTURE_RECTANGLE, GL_TEXTURE_BINDING_RECTANGLE,
        GL_TEXTURE_RECTANGLE
    },
    [VR_TARGET_1D_ARRAY] = {
        GL_TEXTURE_1D_ARRAY, GL_TEXTURE_BINDING_1D_ARRAY, GL_TEXTURE_1D_ARRAY
    },
    [VR_TARGET_2D_ARRAY] = {
        GL_TEXTURE_2D_ARRAY, GL_TEXTURE_BINDING_2D_ARRAY, GL_TEXTURE_2D_ARRAY
    },
    [VR_TARGET_CUBE_ARRAY] = {
        GL_TEXTURE_CUBE_MAP_ARRAY, GL_TEXTURE_BINDING_CUBE_MAP_ARRAY,
        GL_TEXTURE_CUBE_MAP_ARRAY
    },
    [MULTISAMPLE_2D] = {
        GL_TEXTURE_2D_MULTISAMPLE, GL_TEXTURE_BINDING_2D_MULTISAMPLE,
        GL_TEXTURE_2D_MULTISAMPLE
    },
    [MULTISAMPLE_2D_ARRAY] = {
        GL_TEXTURE_2D_MULTISAMPLE_ARRAY,
        GL_TEXTURE_BINDING_2D_MULTISAMPLE_ARRAY,
        GL_TEXTURE_2D_MULTISAMPLE_ARRAY
    },
};

/* Size of a block of zeroes, which an iovec repeats. */
#define ZEROES 65536

void vr_clear_gl_errors(void)
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

/* An iovec of zeroes: all entries are the same memory. */
struct zeroes {
    struct iovec *iov;
    uint64_t n;
    void *memory;
};

static bool make_zeroes(const struct virgl_reclaim_allocator *a,
                        uint64_t bytes, struct zeroes *z)
{
    z->n = (bytes + ZEROES - 1) / ZEROES;
    z->memory = vr_alloc0(a, ZEROES);
    z->iov = z->n > SIZE_MAX / sizeof(*z->iov) ? NULL :
             vr_alloc0(a, z->n * sizeof(*z->iov));
    if (!z->memory || !z->iov) {
        vr_free(a, z->memory);
        vr_free(a, z->iov);
        return false;
    }
    for (uint64_t i = 0; i < z->n; i++) {
        z->iov[i].iov_base = z->memory;
        z->iov[i].iov_len = ZEROES;
    }
    return true;
}

static int upload_zeroes(const vr_args *args, uint32_t level,
                         const struct zeroes *z)
{
    struct vr_level l = vr_args_level(args, level);

    for (uint32_t layer = 0; l.layer_bytes && layer < l.layers; layer++) {
        struct virgl_box box = {
            .z = layer, .w = l.width, .h = l.height, .d = 1,
        };
        int ret = virgl_renderer_transfer_write_iov(args->handle, 0, level, 0,
                                                    0, &box, 0, z->iov, z->n);

        if (ret) {
            return ret == ENOMEM ? -ENOMEM : -ENOTSUP;
        }
    }
    return 0;
}

/*
 * Clear by uploading zeroes with the renderer, which supports each format and
 * target but multisampled and, on GLES, depth textures.
 */
static int zero_by_transfer(const struct virgl_reclaim_allocator *a,
                            const vr_args *args)
{
    uint64_t bytes = vr_args_level(args, 0).layer_bytes;
    struct zeroes z;
    int ret = 0;

    if (!bytes) {
        return 0;
    }
    if (!make_zeroes(a, bytes, &z)) {
        return -ENOMEM;
    }
    for (uint32_t i = 0; i <= args->last_level && !ret; i++) {
        ret = upload_zeroes(args, i, &z);
    }
    vr_free(a, z.iov);
    vr_free(a, z.memory);
    return ret;
}

static int zero_buffer(const struct virgl_reclaim_allocator *a,
                       const vr_args *args, uint32_t name)
{
    GLint64 size = 0;
    GLint old = 0;
    int ret;

    if (!args->width) {
        return 0;
    }

    vr_clear_gl_errors();
    glGetIntegerv(GL_COPY_WRITE_BUFFER_BINDING, &old);
    glBindBuffer(GL_COPY_WRITE_BUFFER, name);

    /* The renderer does not check for GL_OUT_OF_MEMORY. */
    glGetBufferParameteri64v(GL_COPY_WRITE_BUFFER, GL_BUFFER_SIZE, &size);
    if (size < args->width) {
        ret = -ENOMEM;
    } else if (vr_gl()->clear_buffer) {
        glClearBufferData(GL_COPY_WRITE_BUFFER, GL_R8, GL_RED,
                          GL_UNSIGNED_BYTE, NULL);
        ret = gl_result();
    } else {
        ret = zero_by_transfer(a, args);
    }

    glBindBuffer(GL_COPY_WRITE_BUFFER, old);
    vr_clear_gl_errors();
    return ret;
}

struct texture {
    GLint width;
    GLint compressed;
    GLint depth, stencil;       /* bits */
    bool integer;
};

/* The GL target that the renderer uses for a resource. */
static int texture_target(const vr_args *args)
{
    if (args->nr_samples) {
        return args->target == VR_TARGET_2D_ARRAY ? MULTISAMPLE_2D_ARRAY
                                                  : MULTISAMPLE_2D;
    }
    if (!vr_gl()->desktop) {
        switch (args->target) {
        case VR_TARGET_1D:
        case VR_TARGET_RECT:
            return VR_TARGET_2D;
        case VR_TARGET_1D_ARRAY:
            return VR_TARGET_2D_ARRAY;
        }
    }
    return args->target;
}

/* Leaves the texture bound. */
static void query_texture(int target, uint32_t name, struct texture *tex)
{
    GLenum image = gl_targets[target].image;
    GLint red = 0, alpha = 0;

    glBindTexture(gl_targets[target].target, name);
    glGetTexLevelParameteriv(image, 0, GL_TEXTURE_WIDTH, &tex->width);
    glGetTexLevelParameteriv(image, 0, GL_TEXTURE_COMPRESSED,
                             &tex->compressed);
    glGetTexLevelParameteriv(image, 0, GL_TEXTURE_DEPTH_SIZE, &tex->depth);
    glGetTexLevelParameteriv(image, 0, GL_TEXTURE_STENCIL_SIZE,
                             &tex->stencil);
    /* Alpha formats have no red channel. */
    glGetTexLevelParameteriv(image, 0, GL_TEXTURE_RED_TYPE, &red);
    glGetTexLevelParameteriv(image, 0, GL_TEXTURE_ALPHA_TYPE, &alpha);

    tex->integer = red == GL_INT || red == GL_UNSIGNED_INT ||
                   alpha == GL_INT || alpha == GL_UNSIGNED_INT;
}

static void clear_level(uint32_t name, uint32_t level,
                        const struct texture *tex)
{
    GLenum format = GL_RGBA, type = GL_UNSIGNED_BYTE;

    if (tex->depth && tex->stencil) {
        format = GL_DEPTH_STENCIL;
        type = GL_UNSIGNED_INT_24_8;
    } else if (tex->depth) {
        format = GL_DEPTH_COMPONENT;
        type = GL_FLOAT;
    } else if (tex->stencil) {
        format = GL_STENCIL_INDEX;
    } else if (tex->integer) {
        format = GL_RGBA_INTEGER;
    }

    if (vr_gl()->desktop) {
        glClearTexImage(name, level, format, type, NULL);
    } else {
        glClearTexImageEXT(name, level, format, type, NULL);
    }
}

static int clear_texture(const struct virgl_reclaim_allocator *a,
                         const vr_args *args, int target, uint32_t name)
{
    struct texture tex = { 0 };
    int ret = 0;

    if (!vr_gl()->desktop && vr_gl()->version < 31) {
        /* There are no queries of texture levels. */
        tex.depth = args->bind & VIRGL_RES_BIND_DEPTH_STENCIL;
    } else {
        query_texture(target, name, &tex);
        vr_clear_gl_errors();
        if (!tex.width) {
            /* The renderer does not check for GL_OUT_OF_MEMORY. */
            return -ENOMEM;
        }
    }

    if (tex.compressed || !vr_gl()->clear_texture) {
        bool depth = tex.depth || tex.stencil;

        if (args->nr_samples || (depth && !vr_gl()->desktop)) {
            return -ENOTSUP;
        }
        return zero_by_transfer(a, args);
    }

    for (uint32_t i = 0; i <= args->last_level && !ret; i++) {
        clear_level(name, i, &tex);
        ret = gl_result();
    }
    return ret;
}

static int zero_texture(const struct virgl_reclaim_allocator *a,
                        const vr_args *args, uint32_t name)
{
    int target = texture_target(args);
    GLint old = 0;
    int ret;

    vr_clear_gl_errors();
    glGetIntegerv(gl_targets[target].binding, &old);
    ret = clear_texture(a, args, target, name);
    /* An upload leaves the texture bound as well. */
    glBindTexture(gl_targets[target].target, old);
    return ret;
}

int vr_zero(const struct virgl_reclaim_allocator *a, const vr_args *args,
            uint32_t name)
{
    if (args->target != VR_TARGET_BUFFER) {
        return zero_texture(a, args, name);
    }
    /* The renderer zeroes the memory of custom buffers itself. */
    return name ? zero_buffer(a, args, name) : 0;
}

void vr_texture_target(const vr_args *args, uint32_t *target,
                       uint32_t *binding)
{
    int index = texture_target(args);

    *target = gl_targets[index].target;
    *binding = gl_targets[index].binding;
}
