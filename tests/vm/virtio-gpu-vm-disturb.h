/*
 * Guests with a virtio-gpu: what a host does to one that is busy
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_VM_VIRTIO_GPU_VM_DISTURB_H
#define TESTS_VM_VIRTIO_GPU_VM_DISTURB_H

#include "tests/qtest/libqtest.h"

/*
 * Do @what to the guest of @qts:
 *
 *   reset  reset the machine, which boots again
 *   stop   stop it for some seconds, and let it go on
 *   save   save its state in @file, which is made for it
 *   load   go back to that state
 *
 * Returns the answer to the guest's question, a line. NULL if the guest does
 * not wait for one: it was reset.
 */
const char *vm_disturb(QTestState *qts, const char *what, const char *file);

#endif
