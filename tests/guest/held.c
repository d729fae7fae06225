/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <signal.h>

#include "held.h"
#include "report.h"

/* So many pages that are wrong are told in detail; the rest are counted. */
#define DETAILS 8

/* The signal comes to the thread that made the access. */
static _Thread_local sigjmp_buf escape;
static _Thread_local volatile sig_atomic_t escapable;  /* during accesses */

static void on_sigbus(int number)
{
    if (escapable) {
        siglongjmp(escape, 1);
    }
    /* Nobody expects this one: it comes again, and ends the client. */
    signal(number, SIG_DFL);
}

void held_catch_faults(void)
{
    struct sigaction action = {
        .sa_handler = on_sigbus,
        /* The handler never returns: the signal must not stay blocked. */
        .sa_flags = SA_NODEFER,
    };

    sigaction(SIGBUS, &action, NULL);
}

static uint32_t page_count(const Held *held)
{
    return held->bo.bytes / PAGE_BYTES;
}

static void *page_at(const Held *held, uint32_t page)
{
    return held->bo.map + (size_t)page * PAGE_BYTES;
}

static PageId page_id(const Held *held, uint32_t page)
{
    return (PageId) {
        .bo = held->index,
        .page = page,
        .generation = page % REWRITE_EVERY ? held->generation
                                           : held->rewritten,
    };
}

void held_fill(Held *held, uint32_t generation)
{
    uint32_t page;

    held->generation = generation;
    held->rewritten = generation;
    for (page = 0; page < page_count(held); page++) {
        pattern_fill(page_at(held, page), page_id(held, page));
    }
}

bool held_try_fill(Held *held, uint32_t generation)
{
    volatile bool filled = false;

    escapable = true;
    if (sigsetjmp(escape, 0) == 0) {
        held_fill(held, generation);
        filled = true;
    }
    escapable = false;
    return filled;
}

void held_rewrite(Held *held, uint32_t generation)
{
    uint32_t page;

    held->rewritten = generation;
    for (page = 0; page < page_count(held); page += REWRITE_EVERY) {
        pattern_fill(page_at(held, page), page_id(held, page));
    }
}

static void tell_corrupt(const Held *held, uint32_t page, const char *where)
{
    static int told;
    PageId id = page_id(held, page);

    if (told++ < DETAILS) {
        report("corrupt where=%s bo=%u page=%u generation=%u holds=%s",
               where, id.bo, id.page, id.generation,
               pattern_describe(page_at(held, page)));
    }
}

static void look_at_pages(const Held *held, const char *where, Tally *tally)
{
    volatile uint32_t page;     /* siglongjmp() must not set it back */

    escapable = true;
    for (page = 0; page < page_count(held); page++) {
        if (sigsetjmp(escape, 0)) {
            tally->fault++;
            continue;
        }
        switch (pattern_look(page_at(held, page), page_id(held, page))) {
        case PAGE_GOOD:
            tally->good++;
            break;
        case PAGE_ZERO:
            tally->zero++;
            break;
        case PAGE_CORRUPT:
            tally->corrupt++;
            tell_corrupt(held, page, where);
            break;
        }
    }
    escapable = false;
}

void held_check(const Held *held, Tally *tally)
{
    look_at_pages(held, "mapping", tally);
}

int held_check_host(const Held *held, int gpu, Tally *tally)
{
    volatile uint32_t page;     /* as above */
    int ret;

    escapable = true;
    for (page = 0; page < page_count(held); page++) {
        /* A page that cannot be written is counted when it is looked at. */
        if (sigsetjmp(escape, 0) == 0) {
            pattern_poison(page_at(held, page));
        }
    }
    escapable = false;
    ret = bo_download(gpu, &held->bo);
    if (ret == 0) {
        ret = bo_wait(gpu, &held->bo);
    }
    if (ret == 0) {
        look_at_pages(held, "host", tally);
    }
    return ret;
}
