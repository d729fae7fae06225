/* SPDX-License-Identifier: MIT */
/* Purged resources: contents lost, storage released. */

#ifndef VIRGLRECLAIM_PURGE_H
#define VIRGLRECLAIM_PURGE_H

#include "instance.h"

/* Give @res, which is purged, storage that is zero, as restore does. */
int vr_purge_restore(struct virgl_reclaim *vr, struct vr_resource *res);

#endif
