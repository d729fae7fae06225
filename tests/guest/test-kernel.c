/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Findings of the debug kernel. These cases run last: they cover all that ran
 * before.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"
#include "test.h"

#define KMEMLEAK "/sys/kernel/debug/kmemleak"

/* kmemleak ignores younger objects; one second is added for safety. */
#define KMEMLEAK_AGE 6

/* Lockdep disables itself after a report, or when its tables are full. */
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

/* Report leaked objects; returns their number. */
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

/* With the driver loaded, backtraces have symbols. */
static void test_no_leaks(void)
{
    sleep(KMEMLEAK_AGE);
    /* Objects found by one scan only may be false positives. */
    scan();
    scan();
    CHECK_INT(leaks(), ==, 0);
}

/* With the driver unloaded, no reference is left. */
static void test_no_leaks_unloaded(void)
{
    unload_driver();
    sleep(KMEMLEAK_AGE);
    scan();
    CHECK_INT(leaks(), ==, 0);
}

const TestCase tests_kernel[] = {
    { "kernel/no-leaks", test_no_leaks,
      NEEDS_DEBUG | CHANGES_DRIVER | NEEDS_NO_GPU },
    { "kernel/no-leaks-unloaded", test_no_leaks_unloaded,
      NEEDS_DEBUG | CHANGES_DRIVER | NEEDS_NO_GPU },
    { "kernel/lockdep-is-on", test_lockdep_is_on,
      NEEDS_DEBUG | CHANGES_DRIVER | NEEDS_NO_GPU },
    { NULL, NULL, 0 },
};
