/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the test writes into its buffers: a pattern in which every page of
 * every buffer is different, so that a page that is lost, stale or in the
 * wrong place does not pass for a good one.
 */
#ifndef GUEST_PATTERN_H
#define GUEST_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES 4096u

/* Which page this is: the one identity that a page's contents stand for. */
typedef struct PageId {
    uint32_t bo;
    uint32_t page;
    uint32_t generation;
} PageId;

typedef enum PageLook {
    PAGE_GOOD,          /* every byte is that of the expected identity */
    PAGE_ZERO,          /* every byte is zero */
    PAGE_CORRUPT,       /* anything else */
} PageLook;

void pattern_fill(void *page, PageId id);

/* Overwrite the page with what is the pattern of no identity. */
void pattern_poison(void *page);

PageLook pattern_look(const void *page, PageId id);

/* Say in words what a corrupt page holds; the result is static. */
const char *pattern_describe(const void *page);

#endif
