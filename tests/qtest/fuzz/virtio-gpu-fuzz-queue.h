/*
 * virtio-gpu fuzzer: batches of commands on a virtqueue
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Descriptors, commands and rings are written to guest RAM, which is mapped
 * into the test: a batch takes only one qtest command, the notification.
 */

#ifndef TESTS_VIRTIO_GPU_FUZZ_QUEUE_H
#define TESTS_VIRTIO_GPU_FUZZ_QUEUE_H

#include "tests/qtest/libqos/virtio-gpu.h"

/* Guest memory for backing; the queues' buffers follow. */
#define FUZZ_BACKING QVIRTIO_GPU_HEAP
#define FUZZ_BACKING_SIZE (96u << 20)

typedef struct FuzzCommand {
    uint8_t *out;               /* the command, in guest RAM */
    uint32_t out_len;
    const uint8_t *in;          /* the response */
    uint32_t in_len;            /* size of the response buffer */
    bool completed;
    uint32_t used_len;          /* written bytes, as reported by the device */
} FuzzCommand;

typedef struct FuzzQueue FuzzQueue;

/*
 * @vq must be newly set up. @area is 0 or 1 and selects the buffers, which are
 * different for each queue in use.
 */
FuzzQueue *fuzz_queue_new(QVirtioGPU *gpu, QVirtQueue *vq, unsigned area,
                          bool indirect);
void fuzz_queue_free(FuzzQueue *q);

/*
 * Add a command to the batch, split into buffers at random, or in one buffer
 * for each direction if @rand is NULL. Returns false if the batch is full.
 */
bool fuzz_queue_add(FuzzQueue *q, GRand *rand, const void *cmd, uint32_t len,
                    uint32_t in_len);

/* Types of invalid descriptor chains. */
typedef enum FuzzBroken {
    FUZZ_LOOP,                  /* endless chain */
    FUZZ_NEXT,                  /* next is beyond the table */
    FUZZ_HEAD,                  /* head is beyond the table */
    FUZZ_NO_RAM,                /* buffer at an unmapped address */
    FUZZ_TOO_LONG,              /* buffer that ends beyond RAM */
    FUZZ_EMPTY,                 /* buffer of 0 bytes */
    FUZZ_ORDER,                 /* readable after writable buffer */
    FUZZ_INDIRECT_SIZE,         /* partial descriptor in a table */
    FUZZ_INDIRECT_NO_RAM,       /* table at an unmapped address */
    FUZZ_INDIRECT_NESTED,       /* nested tables */
    FUZZ_INDIRECT_NEXT,         /* table and a next descriptor */
    FUZZ_BROKEN_TYPES,
} FuzzBroken;

/* Add a GET_DISPLAY_INFO with an invalid chain to an empty batch. */
void fuzz_queue_add_broken(FuzzQueue *q, FuzzBroken type);

/* Make the batch available and notify the device. */
void fuzz_queue_kick(FuzzQueue *q);

/* Wait until all commands are completed. Returns false on timeout. */
bool fuzz_queue_wait(FuzzQueue *q);

/* The same, or until the device sets VIRTIO_CONFIG_S_NEEDS_RESET. */
bool fuzz_queue_wait_broken(FuzzQueue *q);

/* Commands of the batch, in the order they were added. */
unsigned fuzz_queue_count(const FuzzQueue *q);
const FuzzCommand *fuzz_queue_get(const FuzzQueue *q, unsigned i);

/* Start a new batch. */
void fuzz_queue_clear(FuzzQueue *q);

#endif
