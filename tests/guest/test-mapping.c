/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mappings of user space that lose their pages and fault them back.
 */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <drm.h>
#include <drm/virtgpu_drm.h>

#include "test.h"

#define BYTES (256 * KIB)
#define PAGES (BYTES / PAGE_BYTES)

/* The page at @where is page @number of @held, as it was filled. */
static void check_page(const Held *held, const uint8_t *where, uint32_t number)
{
    PageId id = { held->index, number, held->generation };

    CHECK(pattern_look(where, id) == PAGE_GOOD);
}

static void close_handle(const Held *held)
{
    struct drm_gem_close close = { .handle = held->bo.handle };

    CHECK_INT(drm_request(env.gpu, DRM_IOCTL_GEM_CLOSE, &close), ==, 0);
}

static void test_two_in_one_process(void)
{
    uint8_t *second;
    uint32_t i;
    Held held;

    make(&held, BYTES);
    second = map_anew(&held, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED);
    CHECK(second != MAP_FAILED);
    for (i = 0; i < PAGES; i++) {
        check_page(&held, second + i * PAGE_BYTES, i);
    }
    shrink_all();
    second[100] ^= 0xff;
    CHECK_INT(held.bo.map[100], ==, second[100]);
    second[100] ^= 0xff;
    check_intact(&held);
    shrink_all();
    for (i = 0; i < PAGES; i++) {
        check_page(&held, second + i * PAGE_BYTES, i);
    }
}

static void test_fork_reads(void)
{
    Held held;
    int pid;

    make(&held, BYTES);
    shrink_all();
    pid = fork();
    if (pid == 0) {
        check_intact(&held);
        _exit(0);
    }
    CHECK_INT(wait_for(pid), ==, 0);
    check_intact(&held);
}

static void test_fork_writes(void)
{
    Held held;
    int pid;

    make(&held, BYTES);
    check_intact(&held);
    pid = fork();
    if (pid == 0) {
        shrink_all();
        held_fill(&held, 7);
        _exit(0);
    }
    CHECK_INT(wait_for(pid), ==, 0);
    held.generation = held.rewritten = 7;
    check_intact(&held);
    shrink_all();
    check_intact(&held);
}

static void test_fork_and_purge(void)
{
    Held held;
    int pid;

    make(&held, BYTES);
    mark(&held);
    shrink_all();
    pid = fork();
    if (pid == 0) {
        check_faults(&held);
        _exit(0);
    }
    CHECK_INT(wait_for(pid), ==, 0);
    CHECK(!ask_back(&held));
    check_zero(&held);
}

/* Each process has a mapping of its own. */
static void test_two_processes(void)
{
    int pid, status;
    Held held;

    make(&held, BYTES);
    pid = fork();
    if (pid == 0) {
        int i;

        munmap(held.bo.map, BYTES);
        held.bo.map = map_anew(&held, BYTES, PROT_READ | PROT_WRITE,
                               MAP_SHARED);
        CHECK(held.bo.map != MAP_FAILED);
        for (i = 0; i < 20; i++) {
            check_intact(&held);
            shrink(PAGES);
        }
        _exit(0);
    }
    while (waitpid(pid, &status, WNOHANG) == 0) {
        check_intact(&held);
        shrink(PAGES);
    }
    CHECK_INT(status, ==, 0);
    check_host(&held);
}

static void test_mremap_moves(void)
{
    uint8_t *place, *moved;
    uint32_t i;
    Held held;

    make(&held, BYTES);
    place = mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    shrink_all();
    moved = mremap(held.bo.map, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED,
                   place);
    CHECK(moved == place);
    for (i = 0; i < PAGES; i += 2) {
        check_page(&held, moved + i * PAGE_BYTES, i);
    }
    held.bo.map = moved;
    shrink_all();
    check_intact(&held);
}

static void test_mremap_part(void)
{
    enum { FIRST = PAGES / 2 };
    uint8_t *place, *moved;
    uint32_t i;
    Held held;

    make(&held, BYTES);
    place = mmap(NULL, BYTES / 2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                 0);
    moved = mremap(held.bo.map + FIRST * PAGE_BYTES, BYTES / 2, BYTES / 2,
                   MREMAP_MAYMOVE | MREMAP_FIXED, place);
    CHECK(moved == place);
    shrink_all();
    for (i = 0; i < FIRST; i++) {
        check_page(&held, held.bo.map + i * PAGE_BYTES, i);
        check_page(&held, moved + i * PAGE_BYTES, FIRST + i);
    }
}

static void test_mremap_grow(void)
{
    Held held;

    make(&held, BYTES);
    CHECK(mremap(held.bo.map, BYTES, 2 * BYTES, MREMAP_MAYMOVE) == MAP_FAILED);
    shrink_all();
    check_intact(&held);
}

static void check_but(const Held *held, uint32_t from, uint32_t to)
{
    uint32_t i;

    for (i = 0; i < PAGES; i++) {
        if (i < from || i >= to) {
            check_page(held, held->bo.map + i * PAGE_BYTES, i);
        }
    }
}

static void test_unmap_front(void)
{
    Held held;

    make(&held, BYTES);
    CHECK_INT(munmap(held.bo.map, 8 * PAGE_BYTES), ==, 0);
    shrink_all();
    check_but(&held, 0, 8);
}

static void test_unmap_middle(void)
{
    Held held;

    make(&held, BYTES);
    CHECK_INT(munmap(held.bo.map + 21 * PAGE_BYTES, 10 * PAGE_BYTES), ==, 0);
    shrink_all();
    check_but(&held, 21, 31);
    shrink_all();
    check_but(&held, 21, 31);
}

