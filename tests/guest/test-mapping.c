/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mappings whose pages are evicted and faulted back.
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

/* The page at @where holds the pattern of page @number of @tbo. */
static void check_page(const TestBo *tbo, const uint8_t *where, uint32_t number)
{
    PageId id = { tbo->index, number, tbo->generation };

    CHECK(pattern_check(where, id) == PAGE_GOOD);
}

static void close_handle(const TestBo *tbo)
{
    CHECK_INT(gem_close(env.gpu, tbo->bo.handle), ==, 0);
}

static void test_two_in_one_process(void)
{
    uint8_t *second;
    uint32_t i;
    TestBo tbo;

    make(&tbo, BYTES);
    second = map_anew(&tbo, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED);
    CHECK(second != MAP_FAILED);
    for (i = 0; i < PAGES; i++) {
        check_page(&tbo, second + i * PAGE_BYTES, i);
    }
    shrink_all();
    second[100] ^= 0xff;
    CHECK_INT(tbo.bo.map[100], ==, second[100]);
    second[100] ^= 0xff;
    check_intact(&tbo);
    shrink_all();
    for (i = 0; i < PAGES; i++) {
        check_page(&tbo, second + i * PAGE_BYTES, i);
    }
}

static void test_fork_reads(void)
{
    TestBo tbo;
    int pid;

    make(&tbo, BYTES);
    shrink_all();
    pid = fork();
    if (pid == 0) {
        check_intact(&tbo);
        _exit(0);
    }
    CHECK_INT(wait_for(pid), ==, 0);
    check_intact(&tbo);
}

static void test_fork_writes(void)
{
    TestBo tbo;
    int pid;

    make(&tbo, BYTES);
    check_intact(&tbo);
    pid = fork();
    if (pid == 0) {
        shrink_all();
        test_bo_fill(&tbo, 7);
        _exit(0);
    }
    CHECK_INT(wait_for(pid), ==, 0);
    tbo.generation = tbo.rewritten = 7;
    check_intact(&tbo);
    shrink_all();
    check_intact(&tbo);
}

static void test_fork_and_purge(void)
{
    TestBo tbo;
    int pid;

    make(&tbo, BYTES);
    dontneed(&tbo);
    shrink_all();
    pid = fork();
    if (pid == 0) {
        check_sigbus(&tbo);
        _exit(0);
    }
    CHECK_INT(wait_for(pid), ==, 0);
    CHECK(!willneed(&tbo));
    check_zero(&tbo);
}

/* Each process has a mapping of its own. */
static void test_two_processes(void)
{
    int pid, status;
    TestBo tbo;

    make(&tbo, BYTES);
    pid = fork();
    if (pid == 0) {
        int i;

        munmap(tbo.bo.map, BYTES);
        tbo.bo.map = map_anew(&tbo, BYTES, PROT_READ | PROT_WRITE,
                              MAP_SHARED);
        CHECK(tbo.bo.map != MAP_FAILED);
        for (i = 0; i < 20; i++) {
            check_intact(&tbo);
            shrink(PAGES);
        }
        _exit(0);
    }
    while (waitpid(pid, &status, WNOHANG) == 0) {
        check_intact(&tbo);
        shrink(PAGES);
    }
    CHECK_INT(status, ==, 0);
    check_host(&tbo);
}

static void test_mremap_moves(void)
{
    uint8_t *place, *moved;
    uint32_t i;
    TestBo tbo;

    make(&tbo, BYTES);
    place = mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    shrink_all();
    moved = mremap(tbo.bo.map, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED,
                   place);
    CHECK(moved == place);
    for (i = 0; i < PAGES; i += 2) {
        check_page(&tbo, moved + i * PAGE_BYTES, i);
    }
    tbo.bo.map = moved;
    shrink_all();
    check_intact(&tbo);
}

static void test_mremap_part(void)
{
    enum { FIRST = PAGES / 2 };
    uint8_t *place, *moved;
    uint32_t i;
    TestBo tbo;

    make(&tbo, BYTES);
    place = mmap(NULL, BYTES / 2, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                 0);
    moved = mremap(tbo.bo.map + FIRST * PAGE_BYTES, BYTES / 2, BYTES / 2,
                   MREMAP_MAYMOVE | MREMAP_FIXED, place);
    CHECK(moved == place);
    shrink_all();
    for (i = 0; i < FIRST; i++) {
        check_page(&tbo, tbo.bo.map + i * PAGE_BYTES, i);
        check_page(&tbo, moved + i * PAGE_BYTES, FIRST + i);
    }
}

static void test_mremap_grow_fails(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK(mremap(tbo.bo.map, BYTES, 2 * BYTES, MREMAP_MAYMOVE) == MAP_FAILED);
    shrink_all();
    check_intact(&tbo);
}

static void check_but(const TestBo *tbo, uint32_t from, uint32_t to)
{
    uint32_t i;

    for (i = 0; i < PAGES; i++) {
        if (i < from || i >= to) {
            check_page(tbo, tbo->bo.map + i * PAGE_BYTES, i);
        }
    }
}

static void test_unmap_front(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(munmap(tbo.bo.map, 8 * PAGE_BYTES), ==, 0);
    shrink_all();
    check_but(&tbo, 0, 8);
}

