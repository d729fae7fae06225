/*
 * virtio-gpu fuzzer: model of the protocol and the accounting
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The model checks the response to each command and updates its state with the
 * effects of the command. Commands must be passed in the order in which the
 * device processes them. If the response depends on the implementation or on a
 * renderer, the model accepts any, but not an effect that contradicts it.
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
    uint64_t entries;           /* ... in this many entries */
} FuzzResource;

/* Counters of "reclaim-stats". */
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
    /* A purged resource set as cursor: restored unless out of memory. */
    FuzzResource *maybe_restored;
    /* A stream since fuzz_model_resolve(): it restores what it uses. */
    bool streams;
    /*
     * A response buffer was too small for the type, so that the effect of the
     * command is unknown. The state is certain again after a reset.
     */
    bool uncertain;
    /* Number of successes, errors and purged resources. */
    uint64_t ok, errors, purged;
} FuzzModel;

FuzzModel *fuzz_model_new(bool gl, uint64_t limit);
void fuzz_model_free(FuzzModel *m);

/* Reset the model. @negotiated: the driver has negotiated the feature. */
void fuzz_model_reset(FuzzModel *m, bool negotiated);

FuzzResource *fuzz_model_find(const FuzzModel *m, uint32_t id);

/*
 * Check a response and update the model. Returns NULL, or an error message, to
 * be freed.
 */
char *fuzz_model_control(FuzzModel *m, const FuzzCommand *c);

/* Update the model with a cursor command, which has no response. */
void fuzz_model_cursor(FuzzModel *m, const FuzzCommand *c);

/*
 * Find out by "reclaim-stats" whether m->maybe_restored was restored. If a
 * stream may have restored resources instead, the state is uncertain from here
 * on.
 */
void fuzz_model_resolve(FuzzModel *m, QDict *stats);

/*
 * Compare with "reclaim-stats". Returns NULL, or an error message, to be freed.
 */
char *fuzz_model_compare(const FuzzModel *m, QDict *stats);

#endif
