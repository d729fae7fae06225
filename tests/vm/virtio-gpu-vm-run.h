/*
 * Guests with a virtio-gpu: running them
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_VM_VIRTIO_GPU_VM_RUN_H
#define TESTS_VM_VIRTIO_GPU_VM_RUN_H

#include "virtio-gpu-vm-config.h"
#include "virtio-gpu-vm-result.h"

/* As many guests at a time as a small machine has processors. */
#define VM_JOBS 2

typedef struct VmRun VmRun;

/* Called with what happens in a run, one line at a time. */
typedef void VmProgress(const VmConfig *config, const char *text);

/*
 * Run all of @configs, at most @jobs at a time and started in this order, all
 * in the calling thread. @progress may be NULL. Returns @count runs in the same
 * order: free each with vm_run_free() and the array with g_free(). @configs
 * must outlive them.
 */
VmRun **vm_run_all(const VmConfig *configs, size_t count, unsigned jobs,
                   VmProgress *progress);
const VmResult *vm_run_result(const VmRun *run);

/* The file with all that the guest's kernel and workload reported. */
const char *vm_run_log(const VmRun *run);

/*
 * Write the results of @runs, which are @count and of @configs, to the file
 * @path; see vm_results_write().
 */
bool vm_runs_write(const char *path, const VmConfig *configs, VmRun **runs,
                   size_t count);

void vm_run_free(VmRun *run);

/* A print handler for GLib: libqtest's lines about starting QEMU go nowhere. */
void vm_print_nothing(const char *text);

#endif
