/* SPDX-License-Identifier: MIT */
/* Every kind of resource that a guest can make, as Mesa makes it. */

#ifndef KINDS_H
#define KINDS_H

#include "renderer.h"

enum kind_flags {
    KIND_NO_STORAGE = 1,        /* lives in the memory of the guest alone */
    KIND_UNSEEN = 2,            /* not of GL: cannot be seen to go */
    KIND_NO_TRANSFER = 4,       /* the renderer does not transfer it */
    KIND_GL_ONLY = 8,           /* GLES has no such upload or readback */
    KIND_VIEWED = 16,           /* a context has a view of it */
    KIND_SMALL = 32,            /* what the GL driver adds is not small */
};

struct kind {
    const char *name;
    uint32_t target, format, bind;
    uint32_t width, height, depth, array_size, last_level, nr_samples;
    unsigned flags;
};

extern const struct kind kinds[];
extern const size_t n_kinds;

/* What resource @id of a kind is created with. */
struct virgl_renderer_resource_create_args kind_args(const struct kind *kind,
                                                     uint32_t id);

#endif
