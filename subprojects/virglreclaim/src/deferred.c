/* SPDX-License-Identifier: MIT */
/* Deferred storage: detached from its resource, and still referenced. */

#include "instance.h"

/* The storage is gone: account for it, report it and free it. */
static void storage_gone(struct virgl_reclaim *vr, struct vr_storage *storage)
{
    uint64_t bytes = storage->bytes, overhead = storage->overhead;
    bool purged = storage->purged;
    uint32_t id = 0;

    if (storage->owner) {
        id = storage->owner->args.handle;
        storage->owner->released = bytes;
        vr->stats.released_bytes += bytes;
    }
    if (purged) {
        vr->stats.released_total += bytes;
    }
    vr->stats.deferred--;
    vr->stats.deferred_bytes -= bytes;
    vr_references_free_storage(vr, storage);
    vr_report(vr, storage_released, id, bytes, overhead, purged);
}

/*
 * GL knows whether an object exists, but not whether a GL context has a deleted
 * one bound that cannot be made current: that of a context with tracking lost
 * that the resource is, or was, attached to. For storage that is no GL object
 * only the tracked references tell.
 */
static bool is_alive(const struct virgl_reclaim *vr,
                     const struct vr_storage *storage)
{
    if (!storage->name) {
        return vr_references_exist(vr, storage);
    }
    return vr_storage_alive(storage) ||
           (!storage->buffer && vr->untracked &&
            (storage->untracked_ref || vr_references_untracked(vr, storage)));
}

/* Context 0 is current. */
static bool is_gone(struct virgl_reclaim *vr,
                     const struct vr_storage *storage)
{
    if (is_alive(vr, storage)) {
        return false;
    }
    vr_deleted_texture_unbind(vr, storage);
    /* An error there may have cost the tracking of a context. */
    return !is_alive(vr, storage);
}

bool vr_deferred_release(struct virgl_reclaim *vr, struct vr_storage *storage,
                         struct vr_resource *owner)
{
    /* Unless purged, contents must stay as long as a context uses them. */
    bool purged = owner != NULL, truncated;

    vr_bindings_unbind(vr, storage, purged);
    virgl_renderer_force_ctx_0();
    /* GL fails to bind a view of a buffer that has been truncated. */
    truncated = purged && !storage->references && vr_storage_truncate(storage);
    vr_storage_unref(storage->id);
    if (truncated || is_gone(vr, storage)) {
        vr_references_free_storage(vr, storage);
        return true;
    }
    storage->deferred = true;
    storage->owner = owner;
    storage->purged = purged;
    storage->next = vr->deferred;
    vr->deferred = storage;
    vr->stats.deferred++;
    vr->stats.deferred_bytes += storage->bytes;
    vr_report(vr, storage_deferred, storage->id, storage->bytes,
              storage->overhead);
    return false;
}

void vr_deferred_name_reused(struct virgl_reclaim *vr,
                             const struct vr_storage *storage)
{
    struct vr_storage **link = &vr->deferred;

    while (*link && !((*link)->name == storage->name &&
                      (*link)->buffer == storage->buffer)) {
        link = &(*link)->next;
    }
    if (*link && storage->name) {
        struct vr_storage *old = *link;

        *link = old->next;
        storage_gone(vr, old);
    }
}

void vr_deferred_detach_owner(struct virgl_reclaim *vr,
                              const struct vr_resource *owner)
{
    for (struct vr_storage *s = vr->deferred; s; s = s->next) {
        if (s->owner == owner) {
            s->owner = NULL;
        }
    }
}

void vr_deferred_check(struct virgl_reclaim *vr)
{
    struct vr_storage **link = &vr->deferred;

    vr->deferred_changed = false;
    if (!vr->deferred) {
        return;
    }

    virgl_renderer_force_ctx_0();
    while (*link) {
        struct vr_storage *storage = *link;

        if (is_gone(vr, storage)) {
            *link = storage->next;
            storage_gone(vr, storage);
        } else {
            link = &storage->next;
        }
    }
}

void vr_deferred_reset(struct virgl_reclaim *vr)
{
    while (vr->deferred) {
        struct vr_storage *storage = vr->deferred;

        vr->deferred = storage->next;
        vr_references_free_storage(vr, storage);
    }
}
