/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the GPU client does in each scenario. It runs in a process of its own,
 * which the kernel may kill, and reports for itself.
 */
#ifndef GUEST_SCENARIO_H
#define GUEST_SCENARIO_H

#include <stddef.h>

/* Every buffer has this size; kinds take turns. */
#define BO_BYTES (4u << 20)
#define MIB      (1u << 20)

/* Shared by the client with the sampler. */
typedef struct ClientState {
    size_t bo_bytes;
} ClientState;

/*
 * Fill @mib of buffers and mark them as not needed. Calls @pause_here when all
 * are on the host and again when they are marked; after that asks them back.
 */
void scenario_cache(size_t mib, ClientState *state,
                    void (*pause_here)(const char *event));

/* Fill @mib of buffers, use them in turns, verify every byte. */
void scenario_idle(size_t mib, ClientState *state,
                   void (*pause_here)(const char *event));

#endif
