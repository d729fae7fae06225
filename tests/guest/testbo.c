/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <setjmp.h>
#include <signal.h>

#include "testbo.h"
#include "report.h"

/* Corrupt pages reported in detail; the rest are only counted. */
#define DETAILS 8

/* SIGBUS is delivered to the thread that made the access. */
static _Thread_local sigjmp_buf escape;
static _Thread_local volatile sig_atomic_t escapable;  /* during accesses */

static void on_sigbus(int number)
{
    if (escapable) {
        siglongjmp(escape, 1);
    }
    /* Unexpected: the access is repeated and kills the process. */
    signal(number, SIG_DFL);
}

void test_bo_catch_faults(void)
{
    struct sigaction action = {
        .sa_handler = on_sigbus,
        /* The handler does not return: the signal must not stay blocked. */
        .sa_flags = SA_NODEFER,
    };

    sigaction(SIGBUS, &action, NULL);
}

static uint32_t page_count(const TestBo *tbo)
{
    return tbo->bo.bytes / PAGE_BYTES;
}

static void *page_at(const TestBo *tbo, uint32_t page)
{
    return tbo->bo.map + (size_t)page * PAGE_BYTES;
}

static PageId page_id(const TestBo *tbo, uint32_t page)
{
    return (PageId) {
        .bo = tbo->index,
        .page = page,
        .generation = page % REWRITE_EVERY ? tbo->generation
                                           : tbo->rewritten,
    };
}

void test_bo_fill(TestBo *tbo, uint32_t generation)
{
    uint32_t page;

    tbo->generation = generation;
    tbo->rewritten = generation;
    for (page = 0; page < page_count(tbo); page++) {
        pattern_fill(page_at(tbo, page), page_id(tbo, page));
    }
}

bool test_bo_try_fill(TestBo *tbo, uint32_t generation)
{
    volatile bool filled = false;

    escapable = true;
    if (sigsetjmp(escape, 0) == 0) {
        test_bo_fill(tbo, generation);
        filled = true;
    }
    escapable = false;
    return filled;
}

void test_bo_rewrite(TestBo *tbo, uint32_t generation)
{
    uint32_t page;

    tbo->rewritten = generation;
    for (page = 0; page < page_count(tbo); page += REWRITE_EVERY) {
        pattern_fill(page_at(tbo, page), page_id(tbo, page));
    }
}

static void report_corrupt(const TestBo *tbo, uint32_t page, const char *where)
{
    static int reported;
    PageId id = page_id(tbo, page);

    if (reported++ < DETAILS) {
        report("corrupt where=%s bo=%u page=%u generation=%u holds=%s",
               where, id.bo, id.page, id.generation,
               pattern_describe(page_at(tbo, page)));
    }
}

static void check_pages(const TestBo *tbo, const char *where,
                        PageCounts *counts)
{
    volatile uint32_t page;     /* siglongjmp() must not restore it */

    escapable = true;
    for (page = 0; page < page_count(tbo); page++) {
        if (sigsetjmp(escape, 0)) {
            counts->fault++;
            continue;
        }
        switch (pattern_check(page_at(tbo, page), page_id(tbo, page))) {
        case PAGE_GOOD:
            counts->good++;
            break;
        case PAGE_ZERO:
            counts->zero++;
            break;
        case PAGE_CORRUPT:
            counts->corrupt++;
            report_corrupt(tbo, page, where);
            break;
        }
    }
    escapable = false;
}

void test_bo_check(const TestBo *tbo, PageCounts *counts)
{
    check_pages(tbo, "mapping", counts);
}

int test_bo_check_host(const TestBo *tbo, int gpu, PageCounts *counts)
{
    volatile uint32_t page;     /* as above */
    int ret;

    escapable = true;
    for (page = 0; page < page_count(tbo); page++) {
        /* A page that cannot be written is counted when it is checked. */
        if (sigsetjmp(escape, 0) == 0) {
            pattern_poison(page_at(tbo, page));
        }
    }
    escapable = false;
    ret = bo_download(gpu, &tbo->bo);
    if (ret == 0) {
        ret = bo_wait(gpu, &tbo->bo);
    }
    if (ret == 0) {
        check_pages(tbo, "host", counts);
    }
    return ret;
}
