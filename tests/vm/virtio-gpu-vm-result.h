/*
 * Guests with a virtio-gpu: what came of a run
 *
 * A result is made of the lines that the guest reports (tests/guest/README.md),
 * its kernel's log, and samples of the device's statistics and of QEMU's
 * memory. One JSON format holds the results of all programs that boot guests;
 * scripts/steps/plot.py reads it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_VM_VIRTIO_GPU_VM_RESULT_H
#define TESTS_VM_VIRTIO_GPU_VM_RESULT_H

#include "qapi/qmp/qdict.h"
#include "virtio-gpu-vm-config.h"

/* From the device's property reclaim-stats. */
typedef struct VmStats {
    bool known;             /* a stock device has no such property */
    uint64_t host_bytes;
    uint64_t host_bytes_limit;
    uint64_t resident;      /* resources */
    uint64_t evicted;
    uint64_t purged;
    uint64_t backing_bytes; /* guest memory of the resident ones */
    uint64_t released_bytes;
    uint64_t attaches;
    uint64_t detaches;
    uint64_t purges;
} VmStats;

/* One moment; what was not measured then is not a number. */
typedef struct VmSample {
    double seconds;         /* since QEMU was started */
    double mem_available;   /* in bytes, as all that follows; in the guest */
    double swap_used;
    double bo;              /* buffers that the GPU client has */
    double resident;        /* according to the guest's driver */
    double evicted;
    double purged;
    double rss_anon;        /* of QEMU */
} VmSample;

typedef enum VmSeverity {
    VM_EVENT_INFO,
    VM_EVENT_GOOD,
    VM_EVENT_BAD,
} VmSeverity;

/* A mark on the time line. */
typedef struct VmEvent {
    double seconds;
    VmSeverity severity;
    char *text;
} VmEvent;

typedef struct VmResult {
    char *problem;              /* why the run is void; NULL if it ended */
    char *qemu;                 /* its version */
    char *kernel;
    char *renderer;
    unsigned bo_mib_reached;
    bool hog_ran;
    bool hog_survived;
    bool client_survived;
    unsigned boots;             /* of one kernel or another */
    unsigned oom_kills;
    unsigned kernel_complaints;
    unsigned errors;            /* GPU requests that failed */
    uint64_t good_pages;
    uint64_t zero_pages;        /* of purged buffers, as they should be */
    uint64_t corrupt_pages;
    unsigned purged_bos;
    unsigned retained_bos;
    unsigned unpressured_bos;   /* retained while memory was not short */
    uint64_t host_purged_bytes;
    /*
     * QEMU's with all buffers uploaded, and the least since then and until
     * the purge was over. If the workload did not come that far, its last one.
     */
    uint64_t rss_anon_before;
    uint64_t rss_anon_after;
    VmStats stats;              /* the last ones */
    char *soak_report;          /* its last one, "name=value ..." */
    bool soak_finished;
    unsigned soak_findings;     /* lines about what is wrong */
    double seconds;             /* duration of the run */
    double work_started;        /* seconds after the start of QEMU */
    bool work_done;             /* the workload has reported its result */
    GArray *samples;            /* of VmSample */
    GArray *events;             /* of VmEvent */
} VmResult;

void vm_result_init(VmResult *result);
void vm_result_destroy(VmResult *result);

/* The run is void because of @format; the first reason is kept. */
void vm_result_fail(VmResult *result, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

/* Append @sample, unless the workload is done. */
void vm_result_add_sample(VmResult *result, VmSample sample);

/* Take over the device's @stats; NULL from a stock device. */
void vm_result_set_stats(VmResult *result, QDict *stats);

/*
 * Take over one line of the guest's log or report, which came @seconds after
 * the start of QEMU. @event is the line's first word, @values are the others.
 */
void vm_result_handle_console(VmResult *result, const VmConfig *config,
                              double seconds, const char *line);
void vm_result_handle_report(VmResult *result, const VmConfig *config,
                             double seconds, const char *event,
                             const char *values);

/* What @name=value in a soak's last report is; 0 if there is none. */
uint64_t vm_result_soak_value(const VmResult *result, const char *name);

/*
 * Whether QEMU's memory has fallen by what was purged on the host, but for a
 * few percent, since all buffers were uploaded.
 */
bool vm_result_purge_returned(const VmResult *result);

/*
 * The outcome in a word: "survives", or what happened instead: "void",
 * "killed", "stopped", "corrupt".
 */
const char *vm_result_outcome(const VmConfig *config, const VmResult *result);
bool vm_result_survives(const VmConfig *config, const VmResult *result);

/*
 * Write @count runs to the file @path as JSON. Returns false, with errno set,
 * if that fails.
 */
bool vm_results_write(const char *path, const VmConfig *configs,
                      const VmResult *const *results, size_t count);

#endif
