/*
 * Fuzzing virtio-gpu: batches of commands on a virtqueue
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Descriptors, commands and rings are written straight into the guest's RAM,
 * which is mapped here, so that a batch takes no more than one round trip to
 * QEMU: the notification.
 */

#ifndef TESTS_VIRTIO_GPU_FUZZ_QUEUE_H
#define TESTS_VIRTIO_GPU_FUZZ_QUEUE_H

#include "tests/qtest/libqos/virtio-gpu.h"

/* What the generator may give away as backing; commands are behind it. */
#define FUZZ_BACKING QVIRTIO_GPU_HEAP
#define FUZZ_BACKING_SIZE (96u << 20)

typedef struct FuzzCommand {
    uint8_t *out;               /* the command, in guest RAM */
    uint32_t out_len;
    const uint8_t *in;          /* the response */
    uint32_t in_len;            /* the room that it has */
    bool answered;
    uint32_t used_len;          /* what of it was written, says the device */
} FuzzCommand;

typedef struct FuzzQueue FuzzQueue;

/*
 * @vq must have been set up just now; @area is 0 or 1, another one for each
 * queue in use.
 */
FuzzQueue *fuzz_queue_new(QVirtioGPU *gpu, QVirtQueue *vq, unsigned area,
                          bool indirect);
void fuzz_queue_free(FuzzQueue *q);

/*
 * Add a command to the batch, in buffers cut by chance, or in one for each way
 * if @rand is NULL. Returns false if it does not fit any more.
 */
bool fuzz_queue_add(FuzzQueue *q, GRand *rand, const void *cmd, uint32_t len,
                    uint32_t in_len);

/* What can be wrong with a chain of descriptors. */
typedef enum FuzzBroken {
    FUZZ_LOOP,                  /* it never ends */
    FUZZ_NEXT,                  /* the next is behind the table */
    FUZZ_HEAD,                  /* so is the first */
    FUZZ_NO_RAM,                /* a buffer where there is nothing */
    FUZZ_TOO_LONG,              /* a buffer that ends there */
    FUZZ_EMPTY,                 /* a buffer of no bytes */
    FUZZ_ORDER,                 /* what is read comes after what is written */
    FUZZ_INDIRECT_SIZE,         /* half a descriptor in a table */
    FUZZ_INDIRECT_NO_RAM,       /* a table where there is nothing */
    FUZZ_INDIRECT_NESTED,       /* a table in a table */
    FUZZ_INDIRECT_NEXT,         /* a table, and then something else */
    FUZZ_BROKEN_KINDS,
} FuzzBroken;

/* Add a GET_DISPLAY_INFO, whose chain is broken, to an empty batch. */
void fuzz_queue_add_broken(FuzzQueue *q, FuzzBroken kind);

/* Let the device have the batch. */
void fuzz_queue_kick(FuzzQueue *q);

/* Wait until all is answered. Returns false if that takes too long. */
bool fuzz_queue_wait(FuzzQueue *q);

/* The same, or until the device says that it goes on after a reset only. */
bool fuzz_queue_wait_broken(FuzzQueue *q);

/* The commands of the batch. */
unsigned fuzz_queue_count(const FuzzQueue *q);
const FuzzCommand *fuzz_queue_get(const FuzzQueue *q, unsigned i);

/* Start the next batch. */
void fuzz_queue_clear(FuzzQueue *q);

#endif
