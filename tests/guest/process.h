/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes of the guest other than the GPU client.
 */
#ifndef GUEST_PROCESS_H
#define GUEST_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "scenario.h"

/* Whether the OOM killer may kill the calling process. */
void process_protect(int on);

/*
 * Run a memory hog: this program, executed anew, which touches @mib of memory
 * and holds it for @hold_ms. Returns 0 if it survives, or the signal that
 * killed it.
 */
int memory_hog_run(size_t mib, unsigned hold_ms);

/* The same; its memory is locked, so that others have to give theirs. */
int memory_hog_run_locked(size_t mib, unsigned hold_ms);

typedef struct MemoryHog {
    size_t mib;
    unsigned hold_ms;
    bool locked;
    /* Called with @arg when all but @left_mib are touched; or NULL. */
    void (*pause)(void *arg);
    void *arg;
    size_t left_mib;
} MemoryHog;

/* The body of that program. Never returns. */
void memory_hog_main(const MemoryHog *hog);

/* Start the process that reports the memory in use periodically. */
pid_t sampler_start(const ClientState *state);

/*
 * Start another kernel with kexec while the GPU is in use. Returns on failure
 * only, and prints the reason.
 */
int kexec_run(const char *kernel, const char *initrd, const char *cmdline);

#endif
