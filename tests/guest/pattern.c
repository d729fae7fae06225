/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdio.h>

#include "pattern.h"

#define WORDS (PAGE_BYTES / sizeof(uint64_t))

/* Odd, hence invertible modulo 2^64: a page's first word gives its identity. */
#define SPREAD 0x9e3779b97f4a7c15ull
/* Added from word to word; cheap, as the guest runs in an emulator. */
#define STRIDE 0xd1b54a32d192ed03ull
/* In runs of so many equal words a page compresses, by a factor of ten about. */
#define RUN    16
/* Odd, as the first word of no pattern is: the seed's lowest bit is zero. */
#define POISON 0x5bd1e9955bd1e995ull

/* The words of a run but one, as bits of their index. */
static size_t repeated;

void pattern_make_compressible(void)
{
    repeated = RUN - 1;
}

static uint64_t first_word(PageId id)
{
    uint64_t seed = ((uint64_t)id.bo << 40) | ((uint64_t)id.page << 20) |
                    (uint64_t)id.generation << 1 | 1ull << 62;

    return seed * SPREAD;
}

static uint64_t unspread(uint64_t word)
{
    uint64_t inverse = SPREAD;
    int i;

    /* Newton's iteration doubles the number of correct bits each time. */
    for (i = 0; i < 6; i++) {
        inverse *= 2 - SPREAD * inverse;
    }
    return word * inverse;
}

void pattern_fill(void *page, PageId id)
{
    uint64_t *word = page;
    uint64_t value = first_word(id);
    size_t i;

    for (i = 0; i < WORDS; i++) {
        word[i] = value;
        value += (i & repeated) == repeated ? STRIDE : 0;
    }
}

void pattern_poison(void *page)
{
    uint64_t *word = page;
    size_t i;

    for (i = 0; i < WORDS; i++) {
        word[i] = POISON;
    }
}

PageState pattern_check(const void *page, PageId id)
{
    const uint64_t *word = page;
    uint64_t value = first_word(id);
    uint64_t bad = 0;
    uint64_t any = 0;
    size_t i;

    for (i = 0; i < WORDS; i++) {
        bad |= word[i] ^ value;
        any |= word[i];
        value += (i & repeated) == repeated ? STRIDE : 0;
    }
    return !bad ? PAGE_GOOD : !any ? PAGE_ZERO : PAGE_CORRUPT;
}

const char *pattern_describe(const void *page)
{
    static char text[96];
    const uint64_t *word = page;
    uint64_t seed = unspread(word[0]);
    PageId id = {
        .bo = seed >> 40 & 0x3fffff,
        .page = seed >> 20 & 0xfffff,
        .generation = seed >> 1 & 0x7ffff,
    };

    if (word[0] == POISON) {
        snprintf(text, sizeof(text), "never-written-back");
    } else if (pattern_check(page, id) == PAGE_GOOD) {
        snprintf(text, sizeof(text), "bo-%u-page-%u-generation-%u",
                 id.bo, id.page, id.generation);
    } else {
        snprintf(text, sizeof(text), "%016llx-%016llx",
                 (unsigned long long)word[0],
                 (unsigned long long)word[WORDS - 1]);
    }
    return text;
}
