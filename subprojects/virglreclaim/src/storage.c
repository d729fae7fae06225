/* SPDX-License-Identifier: MIT */
/* The GL object behind a resource: made, dropped, looked for. */

#include "internal.h"

#include <errno.h>
#include <epoxy/gl.h>

/*
 * The renderer forgets the texture that it has made when it finds out that GL
 * does not have the format, and a guest can have it do that for ever. A GL
 * driver gives it the name that was free last, or the next one: if a texture
 * has come to be there, it is the one that was forgotten.
 */
struct forgotten {
    GLuint name;
    bool next_taken;
};

static struct forgotten expect_forgotten(void)
{
    struct forgotten f;

    glGenTextures(1, &f.name);
    glDeleteTextures(1, &f.name);
    f.next_taken = glIsTexture(f.name + 1);
    return f;
}

static void delete_forgotten(const struct forgotten *f)
{
    GLuint next = f->name + 1;

    if (glIsTexture(f->name)) {
        glDeleteTextures(1, &f->name);
    } else if (!f->next_taken && glIsTexture(next)) {
        glDeleteTextures(1, &next);
    }
}

int vr_storage_create(const struct virgl_reclaim_allocator *a,
                      const vr_args *args, struct vr_storage *storage)
{
    struct virgl_renderer_resource_create_args copy = *args;
    struct virgl_renderer_resource_info info = { 0 };
    struct forgotten forgotten;
    int ret;

    virgl_renderer_force_ctx_0();
    forgotten = expect_forgotten();

    /* Its errors are positive; it says what is wrong on stderr. */
    ret = virgl_renderer_resource_create(&copy, NULL, 0);
    if (ret) {
        virgl_renderer_force_ctx_0();
        delete_forgotten(&forgotten);
        return ret == ENOMEM || ret == -ENOMEM ? -ENOMEM : -EINVAL;
    }

    /*
     * The result is of no use here: it is an error also when the winsys has
     * no name for the format, with the rest of the answer in place.
     */
    virgl_renderer_resource_get_info(args->handle, &info);
    storage->buffer = args->target == VR_TARGET_BUFFER;
    storage->name = info.tex_id;
    if (!storage->buffer) {
        vr_texture_target(args, &storage->target, &storage->binding);
    }

    ret = vr_zero(a, args, storage->name);
    if (ret) {
        virgl_renderer_resource_unref(args->handle);
        storage->name = 0;
    }
    return ret;
}

void vr_storage_drop(uint32_t id)
{
    virgl_renderer_force_ctx_0();
    virgl_renderer_resource_unref(id);
}

/*
 * The renderer deletes the GL object with the last reference to a resource;
 * deleting takes the name away at once. To be asked with context 0 current.
 */
bool vr_storage_alive(const struct vr_storage *storage)
{
    return storage->buffer ? glIsBuffer(storage->name)
                           : glIsTexture(storage->name);
}

/*
 * A buffer of no bytes is as good an object as any: GL contexts that bound it
 * last refer to no memory. GL refuses if the storage is immutable.
 */
bool vr_storage_empty(const struct vr_storage *storage)
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
    vr_forget_gl_errors();
    return size == 0;
}
