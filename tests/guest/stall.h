/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device that does not answer, for as long as it is wanted.
 */
#ifndef GUEST_STALL_H
#define GUEST_STALL_H

/*
 * From here on the device takes nothing from its queues: it may not be the
 * master of its bus. What it has taken must be answered by then.
 */
void stall(void);

/* Let the device go on with what is in its queues. Can be called at any time. */
void stall_end(void);

#endif
