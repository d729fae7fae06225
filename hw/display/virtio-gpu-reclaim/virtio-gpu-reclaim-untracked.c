/*
 * Virtio GPU: contexts and blobs that virglreclaim does not track
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Contexts of other capsets, such as venus, have streams that only the renderer
 * can read, and the storage of blobs is theirs or the guest's. What such a
 * context refers to is unknown, so nothing of it is purged or compressed.
 */

#include "qemu/osdep.h"
#include "virtio-gpu-reclaim-untracked.h"

#include <virglrenderer.h>

struct VirtIOGPUUntracked {
    GHashTable *contexts;       /* id -> name */
    GHashTable *blobs;          /* id -> VirtIOGPUBlob */
    GHashTable *shared;         /* ids of tracked resources */
};

VirtIOGPUUntracked *virtio_gpu_untracked_new(void)
{
    VirtIOGPUUntracked *u = g_new0(VirtIOGPUUntracked, 1);

    u->contexts = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    u->blobs = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    u->shared = g_hash_table_new(NULL, NULL);
    return u;
}

void virtio_gpu_untracked_free(VirtIOGPUUntracked *u)
{
    g_hash_table_destroy(u->contexts);
    g_hash_table_destroy(u->blobs);
    g_hash_table_destroy(u->shared);
    g_free(u);
}

void virtio_gpu_untracked_reset(VirtIOGPUUntracked *u)
{
    g_hash_table_remove_all(u->contexts);
    g_hash_table_remove_all(u->blobs);
    g_hash_table_remove_all(u->shared);
}

/* Contexts. */

bool virtio_gpu_untracked_has_ctx(const VirtIOGPUUntracked *u, uint32_t ctx)
{
    return g_hash_table_contains(u->contexts, GUINT_TO_POINTER(ctx));
}

int virtio_gpu_untracked_ctx_create(VirtIOGPUUntracked *u, uint32_t ctx,
                                    uint32_t context_init, const char *name,
                                    uint32_t len, uint32_t max)
{
    if (virtio_gpu_untracked_has_ctx(u, ctx)) {
        return -EEXIST;
    }
    if (max && g_hash_table_size(u->contexts) >= max) {
        return -ENOSPC;
    }
    if (virgl_renderer_context_create_with_flags(ctx, context_init, len,
                                                 name)) {
        return -EINVAL;
    }
    g_hash_table_insert(u->contexts, GUINT_TO_POINTER(ctx),
                        g_strndup(name, len));
    return 0;
}

void virtio_gpu_untracked_ctx_destroy(VirtIOGPUUntracked *u, uint32_t ctx)
{
    virgl_renderer_context_destroy(ctx);
    g_hash_table_remove(u->contexts, GUINT_TO_POINTER(ctx));
}

void virtio_gpu_untracked_ctx_foreach(const VirtIOGPUUntracked *u,
                                      VirtIOGPUReclaimCtxFunc func,
                                      void *opaque)
{
    gpointer id, name;
    GHashTableIter i;

    g_hash_table_iter_init(&i, u->contexts);
    while (g_hash_table_iter_next(&i, &id, &name)) {
        func(&(VirtIOGPUReclaimCtx) {
            .id = GPOINTER_TO_UINT(id),
            .name = name,
        }, opaque);
    }
}

void virtio_gpu_untracked_attach(VirtIOGPUUntracked *u, uint32_t ctx,
                                 uint32_t id)
{
    if (!virtio_gpu_untracked_blob(u, id)) {
        g_hash_table_add(u->shared, GUINT_TO_POINTER(id));
    }
    virgl_renderer_ctx_attach_resource(ctx, id);
}

bool virtio_gpu_untracked_is_shared(const VirtIOGPUUntracked *u, uint32_t id)
{
    return g_hash_table_contains(u->shared, GUINT_TO_POINTER(id));
}

void virtio_gpu_untracked_forget(VirtIOGPUUntracked *u, uint32_t id)
{
    g_hash_table_remove(u->shared, GUINT_TO_POINTER(id));
}

/* Blobs. */

VirtIOGPUBlob *virtio_gpu_untracked_blob(const VirtIOGPUUntracked *u,
                                         uint32_t id)
{
    return g_hash_table_lookup(u->blobs, GUINT_TO_POINTER(id));
}

void
virtio_gpu_untracked_add_blob(VirtIOGPUUntracked *u,
                              const struct virtio_gpu_resource_create_blob *c)
{
    VirtIOGPUBlob *blob = g_new0(VirtIOGPUBlob, 1);

    blob->size = c->size;
    blob->has_backing = c->blob_mem != VIRTIO_GPU_BLOB_MEM_HOST3D;
    g_hash_table_insert(u->blobs, GUINT_TO_POINTER(c->resource_id), blob);
}

void virtio_gpu_untracked_remove_blob(VirtIOGPUUntracked *u, uint32_t id)
{
    g_hash_table_remove(u->blobs, GUINT_TO_POINTER(id));
}

/* As the stock handler does, which would finish the work in a second run. */
static void virtio_gpu_untracked_unmap(VirtIOGPU *g, uint32_t id)
{
    g_autofree char *name = g_strdup_printf("blob[%" PRIu32 "]", id);
    Object *owner = object_resolve_path_component(OBJECT(g), name);
    VirtIOGPUBase *b = VIRTIO_GPU_BASE(g);
    MemoryRegion *hostmem = compat_hostmem(b), *mr;

    if (!hostmem || !owner) {
        return;
    }
    QTAILQ_FOREACH(mr, &hostmem->subregions, subregions_link) {
        if (memory_region_owner(mr) == owner) {
            /* It unblocks the device when nothing refers to it any more. */
            b->renderer_blocked++;
            owner->free = g_free;
            memory_region_set_enabled(mr, false);
            memory_region_del_subregion(hostmem, mr);
            object_unparent(owner);
            return;
        }
    }
}

void virtio_gpu_untracked_unmap_all(VirtIOGPUUntracked *u, VirtIOGPU *g)
{
    gpointer id, value;
    GHashTableIter i;

    g_hash_table_iter_init(&i, u->blobs);
    while (g_hash_table_iter_next(&i, &id, &value)) {
        VirtIOGPUBlob *blob = value;

        if (blob->mapped) {
            blob->mapped = false;
            virtio_gpu_untracked_unmap(g, GPOINTER_TO_UINT(id));
        }
    }
}
