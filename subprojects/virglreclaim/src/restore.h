/* SPDX-License-Identifier: MIT */
/* Resources are made resident: at once, or in steps for what is to use them. */

#ifndef VIRGLRECLAIM_RESTORE_H
#define VIRGLRECLAIM_RESTORE_H

#include "instance.h"

/*
 * Make @res resident for a command stream, and report it. A destroyed one is
 * restored for its objects, and freed. Returns 0 or an error of restore.
 */
int vr_restore(struct virgl_reclaim *vr, struct vr_resource *res);

/* @res is going to be used: restore it in steps if it is absent, and keep it. */
void vr_restore_need(struct virgl_reclaim *vr, struct vr_resource *res);
/* @res ends. */
void vr_restore_forget(struct vr_resource *res);
/* All that were needed have been used, or are not going to be. */
void vr_restore_end(struct virgl_reclaim *vr);

/* Whether @res is needed, and must not be compressed. */
static inline bool vr_restore_keeps(const struct vr_resource *res)
{
    return res->used_link;
}

#endif
