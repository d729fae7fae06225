/* SPDX-License-Identifier: MIT */
/* Contexts, their sub-contexts, and the resources attached to them. */

#ifndef VIRGLRECLAIM_CONTEXT_H
#define VIRGLRECLAIM_CONTEXT_H

#include "instance.h"

/* Attach @res, which has new storage, in the renderer's contexts. */
void vr_contexts_attach(struct virgl_reclaim *vr,
                        const struct vr_resource *res);
/* Detach @res, which is being destroyed, from all contexts. */
void vr_contexts_detach(struct virgl_reclaim *vr,
                        const struct vr_resource *res);
/* Free all contexts without calling the renderer. */
void vr_contexts_reset(struct virgl_reclaim *vr);

/* A command is unknown. */
void vr_context_lose_tracking(struct virgl_reclaim *vr,
                              struct vr_context *context);
/* The renderer has rejected a command: put the context in error. */
void vr_context_set_error(struct virgl_reclaim *vr,
                          struct vr_context *context);
/* Whether @storage is attached to a context with tracking lost. */
bool vr_contexts_untracked(const struct virgl_reclaim *vr,
                           const struct vr_storage *storage);
/* Whether any context refers to @storage, or may do so. */
bool vr_contexts_refer(const struct virgl_reclaim *vr,
                       const struct vr_storage *storage);

/* Becomes the current one, as in the renderer. NULL if there is no memory. */
struct vr_sub *vr_sub_new(struct virgl_reclaim *vr, struct vr_context *context,
                          uint32_t id);
/* Remove @sub, which is not the first one, and drop its references. */
void vr_sub_destroy(struct virgl_reclaim *vr, struct vr_sub *sub);
/*
 * Make the GL context of @sub current. Returns false, with the context in
 * error, if that is impossible.
 */
bool vr_sub_enter(struct virgl_reclaim *vr, const struct vr_sub *sub);
/* Make the current sub-context of @context that in the renderer again. */
void vr_context_leave(struct virgl_reclaim *vr, struct vr_context *context);

/* Whether there are too many of the following to walk over at once. */
bool vr_storage_has_many_users(const struct virgl_reclaim *vr,
                               const struct vr_storage *storage);
/*
 * Call @func for each sub-context whose GL context may have @storage bound or
 * may draw to it, and that can be entered; then leave its context. Another GL
 * context than before may be current after that.
 */
void vr_storage_foreach_user(struct virgl_reclaim *vr,
                             const struct vr_storage *storage,
                             void (*func)(struct virgl_reclaim *vr,
                                          struct vr_sub *sub,
                                          const struct vr_storage *storage));

#endif
