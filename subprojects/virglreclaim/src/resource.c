/* SPDX-License-Identifier: MIT */
/* Resources: creation, backing, last use, destruction. */

#include "resource.h"
#include "compression.h"
#include "context.h"
#include "decompression.h"
#include "deferred.h"
#include "orphan.h"
#include "residency.h"
#include "restore.h"

#include <errno.h>

/* Last use */

void vr_lru_remove(struct vr_lru *lru, struct vr_resource *res)
{
    if (res->newer) {
        res->newer->older = res->older;
    } else if (lru->newest == res) {
        lru->newest = res->older;
    }
    if (res->older) {
        res->older->newer = res->newer;
    } else if (lru->oldest == res) {
        lru->oldest = res->newer;
    }
    res->newer = NULL;
    res->older = NULL;
}

void vr_lru_add(struct vr_lru *lru, struct vr_resource *res)
{
    struct vr_resource *older = lru->newest;

    while (older && older->last_use > res->last_use) {
        older = older->older;
    }
    res->older = older;
    res->newer = older ? older->newer : lru->oldest;
    *(older ? &older->newer : &lru->oldest) = res;
    *(res->newer ? &res->newer->older : &lru->newest) = res;
}

void vr_resource_used(struct virgl_reclaim *vr, struct vr_resource *res)
{
    res->last_use = vr->now;
    res->incompressible = false;
    if (res->storage && vr->resident.newest != res) {
        vr_lru_remove(&vr->resident, res);
        vr_lru_add(&vr->resident, res);
    }
}

void virgl_reclaim_set_time(struct virgl_reclaim *vr, uint64_t now)
{
    vr->now = now;
}

uint64_t virgl_reclaim_resource_last_use(const struct virgl_reclaim *vr,
                                         uint32_t id)
{
    const struct vr_resource *res = vr_find(vr, id);

    return res ? res->last_use : 0;
}

uint32_t virgl_reclaim_lru_next(const struct virgl_reclaim *vr, uint32_t after,
                                uint64_t *last_use)
{
    const struct vr_resource *res = vr->resident.oldest;

    if (after) {
        res = vr_find(vr, after);
        res = res ? res->newer : NULL;
    }
    while (res && (!res->bytes || res->incompressible ||
                   res->state != VIRGL_RECLAIM_RESIDENT ||
                   vr_restore_keeps(res))) {
        res = res->newer;
    }
    if (!res) {
        return 0;
    }
    *last_use = res->last_use;
    return res->args.handle;
}

/* Absence */

void vr_resource_set_absent(struct virgl_reclaim *vr, struct vr_resource *res,
                            bool absent)
{
    int n = absent - res->absent;

    /* The renderer rejects the id of a purged resource. */
    if (!res->destroyed && res->state != VIRGL_RECLAIM_PURGED) {
        vr->absent_ids[res->args.handle % VR_ABSENT_IDS] += n;
    }
    vr->absent += n;
    res->absent = absent;
}

/* Storage */

int vr_resource_make_storage(struct virgl_reclaim *vr, struct vr_resource *res,
                             uint32_t id, bool zero)
{
    struct vr_storage *storage = vr_pool_alloc0(&vr->storage_pool);
    vr_args args = res->args;
    int ret;

    if (!storage || !vr_table_reserve(&vr->buffers) ||
        !vr_table_reserve(&vr->textures)) {
        vr_pool_free(&vr->storage_pool, storage);
        return -ENOMEM;
    }
    args.handle = id;
    storage->id = id;
    storage->bytes = res->bytes;
    storage->overhead = res->overhead;
    ret = vr_storage_create(&args, storage);
    if (!ret && zero) {
        ret = vr_storage_zero(&vr->allocator, &args, storage);
    }
    if (ret) {
        vr_pool_free(&vr->storage_pool, storage);
        return ret;
    }
    vr_deferred_name_used(vr, storage);
    vr_deferred_detach_owner(res);
    res->storage = storage;
    res->gl_buffer = storage->buffer && storage->name;
    res->state = VIRGL_RECLAIM_RESIDENT;
    vr->stats.resident_bytes += res->bytes;
    res->last_use = vr->now;
    vr_lru_add(&vr->resident, res);
    return 0;
}

bool vr_resource_release_storage(struct virgl_reclaim *vr,
                                 struct vr_resource *res,
                                 struct vr_resource *owner)
{
    struct vr_storage *storage = res->storage;

