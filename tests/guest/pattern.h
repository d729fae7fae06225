/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pattern that tests write into buffers: it differs for every page of
 * every buffer, so that lost, stale and misplaced pages are detected.
 */
#ifndef GUEST_PATTERN_H
#define GUEST_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES 4096u

/* Identifies a page and its generation. */
typedef struct PageId {
    uint32_t bo;
    uint32_t page;
    uint32_t generation;
} PageId;

typedef enum PageState {
    PAGE_GOOD,          /* the pattern of the expected page */
    PAGE_ZERO,          /* all zero */
    PAGE_CORRUPT,       /* anything else */
} PageState;

/*
 * From now on, and in children that are forked, all pages compress, so that swap in
 * memory holds them. A device would compress them as well, when they are idle.
 */
void pattern_make_compressible(void);

void pattern_fill(void *page, PageId id);

/* Fill the page with a value that is the pattern of no page. */
void pattern_poison(void *page);

PageState pattern_check(const void *page, PageId id);

/* Describe a corrupt page; the result is static. */
const char *pattern_describe(const void *page);

#endif
