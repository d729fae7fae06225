/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test harness. Each case runs in a process of its own, which may die; after
 * it the driver must account as much memory as before.
 */
#ifndef GUEST_TEST_H
#define GUEST_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "testbo.h"

#define KIB 1024u

/* Requirements of a case; without them it is skipped. */
enum {
    NEEDS_3D      = 1 << 0,
    NEEDS_FEATURE = 1 << 1,     /* no limit of a buffer's size; see TestEnv */
    NEEDS_SWAP    = 1 << 2,
    /* The case unbinds or reloads the driver: do not compare its totals. */
    CHANGES_DRIVER  = 1 << 3,
    NEEDS_NO_GPU  = 1 << 4,     /* no process may have it open */
    NEEDS_BLOB    = 1 << 5,
    NEEDS_MOVABLE = 1 << 7,     /* a block of movable memory */
    /* The debug kernel; others do not list the case. */
    NEEDS_DEBUG   = 1 << 6,
    /* virtio-gpu or vgem; the other one does not list the case. */
    NEEDS_VIRTIO  = 1 << 8,
    NEEDS_VGEM    = 1 << 9,
    NEEDS_ROOM    = 1 << 10,    /* no limit of the memory of all buffers */
};

typedef struct TestCase {
    const char *name;           /* GROUP/CASE */
    void (*run)(void);
    unsigned needs;
} TestCase;

/* Each ends with an entry without a name. */
extern const TestCase tests_madvise[];
extern const TestCase tests_create[];
extern const TestCase tests_memcg[];
extern const TestCase tests_on_demand[];
extern const TestCase tests_idle[];
extern const TestCase tests_purge[];
extern const TestCase tests_evict[];
extern const TestCase tests_mapping[];
extern const TestCase tests_export[];
extern const TestCase tests_display[];
extern const TestCase tests_report[];
extern const TestCase tests_queue[];
extern const TestCase tests_host[];
extern const TestCase tests_stall[];
extern const TestCase tests_blob[];
extern const TestCase tests_config[];
extern const TestCase tests_stress[];
extern const TestCase tests_inject[];
extern const TestCase tests_lifecycle[];
extern const TestCase tests_vgem[];
extern const TestCase tests_kernel[];

/*
 * Run the cases whose names begin with one of @prefixes, which commas separate,
 * and report them as TAP without numbers. Returns false on failure to run them.
 */
bool tests_run(const char *prefixes);

/* Run soak_run(); returns false on failure. */
bool tests_soak(unsigned seconds, unsigned seed);

/* Environment of a case; set before it runs. */
typedef struct TestEnv {
    int gpu;                    /* a render node */
    bool is_vgem;
    bool is_3d;
    bool has_feature;           /* VIRTIO_GPU_F_RECLAIM, or vgem */
    bool has_room;              /* not a 2D device, which has a limit */
    /* Exported buffers are pinned for life: the device shows the pages. */
    bool export_pins;
    bool has_swap;
    bool has_blob;
    bool has_movable;           /* memory for movable pages only */
    bool is_debug;              /* a debug kernel */
    size_t memory;              /* bytes available to buffers and programs */
} TestEnv;

extern TestEnv env;

/* These end the case. */
void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));
void test_skip(const char *why) __attribute__((noreturn));

#define CHECK(condition) do { \
        if (!(condition)) { \
            test_fail(__FILE__, __LINE__, "%s", #condition); \
        } \
    } while (0)

/* Compare integers; a failure reports both. */
#define CHECK_INT(left, op, right) do { \
        long long l_ = (left), r_ = (right); \
        if (!(l_ op r_)) { \
            test_fail(__FILE__, __LINE__, "%s %s %s: %lld and %lld", #left, \
                      #op, #right, l_, r_); \
        } \
    } while (0)

/* Parameters of the modules; set to their defaults before each case. */
#define IDLE_MS   "/sys/module/drm_gem_shmem_reclaim/parameters/idle_ms"
#define ON_DEMAND "/sys/module/virtio_gpu/parameters/pages_on_demand"

/* Write @text to a file that exists. */
bool write_file(const char *path, const char *text);

