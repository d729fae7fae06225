/* SPDX-License-Identifier: MIT */
/* Compressed contents that exceed the limit of memory move into the file. */

#ifndef VIRGLRECLAIM_OVERFLOW_H
#define VIRGLRECLAIM_OVERFLOW_H

#include "instance.h"

/*
 * Make room for @contents, which are new, of @res below the limit of memory: the
 * least recently used contents are written to the file, @contents themselves if
 * they are. Returns 0, -EAGAIN while they are written, or -ENOSPC.
 */
int vr_overflow_make_room(struct virgl_reclaim *vr,
                          const struct vr_resource *res,
                          struct vr_contents *contents);
/* Take the result of a write that is done. Returns whether one is not. */
bool vr_overflow_is_writing(struct virgl_reclaim *vr);
/* Wait until the write that is under way is done. */
void vr_overflow_wait(struct virgl_reclaim *vr);

/* @res is compressed, and its contents may leave memory; or no longer. */
void vr_overflow_add(struct virgl_reclaim *vr, struct vr_resource *res);
void vr_overflow_remove(struct virgl_reclaim *vr, struct vr_resource *res);

#endif
