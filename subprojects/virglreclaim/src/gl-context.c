/* SPDX-License-Identifier: MIT */
/* State of the current GL context, which is the renderer's. */

#include "gl-context.h"
#include "internal.h"

#include <epoxy/gl.h>

static void query(struct vr_gl *gl)
{
    gl->desktop = epoxy_is_desktop_gl();
    gl->version = epoxy_gl_version();
    if (gl->desktop) {
        gl->clear_buffer = gl->version >= 43 ||
            epoxy_has_gl_extension("GL_ARB_clear_buffer_object");
        gl->clear_texture = gl->version >= 44 ||
            epoxy_has_gl_extension("GL_ARB_clear_texture");
    } else {
        gl->clear_texture = gl->version >= 31 &&
            epoxy_has_gl_extension("GL_EXT_clear_texture");
    }
}

/* Each answer takes thousands of instructions: they are kept. */
const struct vr_gl *vr_gl(void)
{
    static struct vr_gl gl;

    if (!gl.version) {
        query(&gl);
    }
    return &gl;
}

void vr_gl_finish(void)
{
    glFinish();
}

/* Texture units */

uint32_t vr_gl_select_last_unit(void)
{
    GLint active = GL_TEXTURE0, units = 1;

    glGetIntegerv(GL_ACTIVE_TEXTURE, &active);
    glGetIntegerv(GL_MAX_COMBINED_TEXTURE_IMAGE_UNITS, &units);
    glActiveTexture(GL_TEXTURE0 + units - 1);
    return active;
}

void vr_gl_select_unit(uint32_t unit)
{
    glActiveTexture(unit);
}

/* Deleted textures */

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

static bool is_deleted(GLint name)
{
    return name && !glIsTexture(name);
}

/* Those of @name; of all that have been deleted if it is 0. */
static void unbind_images(GLint name)
{
    GLint units = 0;

    if (vr_gl()->version < (vr_gl()->desktop ? 42 : 31)) {
        return;
    }
    glGetIntegerv(GL_MAX_IMAGE_UNITS, &units);
    for (GLint i = 0; i < units; i++) {
        GLint bound = 0;

        glGetIntegeri_v(GL_IMAGE_BINDING_NAME, i, &bound);
        if (name ? bound == name : is_deleted(bound)) {
            glBindImageTexture(i, 0, 0, GL_FALSE, 0, GL_READ_ONLY, GL_R32UI);
        }
    }
}

/* The renderer does not use a texture after it has deleted it. */
void vr_gl_unbind_texture(uint32_t target, uint32_t binding, uint32_t name)
{
    vr_clear_gl_errors();
    unbind_units(target, binding, name);
    unbind_images(name);
    vr_clear_gl_errors();
}

void vr_gl_unbind_active(uint32_t target, uint32_t binding, uint32_t name)
{
    GLint bound = 0;

    glGetIntegerv(binding, &bound);
    if (bound == (GLint)name) {
        glBindTexture(target, 0);
    }
}

/* All targets of textures, with the enum that queries the binding. */
static const struct {
    GLenum target, binding;
} targets[] = {
    { GL_TEXTURE_1D, GL_TEXTURE_BINDING_1D },
    { GL_TEXTURE_2D, GL_TEXTURE_BINDING_2D },
    { GL_TEXTURE_3D, GL_TEXTURE_BINDING_3D },
    { GL_TEXTURE_CUBE_MAP, GL_TEXTURE_BINDING_CUBE_MAP },
    { GL_TEXTURE_RECTANGLE, GL_TEXTURE_BINDING_RECTANGLE },
    { GL_TEXTURE_1D_ARRAY, GL_TEXTURE_BINDING_1D_ARRAY },
    { GL_TEXTURE_2D_ARRAY, GL_TEXTURE_BINDING_2D_ARRAY },
    { GL_TEXTURE_CUBE_MAP_ARRAY, GL_TEXTURE_BINDING_CUBE_MAP_ARRAY },
    { GL_TEXTURE_2D_MULTISAMPLE, GL_TEXTURE_BINDING_2D_MULTISAMPLE },
    { GL_TEXTURE_2D_MULTISAMPLE_ARRAY,
      GL_TEXTURE_BINDING_2D_MULTISAMPLE_ARRAY },
};

