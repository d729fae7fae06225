/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The soak: processes and threads that perform all operations on buffers
 * concurrently, under memory pressure that varies. Then they stop, and the
 * totals of each process, of the driver and of the device are compared.
 */
#ifndef GUEST_SOAK_H
#define GUEST_SOAK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Phases of the workers, which wait for each transition. */
typedef enum SoakPhase {
    SOAK_WORK,          /* random operations */
    SOAK_DONTNEED,      /* verify every buffer, mark every third DONTNEED */
    SOAK_USE,           /* use another third, and add up the totals */
    SOAK_END,           /* verify every buffer again, and exit */
} SoakPhase;

/* virtio-gpu and vgem; those that are loaded take part. */
#define SOAK_DRIVERS 2
enum { SOAK_VIRTIO, SOAK_VGEM };

/* Operations so far, and their results. */
typedef struct SoakCounts {
    atomic_ulong operations;
    atomic_ulong created, freed, uploads, downloads, copies, maps, exports;
    atomic_ulong unbacked;      /* textures that had no pages at first */
    atomic_ulong attached;      /* exported buffers that vgem was attached to */
    atomic_ulong marked, retained, purged;
    atomic_ulong good_pages;
    atomic_ulong denied;        /* requests that failed with -ENOMEM */
    atomic_ulong killed;        /* processes killed on purpose */
    atomic_ulong hogs;          /* memory hogs that survived */
    atomic_ulong corrupt;       /* pages */
    atomic_ulong errors;
} SoakCounts;

/* What a driver's workers hold at the end, by their own count and by fdinfo. */
typedef struct SoakTotals {
    atomic_ulong resident, evicted, purged;     /* buffers */
    atomic_ulong resident_bytes, evicted_bytes, purged_bytes;
    atomic_ulong fdinfo_total, fdinfo_resident, fdinfo_evicted;
} SoakTotals;

/* In memory shared by all processes. */
typedef struct SoakState {
    _Atomic SoakPhase phase;
    atomic_uint arrived;        /* workers that have finished the phase */
    SoakCounts counts;
    SoakTotals totals[SOAK_DRIVERS];
} SoakState;

/* Use the driver with this number from now on; false if it is not loaded. */
bool soak_select_driver(unsigned number);

/*
 * Soak for @seconds with the random numbers of @seed. Errors are reported in
 * lines that begin with '#'. Reports 'soak' with the counts periodically, and
 * 'soaked' at the end. Returns whether there were no errors.
 */
bool soak_run(unsigned seconds, uint64_t seed);

/* Count an error; the first few are reported. */
void soak_error(SoakState *soak, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Run worker @number, with @threads that hold up to @bytes of buffers of
 * @driver. A @victim works regardless of the phase, until it is killed.
 */
void soak_work(SoakState *state, unsigned number, unsigned driver,
               uint64_t seed, unsigned threads, size_t bytes, bool victim)
    __attribute__((noreturn));

/* A random number below @limit; @seed, which is not zero, is advanced. */
uint32_t soak_random(uint64_t *seed, uint32_t limit);

/* The initial state of random number stream @number of @seed. */
uint64_t soak_stream(uint64_t seed, unsigned number);

#endif
