/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A buffer object together with its expected contents.
 */
#ifndef GUEST_TESTBO_H
#define GUEST_TESTBO_H

#include "bo.h"
#include "pattern.h"

/* A rewrite changes every Nth page. */
#define REWRITE_EVERY 16

typedef struct TestBo {
    Bo bo;
    uint32_t index;
    uint32_t generation;    /* of all other pages */
    uint32_t rewritten;     /* of every REWRITE_EVERYth page */
} TestBo;

/* Pages by the result of a check. */
typedef struct PageCounts {
    unsigned long good;
    unsigned long zero;
    unsigned long fault;    /* the access raised SIGBUS */
    unsigned long corrupt;
} PageCounts;

/* To be called once, before any check. */
void test_bo_catch_faults(void);

void test_bo_fill(TestBo *tbo, uint32_t generation);
/* The same; false if an access raised SIGBUS. */
bool test_bo_try_fill(TestBo *tbo, uint32_t generation);
void test_bo_rewrite(TestBo *tbo, uint32_t generation);

/* Check every page through the mapping. */
void test_bo_check(const TestBo *tbo, PageCounts *counts);

/*
 * Check every page on the host: overwrite the guest's pages and read the
 * host's copy back into them. Returns 0, or -errno.
 */
int test_bo_check_host(const TestBo *tbo, int gpu, PageCounts *counts);

#endif