    res->storage = NULL;
    vr_lru_remove(&vr->resident, res);
    vr->stats.resident_bytes -= res->bytes;
    return vr_deferred_release(vr, storage, res->args.handle, owner);
}

/* Creation */

static struct vr_resource *new_resource(struct virgl_reclaim *vr,
                                        const vr_args *args, uint64_t bytes,
                                        uint64_t overhead)
{
    struct vr_resource *res = vr_pool_alloc0(&vr->resource_pool);

    if (res) {
        res->args = *args;
        res->bytes = bytes;
        res->overhead = overhead;
        res->last_use = vr->now;
    }
    return res;
}

int virgl_reclaim_resource_create(struct virgl_reclaim *vr,
                                  const vr_args *args)
{
    uint64_t bytes = virgl_reclaim_args_bytes(args);
    uint64_t overhead = virgl_reclaim_args_overhead(args);
    struct vr_resource *res;
    int ret;

    if (!args->handle || bytes == UINT64_MAX || overhead == UINT64_MAX) {
        return -EINVAL;
    }
    /* The renderer would destroy the resource that has the id. */
    if (vr_find(vr, args->handle)) {
        return -EEXIST;
    }
    vr_decompression_yield_id(vr, args->handle);
    if (!vr_table_reserve(&vr->resources)) {
        return -ENOMEM;
    }
    res = new_resource(vr, args, bytes, overhead);
    if (!res) {
        return -ENOMEM;
    }
    ret = vr_resource_make_storage(vr, res, args->handle, true);
    if (ret) {
        vr_resource_free(vr, res);
        return ret;
    }
    vr_table_insert(&vr->resources, args->handle, res);
    return 0;
}

/* Destruction */

void vr_resource_free(struct virgl_reclaim *vr, struct vr_resource *res)
{
    vr_restore_forget(res);
    vr_objects_orphan(res);
    vr_bindings_orphan(res);
    vr_contents_free(&vr->allocator, &res->contents);
    vr_storage_free(vr, res->storage);
    vr_pool_free(&vr->resource_pool, res);
}

static void destroy_resident(struct virgl_reclaim *vr, struct vr_resource *res)
{
    vr_residency_unbind(vr, res);
    vr_objects_orphan(res);
    vr_bindings_orphan(res);
    vr_resource_release_storage(vr, res, NULL);
    vr_resource_free(vr, res);
}

static void forget_purged(struct virgl_reclaim *vr, struct vr_resource *res)
{
    vr->stats.purged--;
    vr->stats.released_bytes -= res->released;
    res->released = 0;
    vr_deferred_detach_owner(res);
}

/* Objects outlive their resource in the renderer, and so does what they show. */
static void destroy_absent(struct virgl_reclaim *vr, struct vr_resource *res)
{
    if (res->state == VIRGL_RECLAIM_PURGED) {
        forget_purged(vr, res);
    }
    vr_bindings_orphan(res);
    if (res->objects) {
        vr_orphan_begin(vr, res);
        return;
    }
    if (res->state == VIRGL_RECLAIM_COMPRESSED) {
        vr_compression_discard(vr, res);
    }
    vr_resource_set_absent(vr, res, false);
    vr_resource_free(vr, res);
}

int virgl_reclaim_resource_unref(struct virgl_reclaim *vr, uint32_t id)
{
    struct vr_resource *res = vr_find(vr, id);

    if (!res) {
        return -ENOENT;
    }
    if (res->attached) {
        return -EBUSY;
    }

    vr_compression_cancel_if(vr, res);
    vr_decompression_cancel_if(vr, res);
    vr_contexts_detach(vr, res);
    vr_table_remove(&vr->resources, id);
    if (res->state == VIRGL_RECLAIM_RESIDENT) {
        destroy_resident(vr, res);
    } else {
        destroy_absent(vr, res);
    }
    return 0;
}

static bool is_pinned(const struct vr_resource *res)
{
    for (const struct vr_object *o = res->objects; o; o = o->next) {
        if (vr_object_is_pinned(o)) {
            return true;
        }
    }
    return false;
}

void vr_resource_object_gone(struct virgl_reclaim *vr, struct vr_resource *res)
{
    if (res->destroyed) {
        if (!res->objects) {
            vr_orphan_end(vr, res);
        }
    } else if (res->notify && !is_pinned(res)) {
        res->notify = false;
        vr_report(vr, unreferenced, res->args.handle);
    }
}

/* Backing */

void vr_resource_attach_backing(struct vr_resource *res)
{
    if (res->attached) {
        virgl_renderer_resource_attach_iov(res->args.handle, res->iov,
                                           res->n_iov);
    }
}

