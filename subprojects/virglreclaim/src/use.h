/* SPDX-License-Identifier: MIT */
/* Restores what a command stream uses. */

#ifndef VIRGLRECLAIM_USE_H
#define VIRGLRECLAIM_USE_H

#include "instance.h"

/* Commands that vr_use_restore() looks at; 0: there is nothing to restore. */
uint64_t vr_use_codes(const struct virgl_reclaim *vr);

/*
 * The context is about to execute a stream: restore compressed resources that the
 * commands in @found may use. Returns an error of restore; some may be restored
 * then.
 */
int vr_use_restore(struct virgl_reclaim *vr, const struct vr_context *context,
                   const struct vr_found *found);
/*
 * The same without restoring anything. Returns 0 if nothing has to be; else
 * -EAGAIN, with vr_restore_need() called for all that the stream may use.
 */
int vr_use_try(struct virgl_reclaim *vr, const struct vr_context *context,
               const struct vr_found *found);

#endif
