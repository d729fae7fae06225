/* SPDX-License-Identifier: MIT */
/* Compressed contents return to the storage of their resource. */

#ifndef VIRGLRECLAIM_DECOMPRESSION_H
#define VIRGLRECLAIM_DECOMPRESSION_H

#include "instance.h"

/*
 * Give @res, which is compressed, storage with its contents, as restore does. If
 * it was destroyed its objects show them, and @res is freed. Unchanged on
 * failure.
 */
int vr_decompression_restore(struct virgl_reclaim *vr,
                             struct vr_resource *res);

/*
 * The same in steps, of one resource at a time. Returns -EAGAIN until it is done;
 * @waiting is set if the worker was given a part of it then.
 */
int vr_decompression_step(struct virgl_reclaim *vr, struct vr_resource *res,
                          bool *waiting);
/* If that has begun for @res, end it: it stays compressed. */
void vr_decompression_cancel_if(struct virgl_reclaim *vr,
                                struct vr_resource *res);
/* The guest takes @id: end it if a destroyed resource has that for a moment. */
void vr_decompression_yield_id(struct virgl_reclaim *vr, uint32_t id);
/* End it after a reset of the renderer, whatever is being decompressed. */
void vr_decompression_abandon(struct virgl_reclaim *vr);

#endif
