/*
 * Fake renderer without GL, for the fuzzer of stream tracking
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * It references storage in the same commands as virglrenderer 0.10. Instead of
 * counting references it searches all objects and bindings.
 */

#ifndef STREAM_RENDERER_H
#define STREAM_RENDERER_H

#include <stdbool.h>
#include <stdint.h>

/* Remove all resources and contexts. */
void fake_reset(void);

/* Reject the command after the next @commands; UINT32_MAX: reject none. */
void fake_reject_after(uint32_t commands);

/* Number of the storage of resource @id, or 0. Numbers are not reused. */
unsigned fake_storage(uint32_t id);

/* Handle of the @n-th object of @type in the current sub-context, or 0. */
uint32_t fake_object(uint32_t ctx, uint32_t type, unsigned n);

/* Id of the @n-th resource (custom buffer or other) of a context, or 0. */
uint32_t fake_attached(uint32_t ctx, bool custom, unsigned n);

/* Whether an object or a binding of any context references @storage. */
bool fake_referenced(unsigned storage);

/* The same, except for bindings that do not hold a reference. */
bool fake_ref_held(unsigned storage);

/* Number of storages without a resource that are still allocated. */
unsigned fake_count_deferred(void);

#endif
