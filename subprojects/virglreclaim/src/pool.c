/* SPDX-License-Identifier: MIT */
/* Slab allocator for small objects of one size. */

#include "pool.h"
#include "internal.h"

#include <stdalign.h>
#include <string.h>

#define SLAB_BYTES (32u << 10)

struct vr_slab {
    struct vr_slab *next;
    alignas(max_align_t) char objects[];
};

static size_t step(const struct vr_pool *pool)
{
    size_t align = alignof(max_align_t);

    return (pool->size + align - 1) / align * align;
}

static void put(struct vr_pool *pool, void *object)
{
    memcpy(object, &pool->free, sizeof(pool->free));
    pool->free = object;
}

static bool grow(struct vr_pool *pool)
{
    struct vr_slab *slab = vr_alloc0(pool->allocator, SLAB_BYTES);
    char *end;

    if (!slab) {
        return false;
    }
    end = (char *)slab + SLAB_BYTES;
    slab->next = pool->slabs;
    pool->slabs = slab;
    for (char *p = slab->objects; p + step(pool) <= end; p += step(pool)) {
        put(pool, p);
    }
    return true;
}

static void shrink(struct vr_pool *pool)
{
    while (pool->slabs) {
        struct vr_slab *slab = pool->slabs;

        pool->slabs = slab->next;
        vr_free(pool->allocator, slab);
    }
    pool->free = NULL;
}

void *vr_pool_alloc0(struct vr_pool *pool)
{
    void *object;

    if (!pool->free && !grow(pool)) {
        return NULL;
    }
    object = pool->free;
    memcpy(&pool->free, object, sizeof(pool->free));
    pool->used++;
    return memset(object, 0, pool->size);
}

void vr_pool_free(struct vr_pool *pool, void *object)
{
    if (!object) {
        return;
    }
    put(pool, object);
    if (--pool->used == 0) {
        shrink(pool);
    }
}
