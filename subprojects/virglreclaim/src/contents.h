/* SPDX-License-Identifier: MIT */
/* Compressed contents of a resource. */

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
 * current. Returns 0, -ENOTSUP if they cannot be read losslessly, -ENOSPC if
 * they take more than @max, or -ENOMEM; on failure @contents is empty.
 */
int vr_contents_save(const struct virgl_reclaim_allocator *a,
                     const vr_args *args, uint32_t name, uint64_t max,
                     struct vr_contents *contents);

/*
 * Decompress @contents, which are kept, into resource args->handle. Returns 0,
 * -ENOMEM or -EIO; on failure the resource may be partly written.
 */
int vr_contents_load(const struct virgl_reclaim_allocator *a,
                     const vr_args *args, uint32_t name,
                     const struct vr_contents *contents);

void vr_contents_free(const struct virgl_reclaim_allocator *a,
                      struct vr_contents *contents);

#endif
