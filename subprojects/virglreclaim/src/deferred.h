/* SPDX-License-Identifier: MIT */
/* Deferred storage: detached from its resource, and still referenced. */

#ifndef VIRGLRECLAIM_DEFERRED_H
#define VIRGLRECLAIM_DEFERRED_H

#include "instance.h"

/* Drop a reference; NULL is no storage. */
void vr_storage_put(struct virgl_reclaim *vr, struct vr_storage *storage);
/* Free @storage, once nothing refers to it. */
void vr_storage_free(struct virgl_reclaim *vr, struct vr_storage *storage);

/*
 * @storage of a resource that may be idle is about to be released: have
 * virgl_reclaim_collect() visit the sub-contexts that have used it.
 */
void vr_deferred_retire(struct virgl_reclaim *vr,
                        const struct vr_storage *storage);
/*
 * Release @storage of the resource @id, which is @owner if it was purged; else
 * that is NULL. Returns true if it is gone, and freed; false if it is deferred.
 */
bool vr_deferred_release(struct virgl_reclaim *vr, struct vr_storage *storage,
                         uint32_t id, struct vr_resource *owner);
/*
 * Enter @storage, which is new, under its GL name; there is room in the table.
 * The name may have been that of deferred storage, which is gone then, unless a
 * context may have it bound. Without this the new object would keep the deferred
 * storage alive. A name that an
 * object of the renderer's own takes still does that: deferred storage may
 * count for too long, never too short.
 */
void vr_deferred_name_used(struct virgl_reclaim *vr,
                           struct vr_storage *storage);
/* @owner is destroyed or has new storage: deferred storage loses its owner. */
void vr_deferred_detach_owner(struct vr_resource *owner);
/*
 * Report and free deferred storage that is gone: what has lost references.
 * Returns whether there was some, and so the GL context is another.
 */
bool vr_deferred_check(struct virgl_reclaim *vr);
/*
 * The same for all of it: a context has ended. What has lost no reference that is
 * known of is left to virgl_reclaim_collect(), if it is much.
 */
void vr_deferred_check_all(struct virgl_reclaim *vr);
/* The same for some of it, all in turn. */
bool vr_deferred_check_some(struct virgl_reclaim *vr);
void vr_deferred_reset(struct virgl_reclaim *vr);

#endif
