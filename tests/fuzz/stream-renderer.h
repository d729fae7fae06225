/*
 * A renderer without GL, for fuzzing the tracking of command streams
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * It takes references as virglrenderer 0.10 does, but does not count them: it
 * searches all objects and bindings for a storage.
 */

#ifndef STREAM_RENDERER_H
#define STREAM_RENDERER_H

#include <stdbool.h>
#include <stdint.h>

/* Remove all resources and contexts. */
void fake_reset(void);

/* Reject the command after @commands more; UINT32_MAX: none. */
void fake_reject_after(uint32_t commands);

/* Storage of resource @id, or 0. Numbers are not reused. */
unsigned fake_storage(uint32_t id);

/* The n-th object of a type in the current sub-context, or 0. */
uint32_t fake_object(uint32_t ctx, uint32_t type, unsigned n);

/* The n-th resource attached to a context, custom buffers or others, or 0. */
uint32_t fake_attached(uint32_t ctx, bool custom, unsigned n);

/* Whether an object or a binding of any context refers to it. */
bool fake_held(unsigned storage);

/* The same, without bindings that hold only its address. */
bool fake_kept(unsigned storage);

/* Number of storages without a resource that are still allocated. */
unsigned fake_count_deferred(void);

#endif
