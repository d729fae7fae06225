/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Eviction of buffers that are not used, without memory pressure, and what the
 * memory manager can do with their pages then.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

#define BYTES   (256 * KIB)
#define MIB     (1024 * KIB)
#define BLOCKS  "/sys/devices/system/memory/"

/* A bound that only a hang exceeds: each attempt may take some seconds. */
#define BLOCK_MS 20000

/* Movable memory is used, and the timer never expires. */
#define AN_HOUR 3600000u

static void set_idle(unsigned ms)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", ms);
    CHECK(write_file(IDLE_MS, text));
}

static void test_evicts(void)
{
    enum { COUNT = 4 };
    long long pinned = stat_of("pinned_bytes");
    TestBo *tbo;
    int i;

    set_idle(20);
    tbo = make_many(COUNT, BYTES);
    wait_for_stat("evicted_bytes", COUNT * BYTES);
    CHECK_INT(stat_of("resident_bytes"), ==, pinned);
    for (i = 0; i < COUNT; i++) {
        check_upload(&tbo[i]);
    }
    wait_for_stat("evicted_bytes", COUNT * BYTES);
    for (i = 0; i < COUNT; i++) {
        check_intact(&tbo[i]);
    }
    release_many(tbo, COUNT);
}

/* What user space does not need is left for memory pressure. */
static void test_does_not_purge(void)
{
    TestBo marked, other;

    set_idle(20);
    make(&marked, BYTES);
    dontneed(&marked);
    make(&other, BYTES);
    wait_for_stat("evicted_bytes", BYTES);
    CHECK_INT(stat_of("dontneed_bytes"), ==, BYTES);
    CHECK(willneed(&marked));
    check_intact(&marked);
    check_intact(&other);
}

/* Buffers that are used all the time lose nothing. */
static void test_in_use(void)
{
    int round, i;
    enum { COUNT = 8 };
    TestBo *tbo;

    set_idle(1);
    tbo = make_many(COUNT, BYTES);
    for (round = 1; round <= rounds(20); round++) {
        for (i = 0; i < COUNT; i++) {
            test_bo_fill(&tbo[i], round);
            CHECK_INT(bo_upload(env.gpu, &tbo[i].bo), ==, 0);
        }
        for (i = 0; i < COUNT; i++) {
            check_intact(&tbo[i]);
            check_host(&tbo[i]);
        }
    }
    release_many(tbo, COUNT);
}

/* Movable memory: ZONE_MOVABLE, in bytes. */
typedef struct Movable {
    long long managed, free;
} Movable;

static Movable movable_memory(void)
{
    FILE *file = fopen("/proc/zoneinfo", "r");
    Movable movable = { 0 };
    bool inside = false;
    char line[128];
    long long pages;

    CHECK(file);
    while (fgets(line, sizeof(line), file)) {
        if (strstr(line, ", zone ")) {
            inside = strstr(line, "Movable");
        } else if (inside && sscanf(line, " pages free %lld", &pages) == 1) {
            movable.free = pages * PAGE_BYTES;
        } else if (inside && sscanf(line, " managed %lld", &pages) == 1) {
            movable.managed = pages * PAGE_BYTES;
        }
    }
    fclose(file);
    return movable;
}

static long long block_bytes(void)
{
    FILE *file = fopen(BLOCKS "block_size_bytes", "r");
    long long bytes = 0;

    CHECK(file);
    CHECK_INT(fscanf(file, "%llx", &bytes), ==, 1);
    fclose(file);
    return bytes;
}

/* The directory of a block that is all in movable memory. */
static void find_block(char *path, size_t size)
{
    FILE *list = popen("grep -lx Movable " BLOCKS "memory*/valid_zones", "r");

    CHECK(list && fgets(path, size, list));
    pclose(list);
    path[strcspn(path, "\n")] = '\0';
    *strrchr(path, '/') = '\0';
}

static void set_block(const char *block, const char *state)
{
    char path[120];
    bool done = false;
    int waited;

    snprintf(path, sizeof(path), "%s/state", block);
    /* A page may be in use for a moment. */
    for (waited = 0; waited < BLOCK_MS && !done; waited += 1000) {
        done = write_file(path, state);
        usleep(10000);
    }
    CHECK(done);
}

/* Buffers that take @bytes of memory, resident. */
static TestBo *make_bytes(long long bytes, unsigned *count)
{
    *count = bytes / BYTES;
    return make_many(*count, BYTES);
}

/*
 * Memory full of buffers goes offline, also if these are resident: they are
 * evicted first.
 */
static void test_memory_offline(void)
{
    Movable before = movable_memory();
    unsigned count, i;
    char block[100];
    TestBo *tbo;

    set_idle(AN_HOUR);
    find_block(block, sizeof(block));
    tbo = make_bytes(before.free - 24 * MIB, &count);
    CHECK_INT(stat_of("willneed_bytes"), ==, (long long)count * BYTES);
    /* More than fits beside the block. */
    CHECK_INT(before.managed - movable_memory().free, >,
              before.managed - block_bytes());
    set_block(block, "offline");
    for (i = 0; i < count; i++) {
        check_intact(&tbo[i]);
    }
    for (i = 0; i < count; i += 16) {
        check_upload(&tbo[i]);
    }
    set_block(block, "online_movable");
    release_many(tbo, count);
}

/* Without the timer they are never there: nothing would move them away. */
static void test_not_movable(void)
{
    Movable before = movable_memory();
    unsigned count;
    TestBo *tbo = make_bytes(48 * MIB, &count);

    CHECK_INT(before.free - movable_memory().free, <, 24 * MIB);
    release_many(tbo, count);
}

/* Free blocks of the largest order in movable memory. */
static int largest_blocks(void)
{
    char line[256];
    int blocks = -1;
    FILE *file;

    CHECK(write_file("/proc/sys/vm/compact_memory", "1"));
    file = fopen("/proc/buddyinfo", "r");
    CHECK(file);
    while (fgets(line, sizeof(line), file)) {
        if (strstr(line, "Movable")) {
            line[strcspn(line, "\n") - 1] = '\0';
            blocks = atoi(strrchr(line, ' '));
        }
    }
    fclose(file);
    return blocks;
}

/* Compaction moves the pages of evicted buffers together. */
static void test_compaction(void)
{
    Movable before = movable_memory();
    unsigned count, i;
    int resident;
    TestBo *tbo;

    set_idle(AN_HOUR);
    tbo = make_bytes(before.free - 24 * MIB, &count);
    for (i = 0; i < count; i += 2) {
        release(&tbo[i]);
    }
    wait_for_stat("bo_bytes", stat_of("pinned_bytes") +
                  (long long)(count / 2) * BYTES);
    resident = largest_blocks();
    shrink_all();
    CHECK_INT(largest_blocks(), >, resident + 4);
    for (i = 1; i < count; i += 2) {
        check_intact(&tbo[i]);
        release(&tbo[i]);
    }
    free(tbo);
}

const TestCase tests_idle[] = {
    { "idle/evicts", test_evicts, 0 },
    { "idle/does-not-purge", test_does_not_purge, 0 },
    { "idle/in-use", test_in_use, 0 },
    { "idle/memory-offline", test_memory_offline, NEEDS_MOVABLE },
    { "idle/not-movable", test_not_movable, NEEDS_MOVABLE },
    { "idle/compaction", test_compaction, NEEDS_MOVABLE },
    { NULL, NULL, 0 },
};
