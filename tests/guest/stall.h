/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device that does not respond, for a time that the test chooses.
 */
#ifndef GUEST_STALL_H
#define GUEST_STALL_H

#include <stdatomic.h>
#include <sys/types.h>

/*
 * Stall the device: it processes no queue while its bus mastering is disabled.
 * It must have completed all earlier requests. Skips the case if the device is
 * not on a PCI bus.
 */
void stall(void);

/* Resume the device. May be called at any time. */
void stall_end(void);

/*
 * Have a process resume it @ms after *@begin, in memory shared with it, is true.
 * It needs no memory then, but for a copy of what the caller has. May be called
 * before stall(). Returns its pid when it is ready.
 */
pid_t stall_end_later(const atomic_bool *begin, unsigned ms);

#endif
