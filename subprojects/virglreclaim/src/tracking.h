/* SPDX-License-Identifier: MIT */
/* What contexts refer to and use, tracked from their command streams. */

#ifndef VIRGLRECLAIM_TRACKING_H
#define VIRGLRECLAIM_TRACKING_H

#include "instance.h"

/* Update from @n words that the renderer has executed without an error. */
void vr_tracking_read(struct virgl_reclaim *vr, struct vr_context *context,
                      const uint32_t *words, size_t n);

#endif
