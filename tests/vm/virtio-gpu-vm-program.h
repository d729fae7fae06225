/*
 * Guests with a virtio-gpu: programs that are no tests
 *
 * Such a program runs guests for its user: it says what happens on standard
 * error, and its exit status whether that is what it wanted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_VM_VIRTIO_GPU_VM_PROGRAM_H
#define TESTS_VM_VIRTIO_GPU_VM_PROGRAM_H

#include "virtio-gpu-vm-run.h"

/*
 * Whether @config can run on this machine; if not, a message says why. To be
 * called before any guest starts: libqtest is quiet from then on.
 */
bool vm_program_can_run(const VmConfig *config);

/* A VmProgress: seconds since the first line, the guest and the text. */
void vm_program_progress(const VmConfig *config, const char *text);

#endif
