/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The other processes of the guest beside the GPU client.
 */
#ifndef GUEST_PROCESS_H
#define GUEST_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

#include "scenario.h"

/* Whether the kernel may kill the calling process when memory runs out. */
void process_protect(int on);

/*
 * An ordinary program: this program started anew, which touches @mib of
 * memory and keeps it for a while. Returns 0 if it lived, or the signal that
 * ended it.
 */
int app_run(size_t mib, unsigned hold_ms);

/* The body of that program. */
void app_main(size_t mib, unsigned hold_ms);

/* Start the process that reports how much memory there is, again and again. */
pid_t sampler_start(const ClientState *state);

/*
 * Start another kernel in the place of this one while the GPU is in use. Returns
 * if that cannot be done, and says why.
 */
int kexec_run(const char *kernel, const char *initrd, const char *cmdline);

#endif
