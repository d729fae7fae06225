/*
 * Guests with a virtio-gpu: runner
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_VM_VIRTIO_GPU_VM_RUN_H
#define TESTS_VM_VIRTIO_GPU_VM_RUN_H

#include "virtio-gpu-vm-config.h"
#include "virtio-gpu-vm-result.h"

/* Default number of concurrent guests. */
#define VM_JOBS 2

typedef struct VmRun VmRun;

/* Callback for the progress of a run, a line of text per call. */
typedef void VmProgress(const VmConfig *config, const char *text);

/*
 * Run @configs in this order, at most @jobs concurrently, in the calling
 * thread. @progress may be NULL. Returns @count runs in the same order: free
 * each with vm_run_free() and the array with g_free(). @configs must outlive
 * them.
 */
VmRun **vm_run_all(const VmConfig *configs, size_t count, unsigned jobs,
                   VmProgress *progress);
const VmResult *vm_run_result(const VmRun *run);

/* Path of the log of the guest's kernel and workload. */
const char *vm_run_log(const VmRun *run);

/*
 * Write the results of the @count @runs of @configs to the file @path; see
 * vm_results_write().
 */
bool vm_runs_write(const char *path, const VmConfig *configs, VmRun **runs,
                   size_t count);

void vm_run_free(VmRun *run);

/* A print handler for GLib that drops libqtest's messages about QEMU. */
void vm_print_nothing(const char *text);

#endif
