/* SPDX-License-Identifier: MIT */
/* The renderer's storage of a resource, as a rule a GL object. */

#include "storage.h"

#include <errno.h>
#include <epoxy/gl.h>

/*
 * The renderer leaks the texture that it has created when it finds that GL does
 * not support the format, and a guest can repeat that without end. A GL driver
 * uses the name that was freed last, or the next one: a texture that exists
 * there after the failure is the leaked one. To find the name takes a tenth of
 * what it takes to create a texture, so it is done after the first failure: the
 * one texture of that, without storage, stays.
 */
struct leaked {
    GLuint name;
    bool next_taken;
};

/* Of the renderer, which is one for the process. */
static bool has_failed;

static struct leaked expect_leak(void)
{
    struct leaked f;

    glGenTextures(1, &f.name);
    glDeleteTextures(1, &f.name);
    f.next_taken = glIsTexture(f.name + 1);
    return f;
}

static void delete_leaked(const struct leaked *f)
{
    GLuint next = f->name + 1;

    if (glIsTexture(f->name)) {
        glDeleteTextures(1, &f->name);
    } else if (!f->next_taken && glIsTexture(next)) {
        glDeleteTextures(1, &next);
    }
}

int vr_storage_create(const vr_args *args, struct vr_storage *storage)
{
    struct virgl_renderer_resource_create_args copy = *args;
    struct virgl_renderer_resource_info info = { 0 };
    struct leaked leaked = { 0 };
    int ret;

    virgl_renderer_force_ctx_0();
    if (has_failed) {
        leaked = expect_leak();
    }

    /* Returns positive errors, and prints the reason to stderr. */
    ret = virgl_renderer_resource_create(&copy, NULL, 0);
    if (ret) {
        virgl_renderer_force_ctx_0();
        if (has_failed) {
            delete_leaked(&leaked);
        }
        has_failed = true;
        return ret == ENOMEM || ret == -ENOMEM ? -ENOMEM : -EINVAL;
    }

    /*
     * Ignore the result: it is an error, with all fields set, when the winsys
     * does not know the format.
     */
    virgl_renderer_resource_get_info(args->handle, &info);
    storage->buffer = args->target == VR_TARGET_BUFFER;
    storage->name = info.tex_id;
    if (!storage->buffer) {
        vr_texture_target(args, &storage->target, &storage->binding);
    }
    return 0;
}

int vr_storage_zero(const struct virgl_reclaim_allocator *a,
                    const vr_args *args, struct vr_storage *storage)
{
    int ret = vr_zero(a, args, storage->name);

    if (ret) {
        virgl_renderer_resource_unref(args->handle);
        storage->name = 0;
    }
    return ret;
}

void vr_storage_unref(uint32_t id)
{
    virgl_renderer_resource_unref(id);
}

/*
 * The renderer deletes the GL object with the last reference to a resource, and
 * deleting frees the name at once. Context 0 is current.
 */
bool vr_storage_alive(const struct vr_storage *storage)
{
    return storage->buffer ? glIsBuffer(storage->name)
                           : glIsTexture(storage->name);
}

/*
 * Resize the buffer to no bytes: GL contexts that still have it bound hold no
 * memory then. An error of GL if the storage is immutable.
 */
bool vr_storage_truncate(const struct vr_storage *storage)
{
    GLint old = 0, size = 1;

    if (!storage->buffer || !storage->name) {
        return false;
    }
    glGetIntegerv(GL_COPY_WRITE_BUFFER_BINDING, &old);
    glBindBuffer(GL_COPY_WRITE_BUFFER, storage->name);
    glBufferData(GL_COPY_WRITE_BUFFER, 0, NULL, GL_STATIC_DRAW);
    glGetBufferParameteriv(GL_COPY_WRITE_BUFFER, GL_BUFFER_SIZE, &size);
    glBindBuffer(GL_COPY_WRITE_BUFFER, old);
    vr_clear_gl_errors();
    return size == 0;
}
