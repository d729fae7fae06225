/*
 * Fuzzing virtio-gpu: make commands up
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Most commands are sound, and concern resources in a state in which they
 * make sense; some are sound and come at the wrong time; some are mutated.
 * All depends on the random numbers and on what the device answered so far.
 */

#ifndef TESTS_VIRTIO_GPU_FUZZ_GEN_H
#define TESTS_VIRTIO_GPU_FUZZ_GEN_H

#include "virtio-gpu-fuzz-model.h"

typedef struct FuzzGen FuzzGen;

FuzzGen *fuzz_gen_new(const FuzzModel *model);
void fuzz_gen_free(FuzzGen *gen);

/* A round starts: what follows depends on @rand and the answers alone. */
void fuzz_gen_start(FuzzGen *gen, GRand *rand);

/* A batch starts: what is believed of resources is what the model knows. */
void fuzz_gen_sync(FuzzGen *gen);

/*
 * Make a command and the room for its response. The bytes are the
 * generator's, good until the next call.
 */
const GByteArray *fuzz_gen_control(FuzzGen *gen, uint32_t *in_len);
const GByteArray *fuzz_gen_cursor(FuzzGen *gen);

/* virtio-gpu-fuzz-stream.c */

/* Append the body of a SUBMIT_3D that concerns the resources @ids. */
void fuzz_stream(GRand *rand, const uint32_t *ids, unsigned n, GByteArray *out);

#endif
