/* SPDX-License-Identifier: MIT */
/* Commands of the protocol that tests submit. */

#ifndef COMMANDS_H
#define COMMANDS_H

#include <stdint.h>

#include "stream.h"

struct virgl_reclaim;

enum { STAGE_VERTEX, STAGE_FRAGMENT };

/* Submit one command. All return 0 or a negative errno. */
int submit(struct virgl_reclaim *vr, uint32_t ctx, uint32_t code,
           uint32_t type, const uint32_t *args, uint32_t n);

/* The same with the arguments in a list. */
#define COMMAND(vr, ctx, code, type, ...) \
    submit(vr, ctx, code, type, (uint32_t[]) { __VA_ARGS__ }, \
           sizeof((uint32_t[]) { __VA_ARGS__ }) / sizeof(uint32_t))

int create_surface(struct virgl_reclaim *vr, uint32_t ctx, uint32_t object,
                   uint32_t id, uint32_t format);
int create_sampler_view(struct virgl_reclaim *vr, uint32_t ctx,
                        uint32_t object, uint32_t id, uint32_t format,
                        uint32_t target);
int destroy_object(struct virgl_reclaim *vr, uint32_t ctx, uint32_t object);

/* Bind a sampler view to the fragment shader; object 0: unbind. */
int set_sampler_view(struct virgl_reclaim *vr, uint32_t ctx, uint32_t object);

/* Bind a vertex buffer; id 0: unbind. */
int set_vertex_buffer(struct virgl_reclaim *vr, uint32_t ctx, uint32_t id);

/* Bind a surface as colour buffer; object 0: unbind. */
int set_framebuffer(struct virgl_reclaim *vr, uint32_t ctx, uint32_t object);

/* The same, and clear it to ones. */
int clear_surface(struct virgl_reclaim *vr, uint32_t ctx, uint32_t object);

#endif
