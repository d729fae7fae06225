/* SPDX-License-Identifier: MIT */
/* Resources with compressed contents. */

#ifndef VIRGLRECLAIM_COMPRESSION_H
#define VIRGLRECLAIM_COMPRESSION_H

#include "instance.h"

/* Free the compressed contents of @res. */
void vr_compression_discard(struct virgl_reclaim *vr, struct vr_resource *res);
/* Count those of @res no more, which are kept. */
void vr_compression_forget(struct virgl_reclaim *vr,
                           struct vr_resource *res);

/* If @res is being compressed, end that: it is used or destroyed. */
void vr_compression_cancel_if(struct virgl_reclaim *vr,
                              struct vr_resource *res);
/* The same after a reset of the renderer, whatever is being compressed. */
void vr_compression_abandon(struct virgl_reclaim *vr);

#endif
