/*
 * Guests with a virtio-gpu: a desktop under memory pressure
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_VM_VIRTIO_GPU_VM_SESSION_H
#define TESTS_VM_VIRTIO_GPU_VM_SESSION_H

#include "virtio-gpu-vm-run.h"

/* RAM and compressed swap of the guest, which is short of memory with them. */
#define VM_SESSION_RAM_MIB  512
#define VM_SESSION_ZRAM_MIB 512

/* A guest that swaps while its host is busy is slow, not stuck. */
#define VM_SESSION_KERNEL_OPTIONS \
    "watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120"

/*
 * In the guest @run, of vm_run_start_desktop(): weston, two windows that
 * glmark2 draws in, clients with textures and with buffers. Half of them stop,
 * and our driver's idle timer is on; then a program needs more memory than is
 * available, and the device's target becomes what the others use (a stock
 * device has none). What came back of the idle clients' memory is measured, and
 * the idle clients go on.
 *
 * What was found is the member host of the result, and its events. Returns
 * false if something failed, which is the problem of the result.
 */
bool vm_session_run(VmRun *run);

#endif
