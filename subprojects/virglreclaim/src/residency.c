/* SPDX-License-Identifier: MIT */
/* Resources: creation, backing, purge, restore, destruction. */

#include "instance.h"

#include <errno.h>
#include <string.h>

static void free_resource(struct virgl_reclaim *vr, struct vr_resource *res)
{
    vr_contents_free(&vr->allocator, &res->contents);
    vr_references_free_storage(vr, res->storage);
    vr_pool_free(&vr->resource_pool, res);
}

/* Instances */

static bool is_complete(const struct virgl_reclaim_allocator *allocator)
{
    return allocator->alloc && allocator->free;
}

struct virgl_reclaim *virgl_reclaim_new_with_allocator(
    const struct virgl_reclaim_allocator *allocator)
{
    struct virgl_reclaim *vr;

    if (!is_complete(allocator)) {
        return NULL;
    }
    vr = vr_alloc0(allocator, sizeof(*vr));
    if (vr) {
        vr->allocator = *allocator;
        vr->resources.allocator = &vr->allocator;
        vr->contexts.allocator = &vr->allocator;
        vr->resource_pool.allocator = &vr->allocator;
        vr->resource_pool.size = sizeof(struct vr_resource);
        vr->storage_pool.allocator = &vr->allocator;
        vr->storage_pool.size = sizeof(struct vr_storage);
    }
    return vr;
}

struct virgl_reclaim *virgl_reclaim_new(void)
{
    return virgl_reclaim_new_with_allocator(&vr_libc);
}

void virgl_reclaim_free(struct virgl_reclaim *vr)
{
    struct virgl_reclaim_allocator allocator;

    if (vr) {
        allocator = vr->allocator;
        virgl_reclaim_reset(vr);
        vr_free(&allocator, vr);
    }
}

void virgl_reclaim_reset(struct virgl_reclaim *vr)
{
    const struct vr_entry *entry;
    uint32_t pos = 0;

    /* Contexts last: they drop references to storage. No events. */
    vr_deferred_reset(vr);
    while ((entry = vr_table_next(&vr->resources, &pos))) {
        free_resource(vr, entry->value);
    }
    vr_table_clear(&vr->resources);
    vr_contexts_reset(vr);
    vr->stats.resident_bytes = 0;
    vr->stats.purged = 0;
    vr->stats.released_bytes = 0;
    vr->stats.deferred = 0;
    vr->stats.deferred_bytes = 0;
    vr->stats.compressed = 0;
    vr->stats.compressed_bytes = 0;
    vr->stats.uncompressed_bytes = 0;
    memset(vr->compressed_ids, 0, sizeof(vr->compressed_ids));
}

void virgl_reclaim_set_events(struct virgl_reclaim *vr,
                              const struct virgl_reclaim_events *events,
                              void *opaque)
{
    vr->events = events ? *events : (struct virgl_reclaim_events) { NULL };
    vr->events_opaque = opaque;
}

/* Resources */

int vr_make_resident(struct virgl_reclaim *vr, struct vr_resource *res)
{
    struct vr_storage *storage = vr_pool_alloc0(&vr->storage_pool);
    int ret;

    if (!storage) {
        return -ENOMEM;
    }
    storage->id = res->args.handle;
    storage->bytes = res->bytes;
    storage->overhead = virgl_reclaim_args_overhead(&res->args);
    ret = vr_storage_create(&vr->allocator, &res->args, storage);
    if (ret) {
        vr_pool_free(&vr->storage_pool, storage);
        return ret;
    }
    vr_deferred_name_reused(vr, storage);
    vr_deferred_detach_owner(vr, res);
    res->storage = storage;
    res->gl_buffer = storage->buffer && storage->name;
    res->state = VIRGL_RECLAIM_RESIDENT;
    vr->stats.resident_bytes += res->bytes;
    return 0;
}

bool vr_release_storage(struct virgl_reclaim *vr, struct vr_resource *res,
                        struct vr_resource *owner)
{
    struct vr_storage *storage = res->storage;

    res->storage = NULL;
    storage->notify_unref = false;
    vr->stats.resident_bytes -= res->bytes;
    return vr_deferred_release(vr, storage, owner);
}

