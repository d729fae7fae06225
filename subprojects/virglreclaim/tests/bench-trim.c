/* SPDX-License-Identifier: MIT */
/*
 * Benchmark of trimming the heap: after half of the resources were freed, and
 * with nothing freed. Prints a table in Markdown. To count instructions, run it
 * under valgrind --tool=callgrind --toggle-collect=virgl_reclaim_trim.
 */

#include "renderer.h"

#include <stdio.h>
#include <time.h>

enum { TOTAL = 256 << 20 };

static double microseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e6 + now.tv_nsec / 1e3;
}

static double trim(void)
{
    double start = microseconds();

    virgl_reclaim_trim();
    return microseconds() - start;
}

/* Square textures of 4 bytes a pixel, every other one purged. */
static void measure(uint32_t side)
{
    uint32_t count = TOTAL / (side * side * 4), id;
    double full, empty;
    uint64_t before;
    Fixture f;

    fixture_set_up(&f, NULL);
    for (id = 1; id <= count; id++) {
        struct virgl_renderer_resource_create_args args = texture_args(id, side,
                                                                       side);

        g_assert_cmpint(virgl_reclaim_resource_create(f.vr, &args), ==, 0);
    }
    virgl_reclaim_trim();
    before = memory_used();
    for (id = 1; id <= count; id += 2) {
        g_assert_cmpint(virgl_reclaim_resource_purge(f.vr, id, NULL), ==, 0);
    }
    full = trim();
    before -= memory_used();
    empty = trim();
    printf("| %u of %u KiB | %.0f | %.0f | %.0f |\n", count, side * side / 256,
           before / 1048576.0, full, empty);
    fflush(stdout);
    fixture_tear_down(&f, NULL);
}

int main(void)
{
    printf("| textures | MiB back | us, with them | us, with nothing freed |\n"
           "|---|---|---|---|\n");
    measure(2048);
    measure(1024);
    measure(256);
    measure(64);
    measure(32);
    return 0;
}
