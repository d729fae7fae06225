/* SPDX-License-Identifier: MIT */
/*
 * Resources that were destroyed without storage, and whose objects can still be
 * used: they keep their contents, if there are any, until the last object ends.
 */

#ifndef VIRGLRECLAIM_ORPHAN_H
#define VIRGLRECLAIM_ORPHAN_H

#include "instance.h"

/* @res, which is compressed or purged and has objects, loses its id. */
void vr_orphan_begin(struct virgl_reclaim *vr, struct vr_resource *res);
/* An id for the time that objects are made. Guests use the lowest ones. */
uint32_t vr_orphan_id(const struct virgl_reclaim *vr);
/*
 * Give @res storage for its objects, which is deferred: they refer to it alone
 * from then on. Frees @res. Returns 0 or an error of restore.
 */
int vr_orphan_restore(struct virgl_reclaim *vr, struct vr_resource *res);
/* The same, when @res has storage with its contents under vr_orphan_id(). */
void vr_orphan_restored(struct virgl_reclaim *vr, struct vr_resource *res);
/* Free @res, which has no objects any more. */
void vr_orphan_end(struct virgl_reclaim *vr, struct vr_resource *res);

#endif
