/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The soak: processes and threads that do everything with buffers that can be
 * done, while others want memory, now much and now little. They stop together
 * and the books are compared: those of each process, of the driver and of the
 * device.
 */
#ifndef GUEST_SOAK_H
#define GUEST_SOAK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the workers are to do; each waits for the next. */
typedef enum SoakPhase {
    SOAK_WORK,          /* anything, at random */
    SOAK_MARK,          /* verify every buffer, then mark every third */
    SOAK_USE,           /* use another third, and tell what there is */
    SOAK_END,           /* verify every buffer again, and end */
} SoakPhase;

/* What has been done so far, and what came of it. */
typedef struct SoakCounts {
    atomic_ulong operations;
    atomic_ulong created, freed, uploads, downloads, copies, maps, exports;
    atomic_ulong marked, retained, purged;
    atomic_ulong good_pages;
    atomic_ulong denied;        /* requests for which there was no memory */
    atomic_ulong killed;        /* processes, on purpose */
    atomic_ulong hogs;          /* programs that wanted memory and lived */
    atomic_ulong corrupt;       /* pages */
    atomic_ulong errors;
} SoakCounts;

/* What the workers hold at the end, as they know, and what fdinfo says. */
typedef struct SoakBooks {
    atomic_ulong resident, evicted, purged;     /* buffers */
    atomic_ulong resident_bytes, evicted_bytes, purged_bytes;
    atomic_ulong fdinfo_total, fdinfo_resident, fdinfo_evicted;
} SoakBooks;

/* In memory that all processes share. */
typedef struct SoakState {
    _Atomic SoakPhase phase;
    atomic_uint arrived;        /* workers that are done with the phase */
    SoakCounts counts;
    SoakBooks books;
} SoakState;

/*
 * Soak for @seconds with the random numbers of @seed. What is found wrong is
 * reported in lines that begin with '#'. Reports 'soak' with what was done so
 * far, now and then, and at the end 'soaked'. Returns whether all was well.
 */
bool soak_run(unsigned seconds, uint64_t seed);

/* Tell what is wrong and count it; the first few are reported. */
void soak_wrong(SoakState *soak, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Process @number, of @threads that hold up to @bytes of buffers. If it is a
 * @victim it works on whatever the phase, until it is killed.
 */
void soak_work(SoakState *state, unsigned number, uint64_t seed,
               unsigned threads, size_t bytes, bool victim)
    __attribute__((noreturn));

/* A number below @limit, and the next state of @seed, which is not zero. */
uint32_t soak_random(uint64_t *seed, uint32_t limit);

/* The state of random numbers that begins stream @number of @seed. */
uint64_t soak_stream(uint64_t seed, unsigned number);

#endif
