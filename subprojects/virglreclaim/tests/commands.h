/* SPDX-License-Identifier: MIT */
/* The few commands of the protocol that tests submit. */

#ifndef COMMANDS_H
#define COMMANDS_H

#include <stdint.h>

enum { OBJECT_SAMPLER_VIEW = 6, OBJECT_SURFACE = 8 };

/* Each returns the renderer's result: 0, or a positive error. */
int create_surface(uint32_t ctx, uint32_t object, uint32_t id,
                   uint32_t format);
int create_sampler_view(uint32_t ctx, uint32_t object, uint32_t id,
                        uint32_t format, uint32_t target);
int destroy_object(uint32_t ctx, uint32_t object, uint32_t type);

/* Let the fragment shader sample from a view; object 0: from none. */
int set_sampler_view(uint32_t ctx, uint32_t object);

/* Draw vertices from a buffer; id 0: from none. */
int set_vertex_buffer(uint32_t ctx, uint32_t id);

/* Make a surface the colour buffer and clear it to ones. */
int clear_surface(uint32_t ctx, uint32_t object);

#endif
