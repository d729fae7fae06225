/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel that looks for mistakes has found, or not looked for. These
 * are the last tests of a guest: they look back on all the others.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "test.h"

#define KMEMLEAK "/sys/kernel/debug/kmemleak"

/* What is younger than this is not looked at, with a second to be sure. */
#define KMEMLEAK_AGE 6

/* It turns itself off when it has found something, or ran out of room. */
static void test_lockdep_is_on(void)
{
    FILE *file = fopen("/proc/lockdep_stats", "r");
    char line[128];
    int on = -1;

    CHECK(file);
    while (fgets(line, sizeof(line), file)) {
        if (strstr(line, "debug_locks:")) {
            CHECK_INT(sscanf(line, " debug_locks: %d", &on), ==, 1);
        }
    }
    fclose(file);
    CHECK_INT(on, ==, 1);
}

static void scan(void)
{
    CHECK_INT(system("echo scan >" KMEMLEAK), ==, 0);
}

/* Print what nobody refers to; returns how many there are. */
static unsigned leaks(void)
{
    FILE *file = fopen(KMEMLEAK, "r");
    char line[160];
    unsigned count = 0;

    CHECK(file);
    while (fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = '\0';
        report("# %s", line);
        count += strstr(line, "unreferenced object") != NULL;
    }
    fclose(file);
    return count;
}

/* With the driver there, which gives the names of its functions. */
static void test_leaks_nothing(void)
{
    sleep(KMEMLEAK_AGE);
    /* What the first scan finds may have changed since: it is not believed. */
    scan();
    scan();
    CHECK_INT(leaks(), ==, 0);
}

/* Nobody is left then who could refer to what it had. */
static void test_leaks_nothing_unloaded(void)
{
    unload_driver();
    sleep(KMEMLEAK_AGE);
    scan();
    CHECK_INT(leaks(), ==, 0);
}

const TestCase tests_kernel[] = {
    { "kernel/leaks-nothing", test_leaks_nothing,
      NEEDS_DEBUG | LEAVES_OTHER | NEEDS_NO_GPU },
    { "kernel/leaks-nothing-unloaded", test_leaks_nothing_unloaded,
      NEEDS_DEBUG | LEAVES_OTHER | NEEDS_NO_GPU },
    { "kernel/lockdep-is-on", test_lockdep_is_on,
      NEEDS_DEBUG | LEAVES_OTHER | NEEDS_NO_GPU },
    { NULL, NULL, 0 },
};
