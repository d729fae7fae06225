/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A buffer object together with what should be in it.
 */
#ifndef GUEST_HELD_H
#define GUEST_HELD_H

#include "bo.h"
#include "pattern.h"

/* A rewrite changes every so manieth page and leaves the others alone. */
#define REWRITE_EVERY 16

typedef struct Held {
    Bo bo;
    uint32_t index;
    uint32_t generation;    /* of all pages but those rewritten since */
    uint32_t rewritten;     /* of every REWRITE_EVERYth page */
} Held;

/* How the pages looked at were found. */
typedef struct Tally {
    unsigned long good;
    unsigned long zero;
    unsigned long fault;    /* the access raised SIGBUS */
    unsigned long corrupt;
} Tally;

/* To be called once, before any check. */
void held_catch_faults(void);

void held_fill(Held *held, uint32_t generation);
/* The same; false if the access to a page raised SIGBUS. */
bool held_try_fill(Held *held, uint32_t generation);
void held_rewrite(Held *held, uint32_t generation);

/* Look at every page through the mapping. */
void held_check(const Held *held, Tally *tally);

/*
 * Look at every page as the host has it: overwrite the guest's pages and read
 * the host's copy back into them. Returns 0, or -errno if that was refused.
 */
int held_check_host(const Held *held, int gpu, Tally *tally);

#endif