static void unbind_deleted_units(void)
{
    GLint units = 0, active = GL_TEXTURE0;

    glGetIntegerv(GL_MAX_COMBINED_TEXTURE_IMAGE_UNITS, &units);
    glGetIntegerv(GL_ACTIVE_TEXTURE, &active);
    for (GLint i = 0; i < units; i++) {
        glActiveTexture(GL_TEXTURE0 + i);
        for (size_t t = 0; t < sizeof(targets) / sizeof(targets[0]); t++) {
            GLint bound = 0;

            glGetIntegerv(targets[t].binding, &bound);
            if (is_deleted(bound)) {
                glBindTexture(targets[t].target, 0);
            }
        }
    }
    glActiveTexture(active);
}

void vr_gl_unbind_deleted(void)
{
    vr_clear_gl_errors();
    unbind_deleted_units();
    unbind_images(0);
    vr_clear_gl_errors();
}

/* Retained textures */

enum { PASSES = 8 };

/* A framebuffer of one pixel, bound. */
static void make_framebuffer(GLuint *framebuffer, GLuint *pixel)
{
    glGenFramebuffers(1, framebuffer);
    glGenRenderbuffers(1, pixel);
    glBindRenderbuffer(GL_RENDERBUFFER, *pixel);
    glRenderbufferStorage(GL_RENDERBUFFER, GL_RGBA8, 1, 1);
    glBindFramebuffer(GL_DRAW_FRAMEBUFFER, *framebuffer);
    glFramebufferRenderbuffer(GL_DRAW_FRAMEBUFFER, GL_COLOR_ATTACHMENT0,
                              GL_RENDERBUFFER, *pixel);
}

/* Passes that clear a pixel, each in another framebuffer than the one before. */
static void draw_passes(void)
{
    GLuint framebuffers[2], pixels[2];

    for (int i = 0; i < 2; i++) {
        make_framebuffer(&framebuffers[i], &pixels[i]);
    }
    for (int i = 0; i < PASSES; i++) {
        glBindFramebuffer(GL_DRAW_FRAMEBUFFER, framebuffers[i % 2]);
        glClear(GL_COLOR_BUFFER_BIT);
    }
    glDeleteFramebuffers(2, framebuffers);
    glDeleteRenderbuffers(2, pixels);
}

void vr_gl_retire(void)
{
    GLint draw = 0, renderbuffer = 0;
    GLboolean mask[4], scissor, discard;

    vr_clear_gl_errors();
    if (vr_gl()->desktop) {
        glGetIntegerv(GL_DRAW_FRAMEBUFFER_BINDING, &draw);
        glGetIntegerv(GL_RENDERBUFFER_BINDING, &renderbuffer);
        glGetBooleani_v(GL_COLOR_WRITEMASK, 0, mask);
        scissor = glIsEnabledi(GL_SCISSOR_TEST, 0);
        discard = glIsEnabled(GL_RASTERIZER_DISCARD);
        glColorMaski(0, GL_TRUE, GL_TRUE, GL_TRUE, GL_TRUE);
        glDisablei(GL_SCISSOR_TEST, 0);
        glDisable(GL_RASTERIZER_DISCARD);
        draw_passes();
        glColorMaski(0, mask[0], mask[1], mask[2], mask[3]);
        (scissor ? glEnablei : glDisablei)(GL_SCISSOR_TEST, 0);
        (discard ? glEnable : glDisable)(GL_RASTERIZER_DISCARD);
        glBindRenderbuffer(GL_RENDERBUFFER, renderbuffer);
        glBindFramebuffer(GL_DRAW_FRAMEBUFFER, draw);
    }
    glFlush();
    vr_clear_gl_errors();
}

/* Buffers of draw arguments */

static void rebind(GLenum target, GLenum binding)
{
    GLint bound = 0;

    glGetIntegerv(binding, &bound);
    if (bound && glIsBuffer(bound)) {
        glBindBuffer(target, bound);
    }
}

void vr_gl_rebind_indirect(void)
{
    vr_clear_gl_errors();
    rebind(GL_DRAW_INDIRECT_BUFFER, GL_DRAW_INDIRECT_BUFFER_BINDING);
    rebind(GL_PARAMETER_BUFFER_ARB, GL_PARAMETER_BUFFER_BINDING_ARB);
    vr_clear_gl_errors();
}
