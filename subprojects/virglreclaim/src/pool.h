/* SPDX-License-Identifier: MIT */
/* Slab allocator for small objects of one size. */

#ifndef VIRGLRECLAIM_POOL_H
#define VIRGLRECLAIM_POOL_H

#include <stddef.h>

struct virgl_reclaim_allocator;
struct vr_slab;

/*
 * The state of a resource outlives its storage. Allocated one by one from the
 * heap, such small objects end up between the storage of resources, and each
 * keeps a page of freed memory from going back to the operating system.
 *
 * Initialize allocator and size, zero the rest.
 */
struct vr_pool {
    const struct virgl_reclaim_allocator *allocator;
    size_t size;                /* of an object */
    struct vr_slab *slabs;
    void *free;                 /* list; each object holds the next's address */
    size_t used;
};

/* Returns a zeroed object, or NULL if there is no memory. */
void *vr_pool_alloc0(struct vr_pool *pool);

/* Freeing the last object frees all slabs; freeing NULL does nothing. */
void vr_pool_free(struct vr_pool *pool, void *object);

#endif