static void test_unmap_end(void)
{
    Held held;

    make(&held, BYTES);
    CHECK_INT(munmap(held.bo.map + BYTES - PAGE_BYTES, PAGE_BYTES), ==, 0);
    shrink_all();
    check_but(&held, PAGES - 1, PAGES);
}

static void test_outlives_handle(void)
{
    Held held;

    make(&held, BYTES);
    close_handle(&held);
    shrink_all();
    check_intact(&held);
    shrink_all();
    check_intact(&held);
    munmap(held.bo.map, BYTES);
}

static void test_outlives_file(void)
{
    Held held;

    make(&held, BYTES);
    close(env.gpu);
    shrink_all();
    check_intact(&held);
}

static void test_private(void)
{
    Held held;

    make(&held, BYTES);
    CHECK(map_anew(&held, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE) ==
          MAP_FAILED);
    CHECK_INT(errno, ==, EINVAL);
}

static void test_too_long(void)
{
    Held held;

    make(&held, BYTES);
    CHECK(map_anew(&held, BYTES + PAGE_BYTES, PROT_READ, MAP_SHARED) ==
          MAP_FAILED);
    check_intact(&held);
}

static void test_shorter(void)
{
    uint8_t *map;
    Held held;

    make(&held, BYTES);
    map = map_anew(&held, 3 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED);
    CHECK(map != MAP_FAILED);
    shrink_all();
    check_page(&held, map, 0);
    check_page(&held, map + 2 * PAGE_BYTES, 2);
    munmap(map, 3 * PAGE_BYTES);
    check_intact(&held);
}

static void test_read_only(void)
{
    uint8_t *map;
    Held held;
    int pid;

    make(&held, BYTES);
    map = map_anew(&held, BYTES, PROT_READ, MAP_SHARED);
    CHECK(map != MAP_FAILED);
    shrink_all();
    check_page(&held, map + 5 * PAGE_BYTES, 5);
    pid = fork();
    if (pid == 0) {
        map[5] = 1;
        _exit(0);
    }
    CHECK_INT(WTERMSIG(wait_for(pid)), ==, SIGSEGV);
    check_intact(&held);
}

static void test_mprotect(void)
{
    Held held;

    make(&held, BYTES);
    CHECK_INT(mprotect(held.bo.map, BYTES, PROT_NONE), ==, 0);
    shrink_all();
    CHECK_INT(mprotect(held.bo.map, BYTES, PROT_READ), ==, 0);
    check_intact(&held);
    CHECK_INT(mprotect(held.bo.map, BYTES, PROT_READ | PROT_WRITE), ==, 0);
    held_rewrite(&held, 3);
    shrink_all();
    check_intact(&held);
}

static void test_zapped(void)
{
    Held held;

    make(&held, BYTES);
    /* The kernel refuses or forgets the page tables: no byte goes with them. */
    madvise(held.bo.map, BYTES, MADV_DONTNEED);
    check_intact(&held);
    madvise(held.bo.map, BYTES, MADV_DONTNEED);
    shrink_all();
    check_intact(&held);
}

/* The kernel reads and writes mappings on behalf of programs. */
static void test_syscalls(void)
{
    enum { LENGTH = 2 * PAGE_BYTES };
    int line[2];
    Held held;

    make(&held, BYTES);
    CHECK_INT(pipe(line), ==, 0);
    shrink_all();
    CHECK_INT(write(line[1], held.bo.map, LENGTH), ==, LENGTH);
    memset(held.bo.map, 0, LENGTH);
    shrink_all();
    CHECK_INT(read(line[0], held.bo.map, LENGTH), ==, LENGTH);
    check_intact(&held);
}

static void test_last_byte(void)
{
    Held held;

    make(&held, BYTES);
    shrink_all();
    held.bo.map[BYTES - 1] ^= 0xff;
    held.bo.map[BYTES - 1] ^= 0xff;
    check_intact(&held);
}

const TestCase tests_mapping[] = {
    { "mapping/two-in-one-process", test_two_in_one_process, 0 },
    { "mapping/fork-reads", test_fork_reads, 0 },
    { "mapping/fork-writes", test_fork_writes, 0 },
    { "mapping/fork-and-purge", test_fork_and_purge, 0 },
    { "mapping/two-processes", test_two_processes, 0 },
    { "mapping/mremap-moves", test_mremap_moves, 0 },
    { "mapping/mremap-part", test_mremap_part, 0 },
    { "mapping/mremap-grow", test_mremap_grow, 0 },
    { "mapping/unmap-front", test_unmap_front, 0 },
    { "mapping/unmap-middle", test_unmap_middle, 0 },
    { "mapping/unmap-end", test_unmap_end, 0 },
    { "mapping/outlives-handle", test_outlives_handle, 0 },
    { "mapping/outlives-file", test_outlives_file, 0 },
    { "mapping/private", test_private, 0 },
    { "mapping/too-long", test_too_long, 0 },
    { "mapping/shorter", test_shorter, 0 },
    { "mapping/read-only", test_read_only, 0 },
    { "mapping/mprotect", test_mprotect, 0 },
    { "mapping/zapped", test_zapped, 0 },
    { "mapping/syscalls", test_syscalls, 0 },
    { "mapping/last-byte", test_last_byte, 0 },
    { NULL, NULL, 0 },
};
