/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the driver's tests are made of. Each case runs in a process of its own,
 * which may die; after it the driver must have as much memory as before.
 */
#ifndef GUEST_TEST_H
#define GUEST_TEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "held.h"

#define KIB 1024u

#define DEBUGFS "/sys/kernel/debug/dri/0/"

/* What a case needs of the device or the guest, or else it is skipped. */
enum {
    NEEDS_3D      = 1 << 0,
    NEEDS_FEATURE = 1 << 1,     /* VIRTIO_GPU_F_RECLAIM */
    NEEDS_SWAP    = 1 << 2,
    /* For good or for bad, the driver has other memory after this case. */
    LEAVES_OTHER  = 1 << 3,
    NEEDS_NO_GPU  = 1 << 4,     /* nobody must have it open */
    NEEDS_BLOB    = 1 << 5,
    /* The kernel that looks for mistakes; others do not have the case. */
    NEEDS_DEBUG   = 1 << 6,
};

typedef struct TestCase {
    const char *name;           /* FILE/CASE */
    void (*run)(void);
    unsigned needs;
} TestCase;

/* Each ends with an entry without a name. */
extern const TestCase tests_madvise[];
extern const TestCase tests_purge[];
extern const TestCase tests_evict[];
extern const TestCase tests_mapping[];
extern const TestCase tests_shared[];
extern const TestCase tests_display[];
extern const TestCase tests_report[];
extern const TestCase tests_queue[];
extern const TestCase tests_host[];
extern const TestCase tests_stall[];
extern const TestCase tests_blob[];
extern const TestCase tests_stress[];
extern const TestCase tests_inject[];
extern const TestCase tests_lifecycle[];
extern const TestCase tests_kernel[];

/*
 * Run the cases whose names begin with @prefix and report them as TAP without
 * numbers. Returns false if that could not be done.
 */
bool tests_run(const char *prefix);

/* soak_run() by itself; false also if it could not be done. */
bool tests_soak(unsigned seconds, unsigned seed);

/* What the case may rely on; set before it runs. */
typedef struct TestEnv {
    int gpu;                    /* a render node of its own */
    bool is_3d;
    bool has_feature;
    bool has_swap;
    bool has_blob;
    bool is_debug;              /* the kernel looks for mistakes */
    size_t memory;              /* bytes that buffers and programs can have */
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

/* Compare integers and tell both when they are not as they should be. */
#define CHECK_INT(left, op, right) do { \
        long long l_ = (left), r_ = (right); \
        if (!(l_ op r_)) { \
            test_fail(__FILE__, __LINE__, "%s %s %s: %lld and %lld", #left, \
                      #op, #right, l_, r_); \
        } \
    } while (0)

/* A request of DRM; returns 0 or -errno. */
int drm_request(int fd, unsigned long request, void *arg);

/* A value from the driver's statistics. */
long long stat_of(const char *name);

/* A value of the kernel's from meminfo, in bytes; -1 if there is none. */
long long meminfo_of(const char *name);

/* A value of the process' own from fdinfo, in bytes; -1 if there is none. */
long long fdinfo_of(const char *key);

/* Have @pages reclaimed now; returns how many were. */
long long shrink(unsigned long pages);

/*
 * Have everything reclaimed that can be: what is marked is purged after that,
 * what is not pinned has no pages. Fails the case if it is not.
 */
void shrink_all(void);

/* Have the memory manager ask every shrinker, as it does when memory is short. */
void drop_caches(void);

/* A buffer that is filled and idle, its contents on the host. */
void make(Held *held, size_t bytes);
void make_from(int gpu, Held *held, uint32_t index, size_t bytes, BoKind kind);
void drop(Held *held);
/* Map @bytes of it once more; returns what mmap() does. */
void *map_anew(const Held *held, size_t bytes, int protection, int flags);
/* All of these at once. */
Held *make_many(unsigned count, size_t bytes);
void drop_many(Held *held, unsigned count);

/* Returns 0, or -errno if the advice is not taken. */
int advise_as(int gpu, const Held *held, uint32_t madv);
/* Advice that is expected to be taken. */
void mark(const Held *held);
/* Ask it back; returns whether it was retained. */
bool ask_back(const Held *held);

/* Every page is as it was last written, in the mapping or on the host. */
void check_intact(const Held *held);
void check_host(const Held *held);
/* It can be uploaded, and then every page is as it was written in both. */
void check_upload(const Held *held);
/* Every page reads as zero. */
void check_zero(const Held *held);
/* Touching any page is a SIGBUS. */
void check_faults(const Held *held);
/* The truth about @held, which was asked back with answer @retained. */
void check_truth(const Held *held, bool retained);

/* Take the driver from the device, which nobody uses, and unload it. */
void unload_driver(void);

/*
 * How often to try what is random: @count times, or fewer on the kernel that
 * looks for mistakes. It is slow, and finds them in what has happened, not in
 * what came of it.
 */
int rounds(int count);

/*
 * On the kernel that looks for mistakes, have less memory until the case ends:
 * to swap a page takes a millisecond there.
 */
void make_scarce(void);
/* How many buffers of @bytes take @percent of the memory there is. */
unsigned count_for(unsigned percent, size_t bytes);
/* A program that needs @percent of the memory there is lives. */
void check_app(unsigned percent);

/* Wait for a child of the case; returns its status as of waitpid(). */
int wait_for(int pid);

#endif
