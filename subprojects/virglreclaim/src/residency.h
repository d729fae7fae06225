/* SPDX-License-Identifier: MIT */
/*
 * Two primitives: storage leaves while views, surfaces and bindings of it
 * exist, and they all work again when it is back.
 */

#ifndef VIRGLRECLAIM_RESIDENCY_H
#define VIRGLRECLAIM_RESIDENCY_H

#include "instance.h"

/*
 * Why the storage of @res, which is resident, cannot leave: a reason to skip
 * it, or -1. If the contents are to be kept, this finds out which contexts are
 * in error, and waits until GL has drawn what the others have submitted.
 */
int vr_residency_busy(struct virgl_reclaim *vr, struct vr_resource *res,
                      bool keep);

/*
 * Unbind and destroy in the renderer what refers to the storage of @res, which
 * is not busy. If the renderer rejects that, the contexts are in error.
 */
void vr_residency_detach(struct virgl_reclaim *vr, struct vr_resource *res);

/*
 * Make in the renderer what refers to @res, which has new storage, and bind it
 * where the guest has bound it.
 */
void vr_residency_attach(struct virgl_reclaim *vr, struct vr_resource *res);

/* Before @sub draws with arguments in a buffer, if sub->rebind_indirect is set. */
void vr_residency_rebind_indirect(struct virgl_reclaim *vr, struct vr_sub *sub);

/*
 * Unbind in the renderer the uniform, shader and atomic buffers and images that
 * are @res, which is being destroyed. Renderer 0.10 holds no reference to them
 * but uses their addresses.
 */
void vr_residency_unbind(struct virgl_reclaim *vr, struct vr_resource *res);

#endif