void vr_resource_detach_backing(struct vr_resource *res)
{
    struct iovec *iov;
    int n;

    if (res->attached) {
        virgl_renderer_resource_detach_iov(res->args.handle, &iov, &n);
    }
}

int virgl_reclaim_resource_attach_iov(struct virgl_reclaim *vr, uint32_t id,
                                      struct iovec *iov, int n)
{
    struct vr_resource *res = vr_find(vr, id);
    int ret;

    if (!res) {
        return -ENOENT;
    }
    if (!iov || n <= 0) {
        return -EINVAL;
    }
    if (res->attached) {
        return -EEXIST;
    }

    ret = virgl_reclaim_resource_restore(vr, id);
    if (ret) {
        return ret;
    }
    if (virgl_renderer_resource_attach_iov(id, iov, n)) {
        return -EINVAL;
    }
    res->attached = true;
    res->iov = iov;
    res->n_iov = n;
    res->backing = 0;
    res->iov0_bytes = iov[0].iov_len;
    for (int i = 0; i < n; i++) {
        res->backing += iov[i].iov_len;
    }
    return 0;
}

int virgl_reclaim_resource_detach_iov(struct virgl_reclaim *vr, uint32_t id,
                                      struct iovec **iov, int *n)
{
    struct vr_resource *res = vr_find(vr, id);
    struct iovec *old = NULL;
    int count = 0, ret = 0;

    if (!res) {
        ret = -ENOENT;
    } else if (!res->attached) {
        ret = -ENODATA;
    } else {
        old = res->iov;
        count = res->n_iov;
        if (res->state == VIRGL_RECLAIM_RESIDENT) {
            vr_resource_detach_backing(res);
        }
        res->attached = false;
    }

    if (iov) {
        *iov = old;
    }
    if (n) {
        *n = count;
    }
    return ret;
}

int virgl_reclaim_resource_transfer(struct virgl_reclaim *vr, uint32_t id,
                                    const struct virgl_reclaim_transfer *t)
{
    struct virgl_box box = { t->x, t->y, t->z, t->w, t->h, t->d };
    struct vr_resource *res = vr_find(vr, id);
    struct vr_context *context;
    int ret;

    if (!res) {
        return -ENOENT;
    }
    if (!res->attached) {
        return -ENODATA;
    }
    context = t->ctx ? vr_find_ctx(vr, t->ctx) : NULL;
    if (t->ctx && !context) {
        return -ESRCH;
    }
    ret = vr_transfer_validate(&res->args, res->backing, t);
    if (!ret) {
        ret = virgl_reclaim_resource_restore(vr, id);
    }
    if (ret) {
        return ret;
    }
    if (context) {
        context->last_use = vr->now;
        vr_storage_add_user(res->storage, context->current->serial);
    }
    if (t->to_host) {
        ret = virgl_renderer_transfer_write_iov(id, t->ctx, t->level,
                                                t->stride, t->layer_stride,
                                                &box, t->offset, NULL, 0);
    } else {
        ret = virgl_renderer_transfer_read_iov(id, t->ctx, t->level, t->stride,
                                               t->layer_stride, &box,
                                               t->offset, NULL, 0);
    }
    return ret ? -EINVAL : 0;
}

/* Queries */

bool virgl_reclaim_resource_referenced(const struct virgl_reclaim *vr,
                                       uint32_t id)
{
    const struct vr_resource *res = vr_find(vr, id);

    return res && res->storage && vr_contexts_refer(vr, res->storage);
}

enum virgl_reclaim_state virgl_reclaim_resource_state(
    const struct virgl_reclaim *vr, uint32_t id)
{
    const struct vr_resource *res = vr_find(vr, id);

    return res ? res->state : VIRGL_RECLAIM_NONE;
}

const vr_args *virgl_reclaim_resource_args(const struct virgl_reclaim *vr,
                                           uint32_t id)
{
    const struct vr_resource *res = vr_find(vr, id);

    return res ? &res->args : NULL;
}

bool virgl_reclaim_resource_attached(const struct virgl_reclaim *vr,
                                     uint32_t id)
{
    const struct vr_resource *res = vr_find(vr, id);

    return res && res->attached;
}

uint64_t virgl_reclaim_resource_bytes(const struct virgl_reclaim *vr,
                                      uint32_t id)
{
    const struct vr_resource *res = vr_find(vr, id);

    return res ? res->bytes : 0;
}
