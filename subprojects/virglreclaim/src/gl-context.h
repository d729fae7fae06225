/* SPDX-License-Identifier: MIT */
/* State of the current GL context, which is the renderer's. */

#ifndef VIRGLRECLAIM_GL_CONTEXT_H
#define VIRGLRECLAIM_GL_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

/* What the GL of the process is: the renderer's contexts are all of one kind. */
struct vr_gl {
    bool desktop;               /* not GLES */
    int version;                /* as of epoxy_gl_version() */
    bool clear_buffer, clear_texture;   /* has glClear(Buffer|Tex)...() */
};

/* A GL context is current when this is called the first time. */
const struct vr_gl *vr_gl(void);

/* Wait until everything is drawn. */
void vr_gl_finish(void);

/*
 * Make the last texture unit active, which shaders do not get to. Returns the
 * one that was, to be selected again.
 */
uint32_t vr_gl_select_last_unit(void);
void vr_gl_select_unit(uint32_t unit);

/*
 * Unbind a texture that has been deleted and whose name is not in use again. It
 * lives on for as long as another GL context has it bound, and queries of the
 * binding return its name (OpenGL 4.6, 5.1.3). The renderer leaves its last
 * bindings in place. @target and @binding are GL enums.
 */
void vr_gl_unbind_texture(uint32_t target, uint32_t binding, uint32_t name);

/* The same in context 0, where only the active texture unit is in use. */
void vr_gl_unbind_active(uint32_t target, uint32_t binding, uint32_t name);

/* The same for all textures that have been deleted: slower. */
void vr_gl_unbind_deleted(void);

/*
 * Have the GL driver release deleted textures that this GL context has drawn
 * with. llvmpipe keeps what a rendering pass has used until it reuses the slot
 * for another pass of the same GL context, and Mesa what the context has of a
 * texture until it is flushed: both may never come to an idle context.
 */
void vr_gl_retire(void);

/*
 * Bind the buffers for the arguments of indirect draws again: what is bound may
 * have been deleted, and be another buffer than the one that has its name now.
 */
void vr_gl_rebind_indirect(void);

#endif
