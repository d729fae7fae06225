/* SPDX-License-Identifier: MIT */
/* Allocation by the caller's allocator or the C library. */

#include "internal.h"

#include <stdlib.h>
#include <string.h>

static void *libc_alloc(size_t size, void *opaque)
{
    (void)opaque;
    return malloc(size);
}

static void libc_free(void *memory, void *opaque)
{
    (void)opaque;
    free(memory);
}

const struct virgl_reclaim_allocator vr_libc = { libc_alloc, libc_free, NULL };

void *vr_alloc0(const struct virgl_reclaim_allocator *a, size_t size)
{
    void *memory = a->alloc(size, a->opaque);

    return memory ? memset(memory, 0, size) : NULL;
}

void vr_free(const struct virgl_reclaim_allocator *a, void *memory)
{
    if (memory) {
        a->free(memory, a->opaque);
    }
}