static struct vr_resource *new_resource(struct virgl_reclaim *vr,
                                        const vr_args *args)
{
    struct vr_resource *res = vr_pool_alloc0(&vr->resource_pool);

    if (res) {
        res->args = *args;
        res->bytes = virgl_reclaim_args_bytes(args);
    }
    return res;
}

int virgl_reclaim_resource_create(struct virgl_reclaim *vr,
                                  const vr_args *args)
{
    struct vr_resource *res;
    int ret;

    if (!args->handle || virgl_reclaim_args_bytes(args) == UINT64_MAX ||
        virgl_reclaim_args_overhead(args) == UINT64_MAX) {
        return -EINVAL;
    }
    /* The renderer would destroy the resource that has the id. */
    if (vr_find(vr, args->handle)) {
        return -EEXIST;
    }
    if (!vr_table_reserve(&vr->resources)) {
        return -ENOMEM;
    }
    res = new_resource(vr, args);
    if (!res) {
        return -ENOMEM;
    }
    ret = vr_make_resident(vr, res);
    if (ret) {
        free_resource(vr, res);
        return ret;
    }
    vr_table_insert(&vr->resources, args->handle, res);
    return 0;
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

    if (res->state == VIRGL_RECLAIM_RESIDENT) {
        vr_release_storage(vr, res, NULL);
    } else if (res->state == VIRGL_RECLAIM_COMPRESSED) {
        vr_compression_discard(vr, res);
    } else {
        vr->stats.purged--;
        vr->stats.released_bytes -= res->released;
        vr_deferred_detach_owner(vr, res);
    }
    vr_contexts_detach(vr, res);
    vr_table_remove(&vr->resources, id);
    free_resource(vr, res);
    return 0;
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
        virgl_renderer_resource_detach_iov(id, &old, &count);
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
    int ret;

    if (!res) {
        return -ENOENT;
    }
    if (!res->attached) {
        return -ENODATA;
    }
    if (t->ctx && !vr_find_ctx(vr, t->ctx)) {
        return -ESRCH;
    }
    ret = vr_transfer_validate(&res->args, res->backing, t);
    if (ret) {
        return ret;
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

/* Purge and restore */

/* Returns the bytes released at once. */
static uint64_t purge(struct virgl_reclaim *vr, struct vr_resource *res)
{
    if (res->state == VIRGL_RECLAIM_COMPRESSED) {
        vr_compression_discard(vr, res);
        return res->bytes;
    }
    return vr_release_storage(vr, res, res) ? res->bytes : 0;
}

int virgl_reclaim_resource_purge(struct virgl_reclaim *vr, uint32_t id,
                                 uint64_t *released)
{
    struct vr_resource *res = vr_find(vr, id);
    uint64_t gone = 0;
    int ret = 0;

    if (!res) {
        ret = -ENOENT;
    } else if (res->attached) {
        ret = -EBUSY;
    } else if (res->state != VIRGL_RECLAIM_PURGED) {
        gone = purge(vr, res);
        res->state = VIRGL_RECLAIM_PURGED;
        res->released = gone;
        vr->stats.purged++;
        vr->stats.purges++;
        vr->stats.released_bytes += gone;
        vr->stats.released_total += gone;
    }

    if (released) {
        *released = gone;
    }
    return ret;
}

int virgl_reclaim_resource_restore(struct virgl_reclaim *vr, uint32_t id)
{
    struct vr_resource *res = vr_find(vr, id);
    int ret;

    if (!res) {
        return -ENOENT;
    }
    if (res->state == VIRGL_RECLAIM_RESIDENT) {
        return 0;
    }
    if (res->state == VIRGL_RECLAIM_COMPRESSED) {
        return vr_compression_restore(vr, res);
    }

    ret = vr_make_resident(vr, res);
    if (ret) {
        return ret;
    }
    vr->stats.purged--;
    vr->stats.restores++;
    vr->stats.released_bytes -= res->released;
    res->released = 0;

    vr_contexts_attach(vr, res);
    return 0;
}

/* Queries */

bool virgl_reclaim_resource_referenced(const struct virgl_reclaim *vr,
                                       uint32_t id)
{
    const struct vr_resource *res = vr_find(vr, id);

    return res && res->storage && vr_references_exist(vr, res->storage);
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

void virgl_reclaim_get_stats(const struct virgl_reclaim *vr,
                             struct virgl_reclaim_stats *stats)
{
    *stats = vr->stats;
    stats->resources = vr->resources.used;
}
