/*
 * Guests with a virtio-gpu: runner
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_VM_VIRTIO_GPU_VM_RUN_H
#define TESTS_VM_VIRTIO_GPU_VM_RUN_H

#include "tests/qtest/libqtest.h"
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

/*
 * Start a guest of the scenario DESKTOP, and wait until it does what
 * vm_run_ask() asks for. Check vm_run_result() for a problem. @progress may be
 * NULL, @config must outlive the run. Stop it with vm_run_stop(), free it with
 * vm_run_free().
 *
 * Whatever waits for one guest processes what the others have to say, too, and
 * samples all.
 */
VmRun *vm_run_start_desktop(const VmConfig *config, VmProgress *progress);

/*
 * Send a request (see tests/desktop/init) and wait for its answer: what follows
 * "answer", to be freed with g_free(). NULL if it failed, which is the problem
 * of the result then, or if the result had a problem already.
 */
char *vm_run_ask(VmRun *run, const char *format, ...) G_GNUC_PRINTF(2, 3);

/*
 * Wait until @ready returns true; it is called after each sample of the host.
 * Returns whether it did before the time after which a guest counts as hanging.
 */
bool vm_run_until(VmRun *run, bool (*ready)(VmRun *run, void *opaque),
                  void *opaque);

/* Let @ms milliseconds pass. */
void vm_run_for(VmRun *run, unsigned ms);

/* Times of samples and events in results count from now. */
void vm_run_begin_timeline(VmRun *run);

/* The RssAnon that the QEMUs of a group can have, for the picture. */
void vm_run_set_rss_anon_limit(VmRun *run, uint64_t bytes);

/* Add an event to the timeline. */
void vm_run_mark(VmRun *run, VmSeverity severity, const char *text);

/* Processor time that QEMU has used. */
double vm_run_cpu_seconds(const VmRun *run);

/* RssAnon of QEMU now, in bytes. */
uint64_t vm_run_rss_anon(const VmRun *run);

/*
 * The device's reclaim-stats, to be freed with qobject_unref(); NULL if the
 * device is a stock one.
 */
QDict *vm_run_device_stats(VmRun *run);

/* Set the device's hostmem-target to @bytes; a stock device has none. */
void vm_run_set_target(VmRun *run, uint64_t bytes);

/* The connection to QEMU; valid until vm_run_stop(). */
QTestState *vm_run_qts(const VmRun *run);

/* End the guest and QEMU. */
void vm_run_stop(VmRun *run);

/*
 * The result; its stats are those of the last sample of the host, four times a
 * second.
 */
const VmResult *vm_run_result(const VmRun *run);

/* Where a scenario on the host writes what it finds. */
VmHostResult *vm_run_host(VmRun *run);

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
