/*
 * virtio-gpu fuzzer: generator of commands
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Most commands are valid and refer to resources in a suitable state; some are
 * valid but refer to resources in another state; some are mutated. Commands
 * depend only on the random numbers and the responses of the device.
 */

#ifndef TESTS_VIRTIO_GPU_FUZZ_GEN_H
#define TESTS_VIRTIO_GPU_FUZZ_GEN_H

#include "virtio-gpu-fuzz-model.h"

typedef struct FuzzGen FuzzGen;

FuzzGen *fuzz_gen_new(const FuzzModel *model);
void fuzz_gen_free(FuzzGen *gen);

/* Start a round, which depends only on @rand and the device's responses. */
void fuzz_gen_start(FuzzGen *gen, GRand *rand);

/* Start a batch: take over the states of resources from the model. */
void fuzz_gen_sync(FuzzGen *gen);

/*
 * Generate a command and the size of its response buffer. The command is owned
 * by the generator and valid until the next call.
 */
const GByteArray *fuzz_gen_control(FuzzGen *gen, uint32_t *in_len);
const GByteArray *fuzz_gen_cursor(FuzzGen *gen);

/* virtio-gpu-fuzz-stream.c */

/* Append the body of a SUBMIT_3D that refers to the resources @ids. */
void fuzz_stream(GRand *rand, const uint32_t *ids, unsigned n, GByteArray *out);

#endif
