/*
 * Guests with a virtio-gpu: results
 *
 * A result combines the guest's reports (tests/guest/README.md), its kernel
 * log, and samples of the device's statistics and of QEMU's memory. All
 * programs that boot guests write results in the same JSON format, which
 * scripts/steps/plot.py reads.
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
    uint64_t backing_bytes; /* backing of resident resources */
    uint64_t released_bytes;
    uint64_t attaches;
    uint64_t detaches;
    uint64_t purges;
} VmStats;

/* A sample. Values that were not measured are NaN. */
typedef struct VmSample {
    double seconds;         /* since the start of QEMU */
    double mem_available;   /* in bytes, like all others; in the guest */
    double swap_used;
    double bo;              /* buffers of the GPU client */
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

/* An event on the timeline. */
typedef struct VmEvent {
    double seconds;
    VmSeverity severity;
    char *text;
} VmEvent;

/* Frames for each second, and for each second of processor time of QEMU. */
typedef struct VmRate {
    double fps;
    double per_cpu_second;
} VmRate;

/* Rounds in which frame rates are compared, at most. */
#define VM_HOST_ROUNDS 8

/* What vm_host_take_back() or vm_session_run() has found. */
typedef struct VmHostResult {
    /* On the host: what idle clients hold, 0 if there were none ... */
    uint64_t idle_bytes;
    uint64_t rss_anon_before;   /* ... of QEMU, when these stopped ... */
    uint64_t rss_anon_after;    /* ... and some time after the target was set */
    /* Shared memory of the guest: without them, and after its pressure. */
    uint64_t guest_without, guest_after;
    uint64_t needed_bytes;      /* of the program that causes it, and whether */
    bool need_met;              /* ... it survived */
    uint64_t pixels, wrong_pixels;  /* of idle clients, of all clients */
    uint64_t frames, frames_differ; /* of all clients: with wrong pixels */
    /*
     * Frame rates of the busy client: without a target before each round and
     * after the last one (the session: before its pressure); with a target in
     * each, while it takes effect (not in the session) and then.
     */
    unsigned rounds;
    VmRate without[VM_HOST_ROUNDS + 1];
    VmRate taking[VM_HOST_ROUNDS];
    VmRate with[VM_HOST_ROUNDS];
} VmHostResult;

struct VmResult {
    char *problem;              /* why the run is void; NULL if it finished */
    bool killed;                /* ... because QEMU was, by SIGKILL */
    char *qemu;                 /* version */
    char *kernel;
    char *renderer;
    unsigned bo_mib_reached;
    bool hog_ran;
    bool hog_survived;
    bool client_survived;
    unsigned boots;             /* including kexec */
    unsigned oom_kills;
    char *oom_killed;           /* names of these, NULL if there are none */
    unsigned kernel_complaints;
    unsigned errors;            /* GPU requests that failed */
    uint64_t good_pages;
    uint64_t zero_pages;        /* of purged buffers, as expected */
    uint64_t corrupt_pages;
    unsigned purged_bos;
    unsigned retained_bos;
    unsigned unpressured_bos;   /* retained without memory pressure */
    uint64_t host_purged_bytes;
    /*
     * RssAnon of QEMU with all buffers uploaded, and its minimum from then to
     * the end of the purge. If the workload did not get there, the last sample.
     */
    uint64_t rss_anon_before;
    uint64_t rss_anon_after;
    /*
     * In the matrix: RssAnon of QEMU, and what the device counts, before the
     * clients start and after they have ended.
     */
    uint64_t rss_anon_idle, rss_anon_released;
    uint64_t host_bytes_idle, host_bytes_released;
    uint64_t evictions;         /* of the guest's driver */
    uint64_t timeouts;          /* of its requests to the device */
    unsigned bo_mib_wanted;
    unsigned denied;            /* requests refused for lack of memory */
    unsigned counted;           /* times driver and device were compared */
    /* Of all runs of a group, above which one is killed. */
    uint64_t rss_anon_limit;
    VmStats stats;              /* latest */
    VmHostResult host;
    char *soak_report;          /* latest, "name=value ..." */
    bool soak_finished;
    unsigned soak_findings;     /* errors reported by the guest */
    double seconds;             /* duration of the run */
    double work_started;        /* seconds after the start of QEMU */
    bool work_done;             /* the workload has reported a result */
    GArray *samples;            /* of VmSample */
    GArray *events;             /* of VmEvent */
};

void vm_result_init(VmResult *result);
void vm_result_destroy(VmResult *result);

/* Mark the run as void because of @format; only the first call counts. */
void vm_result_fail(VmResult *result, const char *format, ...)
    G_GNUC_PRINTF(2, 3);

/* Append @sample unless the workload is done. */
void vm_result_add_sample(VmResult *result, VmSample sample);

/* Add an event @seconds after the start of QEMU. Takes @text. */
void vm_result_add_event(VmResult *result, double seconds, VmSeverity severity,
                         char *text);

/* Update from the device's @stats; NULL from a stock device. */
void vm_result_set_stats(VmResult *result, QDict *stats);

/*
 * Update from a line of the guest's log or report, received @seconds after the
 * start of QEMU. @event is the first word of the line, @values are the others.
 */
void vm_result_handle_console(VmResult *result, const VmConfig *config,
                              double seconds, const char *line);
void vm_result_handle_report(VmResult *result, const VmConfig *config,
                             double seconds, const char *event,
                             const char *values);

/*
 * The part of what idle clients hold that came back: on the host, and in the
 * guest. Less than 0 if more is in use than before; 1 if others gave as well.
 */
double vm_host_share(const VmHostResult *host);
double vm_guest_share(const VmHostResult *host);

/*
 * Medians over the rounds of @rates, a member of @host, by the rates without a
 * target just before and after. 0 without rounds.
 */
VmRate vm_host_ratio(const VmHostResult *host, const VmRate *rates);

/* The number in @name=NUMBER among the words of @line; 0 if there is none. */
uint64_t vm_number_of(const char *line, const char *name);

/* The value of @name=value in the last report of a soak test, or 0. */
uint64_t vm_result_soak_value(const VmResult *result, const char *name);

/*
 * Whether QEMU's memory has fallen by the bytes purged on the host since all
 * buffers were uploaded, within a few percent.
 */
bool vm_result_purge_returned(const VmResult *result);

/* Whether QEMU's memory is what it was before the clients of the matrix. */
bool vm_result_all_returned(const VmResult *result);

/*
 * The outcome: "survives", or the failure: "void", "killed", "stopped",
 * "corrupt".
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
