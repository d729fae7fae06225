/* SPDX-License-Identifier: MIT */
/* The types of resources that a guest can create, with Mesa's arguments. */

#ifndef RESOURCE_TYPES_H
#define RESOURCE_TYPES_H

#include "renderer.h"

enum type_flags {
    TYPE_NO_STORAGE = 1,        /* no host storage: guest memory only */
    TYPE_UNSEEN = 2,            /* no GL object: its release is not visible */
    TYPE_NO_TRANSFER = 4,       /* the renderer cannot transfer it */
    TYPE_GL_ONLY = 8,           /* GLES has no such upload or readback */
    TYPE_VIEWED = 16,           /* a context has a view of it */
    TYPE_SMALL = 32,            /* overhead of the GL driver is not small */
};

struct resource_type {
    const char *name;
    uint32_t target, format, bind;
    uint32_t width, height, depth, array_size, last_level, nr_samples;
    unsigned flags;
};

extern const struct resource_type resource_types[];
extern const size_t n_resource_types;

/* Creation arguments of resource @id of a type. */
struct virgl_renderer_resource_create_args type_args(
    const struct resource_type *type, uint32_t id);

#endif
