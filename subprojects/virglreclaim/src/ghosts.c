/* SPDX-License-Identifier: MIT */
/* Storage that was given up, and that something in a context refers to. */

#include "books.h"

/* The storage has gone: account for it, and forget it. */
static void gone(struct virgl_reclaim *vr, struct vr_storage *ghost)
{
    uint64_t bytes = ghost->bytes;
    bool purged = ghost->purged;
    uint32_t id = 0;

    if (ghost->owner) {
        id = ghost->owner->args.handle;
        ghost->owner->released = bytes;
        vr->stats.released_bytes += bytes;
    }
    if (purged) {
        vr->stats.released_total += bytes;
    }
    vr->stats.deferred--;
    vr->stats.deferred_bytes -= bytes;
    vr_storage_free(vr, ghost);
    vr_report(vr, storage_released, id, bytes, purged);
}

/*
 * GL tells of its objects, but not whether a GL context that cannot be entered
 * has a deleted one bound: that of a context which may use it, or which could
 * before it was detached. Of other memory only the model knows.
 */
static bool is_alive(const struct virgl_reclaim *vr,
                     const struct vr_storage *storage)
{
    if (!storage->name) {
        return vr_storage_referenced(vr, storage);
    }
    return vr_storage_alive(storage) ||
           (!storage->buffer && vr->lost &&
            (storage->pinned || vr_references_lost(vr, storage)));
}

/* To be asked with context 0 current. */
static bool has_gone(struct virgl_reclaim *vr,
                     const struct vr_storage *storage)
{
    if (is_alive(vr, storage)) {
        return false;
    }
    vr_stale_unbind(vr, storage);
    /* It may have shown that there is one. */
    return !is_alive(vr, storage);
}

bool vr_ghosts_give_up(struct virgl_reclaim *vr, struct vr_storage *storage,
                       struct vr_resource *owner)
{
    /* What was not declared unneeded is there for as long as it ever was. */
    bool purged = owner != NULL, empty;

    vr_references_unbind(vr, storage, purged);
    virgl_renderer_force_ctx_0();
    /* GL refuses to bind a view of a buffer that is smaller than it was. */
    empty = purged && !storage->references && vr_storage_empty(storage);
    vr_storage_drop(storage->id);
    if (empty || has_gone(vr, storage)) {
        vr_storage_free(vr, storage);
        return true;
    }
    storage->ghost = true;
    storage->owner = owner;
    storage->purged = purged;
    storage->next = vr->ghosts;
    vr->ghosts = storage;
    vr->stats.deferred++;
    vr->stats.deferred_bytes += storage->bytes;
    vr_report(vr, storage_deferred, storage->id, storage->bytes);
    return false;
}

void vr_ghosts_name_reused(struct virgl_reclaim *vr,
                           const struct vr_storage *storage)
{
    struct vr_storage **link = &vr->ghosts;

    while (*link && !((*link)->name == storage->name &&
                      (*link)->buffer == storage->buffer)) {
        link = &(*link)->next;
    }
    if (*link && storage->name) {
        struct vr_storage *ghost = *link;

        *link = ghost->next;
        gone(vr, ghost);
    }
}

void vr_ghosts_orphan(struct virgl_reclaim *vr,
                      const struct vr_resource *owner)
{
    for (struct vr_storage *g = vr->ghosts; g; g = g->next) {
        if (g->owner == owner) {
            g->owner = NULL;
        }
    }
}

void vr_ghosts_check(struct virgl_reclaim *vr)
{
    struct vr_storage **link = &vr->ghosts;

    vr->ghosts_moved = false;
    if (!vr->ghosts) {
        return;
    }

    virgl_renderer_force_ctx_0();
    while (*link) {
        struct vr_storage *ghost = *link;

        if (has_gone(vr, ghost)) {
            *link = ghost->next;
            gone(vr, ghost);
        } else {
            link = &ghost->next;
        }
    }
}

void vr_ghosts_reset(struct virgl_reclaim *vr)
{
    while (vr->ghosts) {
        struct vr_storage *ghost = vr->ghosts;

        vr->ghosts = ghost->next;
        vr_storage_free(vr, ghost);
    }
}
