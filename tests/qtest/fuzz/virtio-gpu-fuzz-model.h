/*
 * Fuzzing virtio-gpu: what the device must answer, and what it must hold
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The model reads each command as the device does, judges the response, and
 * follows what the device says it did. It is told of commands in the order
 * in which the device carries them out. Where the protocol leaves a choice,
 * or a renderer decides, any response is fine; what it means is not.
 *
 * Requirements are in docs/specs/virtio-gpu-reclaim.rst.
 */

#ifndef TESTS_VIRTIO_GPU_FUZZ_MODEL_H
#define TESTS_VIRTIO_GPU_FUZZ_MODEL_H

#include "virtio-gpu-fuzz-queue.h"

#define FUZZ_SCANOUTS 2

typedef enum FuzzState {
    FUZZ_RESIDENT,
    FUZZ_EVICTED,
    FUZZ_PURGED,
    FUZZ_STATES,
} FuzzState;

typedef struct FuzzResource {
    FuzzState state;
    uint32_t width, height;
    uint32_t stride;            /* 2D device */
    uint64_t size;              /* 2D device: bytes of the image */
    uint64_t backing;           /* bytes attached ... */
    uint64_t entries;           /* ... in so many pieces */
} FuzzResource;

/* Numbers of "reclaim-stats" that only grow. */
typedef struct FuzzCounters {
    uint64_t attaches, detaches, purges, restores, errors;
} FuzzCounters;

typedef struct FuzzModel {
    bool gl;
    bool negotiated;
    uint64_t limit;             /* max_hostmem */
    GHashTable *resources;      /* id -> FuzzResource */
    GHashTable *contexts;       /* ids */
    uint32_t scanout[FUZZ_SCANOUTS];
    uint32_t cursor[FUZZ_SCANOUTS];
    FuzzCounters counters;
    /* A cursor was made of it while it was purged, if there was memory. */
    FuzzResource *maybe_restored;
    /*
     * A response had no room to say how it went: only a reset tells what there
     * is now.
     */
    bool lost;
    /* How it went so far. */
    uint64_t ok, errors, purged;
} FuzzModel;

FuzzModel *fuzz_model_new(bool gl, uint64_t limit);
void fuzz_model_free(FuzzModel *m);

/* The device was reset, and started with @negotiated or without. */
void fuzz_model_reset(FuzzModel *m, bool negotiated);

FuzzResource *fuzz_model_find(const FuzzModel *m, uint32_t id);

/*
 * Judge a response and follow it. Returns NULL, or what is wrong with it, to
 * be freed.
 */
char *fuzz_model_control(FuzzModel *m, const FuzzCommand *c);

/* Follow a command on the cursor queue, which has no responses. */
void fuzz_model_cursor(FuzzModel *m, const FuzzCommand *c);

/* To be called then, with "reclaim-stats", if m->maybe_restored is set. */
void fuzz_model_resolve(FuzzModel *m, QDict *stats);

/*
 * Compare with "reclaim-stats". Returns NULL, or what differs, to be freed.
 */
char *fuzz_model_compare(const FuzzModel *m, QDict *stats);

#endif
