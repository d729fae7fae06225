/* SPDX-License-Identifier: MIT */
/* An allocator with fault injection that counts live allocations. */

#ifndef ALLOCATOR_H
#define ALLOCATOR_H

#include <stdlib.h>

#include "internal.h"

struct failing {
    unsigned asked;             /* allocations so far */
    unsigned fail_at;           /* number of the one to fail; 0: none */
    unsigned out;               /* live */
};

static inline void *failing_alloc(size_t size, void *opaque)
{
    struct failing *f = opaque;

    if (++f->asked == f->fail_at) {
        return NULL;
    }
    f->out++;
    return malloc(size);
}

static inline void failing_free(void *memory, void *opaque)
{
    struct failing *f = opaque;

    f->out--;
    free(memory);
}

static inline struct virgl_reclaim_allocator failing_allocator(
    struct failing *f)
{
    return (struct virgl_reclaim_allocator) {
        failing_alloc, failing_free, f
    };
}

#endif
