/* SPDX-License-Identifier: MIT */
/* Storage that was given up, and that something in a context refers to. */

#include "books.h"

/* The storage has gone: account for it, and forget it. */
static void gone(struct virgl_reclaim *vr, struct vr_storage *ghost)
{
    if (ghost->owner) {
        ghost->owner->released = ghost->bytes;
        vr->stats.released_bytes += ghost->bytes;
    }
    if (ghost->purged) {
        vr->stats.released_total += ghost->bytes;
    }
    vr_free(&vr->allocator, ghost);
}

bool vr_ghosts_give_up(struct virgl_reclaim *vr, struct vr_storage *storage,
                       struct vr_resource *owner)
{
    vr_storage_drop(storage->id);
    if (!vr_storage_alive(storage)) {
        vr_free(&vr->allocator, storage);
        return true;
    }
    storage->owner = owner;
    storage->purged = owner != NULL;
    storage->next = vr->ghosts;
    vr->ghosts = storage;
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

    if (!vr->ghosts) {
        return;
    }

    virgl_renderer_force_ctx_0();
    while (*link) {
        struct vr_storage *ghost = *link;

        if (vr_storage_alive(ghost)) {
            link = &ghost->next;
        } else {
            *link = ghost->next;
            gone(vr, ghost);
        }
    }
}

void vr_ghosts_reset(struct virgl_reclaim *vr)
{
    while (vr->ghosts) {
        struct vr_storage *ghost = vr->ghosts;

        vr->ghosts = ghost->next;
        vr_free(&vr->allocator, ghost);
    }
}
