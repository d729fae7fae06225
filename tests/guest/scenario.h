/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The GPU clients of the scenarios. Each runs in a process of its own, which
 * the OOM killer may kill, and reports for itself.
 */
#ifndef GUEST_SCENARIO_H
#define GUEST_SCENARIO_H

#include <stddef.h>

/* Size of every buffer; their types alternate. */
#define BO_BYTES (4u << 20)
#define MIB      (1u << 20)

/* Shared by the client with the sampler. */
typedef struct ClientState {
    size_t bo_bytes;
} ClientState;

/*
 * Fill @mib of buffers and mark them DONTNEED. Calls @pause_here when all are
 * uploaded and again when they are marked; then marks them WILLNEED.
 */
void scenario_cache(size_t mib, ClientState *state,
                    void (*pause_here)(const char *event));

/* Fill @mib of buffers, use them in turns, verify every byte. */
void scenario_idle(size_t mib, ClientState *state,
                   void (*pause_here)(const char *event));

#endif
