/* SPDX-License-Identifier: MIT */
/* Resources: creation, backing, last use, destruction. */

#ifndef VIRGLRECLAIM_RESOURCE_H
#define VIRGLRECLAIM_RESOURCE_H

#include "instance.h"

/*
 * Give @res new storage under the id @id, which is its own but for a resource
 * without one: all zero, or undefined unless @zero. Unchanged on failure.
 */
int vr_resource_make_storage(struct virgl_reclaim *vr, struct vr_resource *res,
                             uint32_t id, bool zero);
/*
 * Detach the storage of @res and release it. @owner is @res for a purge, so
 * that the resource learns when deferred storage is gone, else NULL. Returns
 * true if the storage is gone, false if it is deferred.
 */
bool vr_resource_release_storage(struct virgl_reclaim *vr,
                                 struct vr_resource *res,
                                 struct vr_resource *owner);

/* Attach the backing to new storage, or take it from storage that leaves. */
void vr_resource_attach_backing(struct vr_resource *res);
void vr_resource_detach_backing(struct vr_resource *res);

/* An object of @res has ended. */
void vr_resource_object_gone(struct virgl_reclaim *vr,
                             struct vr_resource *res);
/* Free a resource that is in no table and has no storage. */
void vr_resource_free(struct virgl_reclaim *vr, struct vr_resource *res);

/*
 * Whether the objects and bindings of @res, if there are any, are to be restored
 * before a command uses them. To be called before its state changes from or to
 * purged.
 */
void vr_resource_set_absent(struct virgl_reclaim *vr, struct vr_resource *res,
                            bool absent);

/*
 * Behind those that were used no later: of what is used now, that is the end.
 * Removing what is in no list does nothing.
 */
void vr_lru_add(struct vr_lru *lru, struct vr_resource *res);
void vr_lru_remove(struct vr_lru *lru, struct vr_resource *res);

/* Move @res, which is resident, to the end of those by last use. */
void vr_resource_used(struct virgl_reclaim *vr, struct vr_resource *res);

/* A command names or uses @res. */
static inline void vr_resource_use(struct virgl_reclaim *vr,
                                   struct vr_resource *res)
{
    if (res->last_use != vr->now || res->incompressible) {
        vr_resource_used(vr, res);
    }
}

#endif
