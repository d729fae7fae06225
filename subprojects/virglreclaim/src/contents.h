/* SPDX-License-Identifier: MIT */
/* Contents of a resource, compressed. */

#ifndef VIRGLRECLAIM_CONTENTS_H
#define VIRGLRECLAIM_CONTENTS_H

#include "internal.h"

struct vr_chunk {
    struct vr_chunk *next;
    size_t size;                /* of data */
    uint8_t data[];
};

struct vr_contents {
    struct vr_chunk *chunks;
    uint64_t bytes;             /* memory that the chunks take */
};

/*
 * Read the contents of resource args->handle, whose GL object is @name or 0,
 * and compress them into @contents, of @max bytes at most. Context 0 is
 * current. Returns 0, -ENOTSUP if they cannot be read exactly, -ENOSPC if they
 * need more than @max, -ENOMEM; then there are none.
 */
int vr_contents_save(const struct virgl_reclaim_allocator *a,
                     const vr_args *args, uint32_t name, uint64_t max,
                     struct vr_contents *contents);

/*
 * Write @contents, which stay, to the resource they are of. Returns 0, -ENOMEM,
 * -EIO; then the resource may have some of them.
 */
int vr_contents_load(const struct virgl_reclaim_allocator *a,
                     const vr_args *args, uint32_t name,
                     const struct vr_contents *contents);

void vr_contents_free(const struct virgl_reclaim_allocator *a,
                      struct vr_contents *contents);

#endif
