/* SPDX-License-Identifier: MIT */
/* Small pieces of one size, side by side. */

#ifndef VIRGLRECLAIM_POOL_H
#define VIRGLRECLAIM_POOL_H

#include <stddef.h>

struct virgl_reclaim_allocator;
struct vr_slab;

/*
 * What is kept of a resource outlives its storage. Taken from the heap one by
 * one such pieces come to lie between storages, and each keeps a page of the
 * freed memory around it from going back to the operating system.
 *
 * All zero but for the first two is an empty one.
 */
struct vr_pool {
    const struct virgl_reclaim_allocator *allocator;
    size_t size;                /* of a piece */
    struct vr_slab *slabs;
    void *free;                 /* pieces, each with the address of the next */
    size_t used;
};

/* A piece that is zero, or NULL. */
void *vr_pool_alloc0(struct vr_pool *pool);

/* Freeing the last one gives all memory back; freeing NULL does nothing. */
void vr_pool_free(struct vr_pool *pool, void *piece);

#endif