static void test_unmap_middle(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(munmap(tbo.bo.map + 21 * PAGE_BYTES, 10 * PAGE_BYTES), ==, 0);
    shrink_all();
    check_but(&tbo, 21, 31);
    shrink_all();
    check_but(&tbo, 21, 31);
}

static void test_unmap_end(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(munmap(tbo.bo.map + BYTES - PAGE_BYTES, PAGE_BYTES), ==, 0);
    shrink_all();
    check_but(&tbo, PAGES - 1, PAGES);
}

static void test_survives_gem_close(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    close_handle(&tbo);
    shrink_all();
    check_intact(&tbo);
    shrink_all();
    check_intact(&tbo);
    munmap(tbo.bo.map, BYTES);
}

static void test_survives_close(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    close(env.gpu);
    shrink_all();
    check_intact(&tbo);
}

static void test_private_einval(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK(map_anew(&tbo, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE) ==
          MAP_FAILED);
    CHECK_INT(errno, ==, EINVAL);
}

static void test_too_long_fails(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK(map_anew(&tbo, BYTES + PAGE_BYTES, PROT_READ, MAP_SHARED) ==
          MAP_FAILED);
    check_intact(&tbo);
}

static void test_shorter(void)
{
    uint8_t *map;
    TestBo tbo;

    make(&tbo, BYTES);
    map = map_anew(&tbo, 3 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED);
    CHECK(map != MAP_FAILED);
    shrink_all();
    check_page(&tbo, map, 0);
    check_page(&tbo, map + 2 * PAGE_BYTES, 2);
    munmap(map, 3 * PAGE_BYTES);
    check_intact(&tbo);
}

static void test_read_only_sigsegv(void)
{
    uint8_t *map;
    TestBo tbo;
    int pid;

    make(&tbo, BYTES);
    map = map_anew(&tbo, BYTES, PROT_READ, MAP_SHARED);
    CHECK(map != MAP_FAILED);
    shrink_all();
    check_page(&tbo, map + 5 * PAGE_BYTES, 5);
    pid = fork();
    if (pid == 0) {
        map[5] = 1;
        _exit(0);
    }
    CHECK_INT(WTERMSIG(wait_for(pid)), ==, SIGSEGV);
    check_intact(&tbo);
}

static void test_mprotect(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(mprotect(tbo.bo.map, BYTES, PROT_NONE), ==, 0);
    shrink_all();
    CHECK_INT(mprotect(tbo.bo.map, BYTES, PROT_READ), ==, 0);
    check_intact(&tbo);
    CHECK_INT(mprotect(tbo.bo.map, BYTES, PROT_READ | PROT_WRITE), ==, 0);
    test_bo_rewrite(&tbo, 3);
    shrink_all();
    check_intact(&tbo);
}

static void test_madvise_dontneed(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    /* Whether or not the kernel clears the page tables, no byte is lost. */
    madvise(tbo.bo.map, BYTES, MADV_DONTNEED);
    check_intact(&tbo);
    madvise(tbo.bo.map, BYTES, MADV_DONTNEED);
    shrink_all();
    check_intact(&tbo);
}

/* System calls that read and write mappings. */
static void test_syscalls(void)
{
    enum { LENGTH = 2 * PAGE_BYTES };
    int line[2];
    TestBo tbo;

    make(&tbo, BYTES);
    CHECK_INT(pipe(line), ==, 0);
    shrink_all();
    CHECK_INT(write(line[1], tbo.bo.map, LENGTH), ==, LENGTH);
    memset(tbo.bo.map, 0, LENGTH);
    shrink_all();
    CHECK_INT(read(line[0], tbo.bo.map, LENGTH), ==, LENGTH);
    check_intact(&tbo);
}

static void test_last_byte(void)
{
    TestBo tbo;

    make(&tbo, BYTES);
    shrink_all();
    tbo.bo.map[BYTES - 1] ^= 0xff;
    tbo.bo.map[BYTES - 1] ^= 0xff;
    check_intact(&tbo);
}

const TestCase tests_mapping[] = {
    { "mapping/two-in-one-process", test_two_in_one_process, 0 },
    { "mapping/fork-reads", test_fork_reads, 0 },
    { "mapping/fork-writes", test_fork_writes, 0 },
    { "mapping/fork-and-purge", test_fork_and_purge, 0 },
    { "mapping/two-processes", test_two_processes, 0 },
    { "mapping/mremap-moves", test_mremap_moves, 0 },
    { "mapping/mremap-part", test_mremap_part, 0 },
    { "mapping/mremap-grow-fails", test_mremap_grow_fails, 0 },
    { "mapping/unmap-front", test_unmap_front, 0 },
    { "mapping/unmap-middle", test_unmap_middle, 0 },
    { "mapping/unmap-end", test_unmap_end, 0 },
    { "mapping/survives-gem-close", test_survives_gem_close, 0 },
    { "mapping/survives-close", test_survives_close, 0 },
    { "mapping/private-einval", test_private_einval, 0 },
    { "mapping/too-long-fails", test_too_long_fails, 0 },
    { "mapping/shorter", test_shorter, 0 },
    { "mapping/read-only-sigsegv", test_read_only_sigsegv, 0 },
    { "mapping/mprotect", test_mprotect, 0 },
    { "mapping/madvise-dontneed", test_madvise_dontneed, 0 },
    { "mapping/syscalls", test_syscalls, 0 },
    { "mapping/last-byte", test_last_byte, 0 },
    { NULL, NULL, 0 },
};