/* A value from the driver's statistics; the same of the device with @dir. */
long long stat_of(const char *name);
long long stat_in(const char *dir, const char *name);

/* A value from meminfo, in bytes. */
long long meminfo_of(const char *name);
/*
 * The number after @name in a line of the file @path, as it is; the last one, -1
 * if there is none.
 */
long long number_in(const char *path, const char *name);

/* A value from the process' own fdinfo, in bytes; -1 if there is none. */
long long fdinfo_of(const char *key);

/* Reclaim @pages now; returns how many were reclaimed. */
long long shrink(unsigned long pages);

/*
 * Reclaim everything: afterwards all DONTNEED buffers are purged, and only
 * pinned ones are resident. Fails the case otherwise.
 */
void shrink_all(void);

/*
 * Ask for @pages, and expect @expected to be reclaimed. Skips the case if the
 * device responds too late for that.
 */
void check_shrink(unsigned long pages, long long expected);

/* Wait until a value of the driver's statistics is @value. */
void wait_for_stat(const char *name, long long value);

/* Run every shrinker, as under memory pressure. */
void drop_caches(void);

/* Create a buffer that is filled, uploaded and idle. */
void make(TestBo *tbo, size_t bytes);
void make_from(int gpu, TestBo *tbo, uint32_t index, size_t bytes, BoKind kind);
void release(TestBo *tbo);
/* Map @bytes of it once more; returns the result of mmap(). */
void *map_anew(const TestBo *tbo, size_t bytes, int protection, int flags);
/* The same for many buffers. */
TestBo *make_many(unsigned count, size_t bytes);
void release_many(TestBo *tbo, unsigned count);

/* Returns 0, or -errno. */
int madvise_as(int gpu, const TestBo *tbo, uint32_t madv);
/* Mark it DONTNEED, which must succeed. */
void dontneed(const TestBo *tbo);
/* Mark it WILLNEED; returns whether it is retained. */
bool willneed(const TestBo *tbo);

/* Every page is as last written, in the mapping or on the host. */
void check_intact(const TestBo *tbo);
void check_host(const TestBo *tbo);
/* Upload it, and check every page in both. */
void check_upload(const TestBo *tbo);
/* Every page reads as zero. */
void check_zero(const TestBo *tbo);
/* Access to any page raises SIGBUS. */
void check_sigbus(const TestBo *tbo);
/* The contents match the result @retained of WILLNEED. */
void check_contents(const TestBo *tbo, bool retained);

/* Unbind the driver; bind it to @device again, the GPU's name on its bus. */
void driver_unbind(void);
void driver_bind(const char *device);
void driver_get_device(char *name, size_t size);

/* Unbind the driver, which must not be in use, and unload it. */
void unload_driver(void);

/*
 * Rounds of a randomized case: @count, or fewer on the debug kernel, which is
 * slow.
 */
int rounds(int count);

/*
 * On the debug kernel, lock most memory until the case ends: swapping a page
 * takes a millisecond there.
 */
void limit_memory(void);
/*
 * Limit the memory, without swap, that is charged to the calling process from
 * now on, by a memory cgroup.
 */
void limit_own_memory(unsigned mib);
/*
 * From now on charge what the calling process allocates to a memory cgroup of
 * its own, for swap_own_memory().
 */
void charge_own_memory(void);
/* Swap what is charged to it until at most @shmem bytes of shmem are left. */
void swap_own_memory(long long shmem);
/* The number of buffers of @bytes that take @percent of the memory. */
unsigned count_for(unsigned percent, size_t bytes);
/* A memory hog of @percent of the memory survives. */
void check_memory_hog(unsigned percent);

/*
 * A memory hog that locks @percent of the memory survives, and increases a value
 * of the driver's statistics. (Of one that does not lock it the kernel may swap
 * the pages, instead of buffers.)
 */
void press_locked(const char *name, unsigned percent);

/* Whether a task sleeps in the system call @number, or in a page fault. */
#define IN_PAGE_FAULT (-1)
bool is_blocked(int pid, int number);

/* Wait for a child of the case; returns its status as of waitpid(). */
int wait_for(int pid);

#endif
