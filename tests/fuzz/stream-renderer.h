/*
 * A renderer without GL, for fuzzing what virglreclaim makes of command streams
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * It takes references as virglrenderer 0.10 does, but counts none: who holds
 * what is looked up in everything that there is.
 */

#ifndef STREAM_RENDERER_H
#define STREAM_RENDERER_H

#include <stdbool.h>
#include <stdint.h>

/* All gone: nothing exists. */
void fake_reset(void);

/* The command after @commands more of them is refused; UINT32_MAX: none. */
void fake_refuse_after(uint32_t commands);

/* Storage of the resource @id, or 0. Numbers are never used again. */
unsigned fake_storage(uint32_t id);

/* The n-th object of a type in the current sub-context, or 0. */
uint32_t fake_object(uint32_t ctx, uint32_t type, unsigned n);

/* The n-th resource that a context may use, custom buffers or others, or 0. */
uint32_t fake_attached(uint32_t ctx, bool custom, unsigned n);

/* Whether an object or a binding of any context has it. */
bool fake_held(unsigned storage);

/* The same, but for bindings that have its address alone. */
bool fake_kept(unsigned storage);

/* Storages of which the renderer still has the memory. */
unsigned fake_count_given_up(void);

#endif
