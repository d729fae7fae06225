/* SPDX-License-Identifier: MIT */
/* Restores what a command stream uses. */

#ifndef VIRGLRECLAIM_USE_H
#define VIRGLRECLAIM_USE_H

#include "instance.h"

/*
 * The context is about to execute @n words: restore compressed resources that
 * these may use. Returns an error of restore; some may be restored then.
 */
int vr_use_restore(struct virgl_reclaim *vr, const struct vr_context *context,
                   const uint32_t *words, size_t n);

#endif
