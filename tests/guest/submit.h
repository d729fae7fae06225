/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Command buffers of the virgl protocol, the few that the tests need.
 */
#ifndef GUEST_SUBMIT_H
#define GUEST_SUBMIT_H

#include "held.h"

/* These return 0, or -errno; what is submitted is queued. */

/* A command buffer that does nothing and names @count buffers. */
int submit_nothing(int gpu, const Held *const *held, unsigned count);

/* Copy @from to @to on the host, both of one kind and size. */
int submit_copy(int gpu, const Held *from, const Held *to);

#endif
