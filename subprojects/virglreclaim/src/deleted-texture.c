/* SPDX-License-Identifier: MIT */
/*
 * A deleted texture lives on for as long as another GL context has it bound,
 * and queries of the binding return its name (OpenGL 4.6, 5.1.3). The renderer
 * leaves its last bindings in place, in one GL context per sub-context. It
 * does not use a texture after it has deleted it, so these bindings can be
 * removed.
 */

#include "instance.h"

#include <epoxy/gl.h>

static void unbind_units(GLenum target, GLenum binding, GLint name)
{
    GLint units = 0, active = GL_TEXTURE0;

    glGetIntegerv(GL_MAX_COMBINED_TEXTURE_IMAGE_UNITS, &units);
    glGetIntegerv(GL_ACTIVE_TEXTURE, &active);
    for (GLint i = 0; i < units; i++) {
        GLint bound = 0;

        glActiveTexture(GL_TEXTURE0 + i);
        glGetIntegerv(binding, &bound);
        if (bound == name) {
            glBindTexture(target, 0);
        }
    }
    glActiveTexture(active);
}

static void unbind_images(GLint name)
{
    GLint units = 0;

    if (epoxy_gl_version() < (epoxy_is_desktop_gl() ? 42 : 31)) {
        return;
    }
    glGetIntegerv(GL_MAX_IMAGE_UNITS, &units);
    for (GLint i = 0; i < units; i++) {
        GLint bound = 0;

        glGetIntegeri_v(GL_IMAGE_BINDING_NAME, i, &bound);
        if (bound == name) {
            glBindImageTexture(i, 0, 0, GL_FALSE, 0, GL_READ_ONLY, GL_R32UI);
        }
    }
}

/* Unbind in the current GL context. */
static void unbind(const struct vr_storage *storage)
{
    vr_clear_gl_errors();
    unbind_units(storage->target, storage->binding, storage->name);
    unbind_images(storage->name);
    vr_clear_gl_errors();
}

/* The renderer makes the GL context of a sub-context current on a command. */
static bool enter(struct virgl_reclaim *vr, struct vr_context *context,
                  uint32_t sub)
{
    uint32_t words[] = { vr_header(VR_SET_SUB_CTX, 0, 1), sub };

    if (virgl_renderer_submit_cmd(words, context->id, 2)) {
        vr_references_set_error(vr, context);
        return false;
    }
    return true;
}

static void unbind_in(struct virgl_reclaim *vr, struct vr_context *context,
                      const struct vr_storage *storage)
{
    struct vr_references *refs = &context->references;
    const struct vr_entry *entry;
    uint32_t pos = 0;

    while ((entry = vr_table_next(&refs->subs, &pos))) {
        if (!enter(vr, context, entry->key)) {
            return;
        }
        unbind(storage);
    }
    enter(vr, context, refs->current->id);
}

void vr_deleted_texture_unbind(struct virgl_reclaim *vr,
                               const struct vr_storage *storage)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    if (storage->buffer || !storage->name) {
        return;
    }
    while ((entry = vr_table_next(&vr->contexts, &pos))) {
        struct vr_context *context = entry->value;

        if (!context->references.in_error &&
            vr_table_find(&context->resources, storage->id)) {
            unbind_in(vr, context, storage);
        }
    }
    virgl_renderer_force_ctx_0();
    unbind(storage);
}
