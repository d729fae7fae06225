/*
 * Boot a guest that runs out of memory because of its GPU buffers
 *
 * The guest is tests/guest with a distribution's kernel and either the stock
 * virtio-gpu driver or ours; the device is either the stock one or ours. A run
 * says what became of the guest and how QEMU's own memory went along.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_VM_VIRTIO_GPU_VM_RUN_H
#define TESTS_VM_VIRTIO_GPU_VM_RUN_H

typedef enum OomScenario {
    OOM_CACHE,      /* buffers nobody needs, and a program that needs memory */
    OOM_IDLE,       /* more buffers than memory, all needed, not all at once */
    OOM_TESTS,      /* no scenario: the tests of the driver, one by one */
    OOM_SOAK,       /* everything at once, for config.seconds */
} OomScenario;

typedef struct OomConfig OomConfig;

struct OomConfig {
    const char *name;
    OomScenario scenario;
    bool our_driver;
    bool our_device;
    bool is_2d;             /* the device without virglrenderer */
    bool blob;              /* with blobs, on hosts without udmabuf, too */
    bool debug_kernel;      /* the one that looks for mistakes */
    /*
     * Of tests: called with each line of TAP, which has no numbers. Of a soak:
     * with what it reports.
     */
    void (*test_line)(const OomConfig *config, const char *line);
    const char *tests;      /* those whose names begin with this; NULL: all */
    const char *kexec;      /* those to run in another kernel after that */
    unsigned cpus;          /* 0 is one */
    unsigned ram_mib;
    unsigned swap_mib;
    unsigned hostmem_mib;   /* limit of the device's memory; 0: its default */
    const char *provoked;   /* what the guest's kernel is made to complain of */
    unsigned bo_mib;
    unsigned app_mib;
    unsigned seconds;       /* that the workload takes on purpose */
    unsigned seed;          /* of what it does at random */
};

/* What the device counted, from its property reclaim-stats. */
typedef struct OomStats {
    bool known;             /* a stock device has no such property */
    uint64_t host_bytes;
    uint64_t host_bytes_limit;
    uint64_t resident;      /* resources, and the guest's memory behind them */
    uint64_t evicted;
    uint64_t purged;
    uint64_t backing_bytes;
    uint64_t resident_bytes;
    uint64_t evicted_bytes;
    uint64_t released_bytes;
    uint64_t attaches;
    uint64_t detaches;
    uint64_t purges;
} OomStats;

typedef struct OomResult {
    /* Why the run is worth nothing, in one line; NULL if it came to its end. */
    char *problem;
    char *qemu;                 /* its version */
    char *kernel;
    char *renderer;
    unsigned bo_mib_reached;
    bool app_ran;
    bool app_survived;
    bool client_survived;
    unsigned boots;             /* of one kernel or another */
    unsigned oom_kills;
    unsigned kernel_faults;     /* what the guest's kernel complained about */
    unsigned errors;            /* GPU requests that failed */
    uint64_t good_pages;
    uint64_t zero_pages;        /* of purged buffers, as they should be */
    uint64_t corrupt_pages;
    unsigned purged_bos;
    unsigned retained_bos;
    unsigned kept_bos;          /* retained when there was memory enough */
    uint64_t host_purged_bytes;
    uint64_t rss_anon_before;   /* of QEMU, all buffers being uploaded */
    uint64_t rss_anon_after;    /* when the purge has come to rest */
    OomStats stats;             /* the last ones */
    double seconds;
} OomResult;

typedef struct OomRun OomRun;

/* Called with what happens in runs, one line at a time; may be NULL. */
typedef void OomProgress(const OomConfig *config, const char *text);

/*
 * What is missing to run @config here, in one line for the user; NULL if
 * nothing is. To be freed by the caller.
 */
char *oom_missing(const OomConfig *config);

/*
 * Run all of @configs, at most @jobs at a time and started in this order.
 * Returns the runs, in the same order, each to be freed by oom_run_free().
 */
OomRun **oom_run_all(const OomConfig *configs, size_t count, unsigned jobs,
                     OomProgress *progress);
const OomResult *oom_run_result(const OomRun *run);

/* The file with everything that the guest's kernel and workload have said. */
const char *oom_run_log(const OomRun *run);

/*
 * Write how memory went over time: a line of tab separated columns for each
 * sample, '-' for what was not measured in it.
 */
void oom_run_write_timeline(const OomRun *run, FILE *file);

/*
 * Write what stood out: a line for each event, which is @prefix, the seconds
 * and a few words, tab separated.
 */
void oom_run_write_events(const OomRun *run, const char *prefix, FILE *file);

void oom_run_free(OomRun *run);

#endif
